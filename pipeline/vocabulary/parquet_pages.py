"""Reads the sizes that the pages of a Parquet file declare, before any page is decompressed.

A Parquet reader allocates the memory that a page header declares, so a file of a few hundred bytes can ask for
gigabytes. The footer of the file gives no protection, because it may state other numbers. So this module reads the page
headers (Thrift's compact protocol), and nothing else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

DELTA_BYTE_ARRAY = 7
"""Parquet's number of an encoding of texts. For each text it stores the length of the prefix that is equal to the
previous text's, and the remaining bytes. A few bytes can therefore stand for many long texts."""

# Parquet's numbers of the encodings PLAIN, and PLAIN_DICTIONARY and RLE_DICTIONARY.
_PLAIN, _CODED = 0, frozenset({2, 8})
# A header has some 30 bytes, and up to two texts of statistics.
_HEADER_BYTES = 64 * 1024
_MAX_NESTING = 16
# Thrift's compact protocol: types of a field.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
# Fields of a page header, and of the header of its kind.
_UNPACKED, _PACKED = 2, 3
_DATA, _DICTIONARY, _DATA_V2 = 5, 7, 8

ReadAt = Callable[[int, int], bytes]
"""A function of (offset, size) that returns at most `size` bytes of the file, from `offset` on."""


@dataclass(frozen=True, slots=True)
class Page:
    """The values that the header of a page declares.

    Attributes:
        unpacked: number of bytes of the page after decompression.
        values: number of values in the page; 0 for a page that is neither a data page nor a dictionary page.
        is_data: whether the page is a data page.
        encoding: Parquet's number of the encoding.
    """

    unpacked: int
    values: int
    is_data: bool
    encoding: int


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """The sizes of one column in one row group, as its page headers declare them.

    Attributes:
        column: path of the column.
        unpacked: number of bytes of all pages after decompression.
        largest: number of bytes of the largest page after decompression.
        values: number of values in the data pages.
        rows: number of rows in the row group.
        prefixed: whether any page has the encoding DELTA_BYTE_ARRAY.
        has_dictionary: whether there is a dictionary page.
        dictionary_values: number of values in the dictionary.
        plain: number of values in data pages with the encoding PLAIN, which stores each value itself.
        coded: number of values in data pages that store positions in the dictionary.
    """

    column: str
    unpacked: int
    largest: int
    values: int
    rows: int
    prefixed: bool
    has_dictionary: bool
    dictionary_values: int
    plain: int
    coded: int


def chunk_sizes(metadata: Any, read: ReadAt, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[ChunkSizes]:
    """Yield the sizes that the page headers of a Parquet file declare, for each row group and wanted column.

    Row groups without rows are left out.

    Args:
        metadata: pyarrow's `FileMetaData` of the file.
        read: reads bytes of the file.
        wanted: returns whether to read the page headers of a column, given its path; default: all columns.

    Raises:
        ValueError: a page header cannot be read, or the pages declare another number of values than the footer.
    """
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for place in range(row_group.num_columns):
            chunk = row_group.column(place)
            if wanted(chunk.path_in_schema) and row_group.num_rows:
                yield _chunk_sizes(chunk, row_group.num_rows, read)


def _chunk_sizes(chunk: Any, rows: int, read: ReadAt) -> ChunkSizes:
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        starts.append(chunk.dictionary_page_offset)
    pages = list(_pages(read, min(starts), chunk.total_compressed_size, chunk.path_in_schema))
    values = sum(page.values for page in pages if page.is_data)
    if values != chunk.num_values:
        raise ValueError(f"column {chunk.path_in_schema}: the footer declares {chunk.num_values:,} values, its pages "
                         f"{values:,}")  # fmt: skip
    return ChunkSizes(
        chunk.path_in_schema,
        sum(page.unpacked for page in pages),
        max((page.unpacked for page in pages), default=0),
        values,
        rows,
        any(page.encoding == DELTA_BYTE_ARRAY for page in pages),
        any(not page.is_data and page.values for page in pages),
        sum(page.values for page in pages if not page.is_data),
        sum(page.values for page in pages if page.is_data and page.encoding == _PLAIN),
        sum(page.values for page in pages if page.is_data and page.encoding in _CODED),
    )


def _pages(read: ReadAt, start: int, size: int, column: str) -> Iterator[Page]:
    at, end = start, start + size
    while at < end:
        try:
            fields, used = _struct(read(at, min(_HEADER_BYTES, end - at)), 0, 0)
            page, packed = _page(fields), int(fields[_PACKED])
            if page.unpacked < 0 or packed < 0 or page.values < 0:
                raise ValueError("a negative size")
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise ValueError(f"column {column}: expected a page header at byte {at}: {error}") from None
        if at + used + packed > end:
            raise ValueError(f"column {column}: the page at byte {at} ends after its column")
        yield page
        at += used + packed


def _page(fields: dict[int, Any]) -> Page:
    for kind, is_data, encoding in ((_DATA, True, 2), (_DATA_V2, True, 4), (_DICTIONARY, False, 2)):
        if kind in fields:
            return Page(fields[_UNPACKED], fields[kind][1], is_data, fields[kind][encoding])
    return Page(fields[_UNPACKED], 0, is_data=False, encoding=-1)


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Parse a struct. Return field number → value (None unless a number or a struct), and the position of its end."""
    if depth > _MAX_NESTING:
        raise ValueError("too deeply nested")
    fields: dict[int, Any] = {}
    number = 0
    while (head := data[at]) != 0:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        fields[number], at = _value(data, at, head & 15, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind == _BYTE:
        return data[at], at + 1
    if kind in (_I16, _I32, _I64):
        return _zigzag(data, at)
    if kind == _DOUBLE:
        return None, at + 8
    if kind == _BINARY:
        length, at = _varint(data, at)
        return None, at + length
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    raise ValueError(f"an unexpected field of type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at
