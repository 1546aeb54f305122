"""Reads Parquet files from untrusted sources, in memory that is proportional to the size of the file.

A file of a thousand bytes can unpack to gigabytes, since repeated rows take almost no bytes. So the unpacked sizes that
the file declares are checked before anything is read. A column of repeated texts is held as dictionary codes; only the
few rows that are returned at a time are expanded to texts.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import UnknownFormat
from pipeline.formats.plain_texts import LONG, find_plain_columns
from pipeline.vocabulary.parquet_pages import ChunkSizes, chunk_sizes

_MIB = 1024 * 1024
PIECE_ROWS = 5_000
"""Largest number of rows that are read at a time. Fewer are read if a long text may be copied for each row."""

# So many rows, and so many for every byte of the file: a vote without an id takes some bits of three columns.
_FREE_ROWS, _ROWS_PER_BYTE = 1_000_000, 4
# A column of a row group may unpack to so many bytes, and to so many times the file.
_FREE_BYTES, _RATIO = 64 * _MIB, 100
_MAX_PAGE = 64 * _MIB
# Bytes of a column that are read at a time.
_BUFFER = 1 * _MIB
# Bytes of texts that are written out at a time.
_PIECE = 8 * _MIB
# Most values of a list in a row, on average.
_LIST_VALUES = 1_000


def read_headers(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Raises:
        UnknownFormat: the file is not Parquet.
    """
    try:
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnknownFormat(f"{path.name}: expected Parquet: {error}") from None


def open_bounded(path: Path, columns: Collection[str]) -> tuple[pq.ParquetFile, int]:
    """Check the unpacked sizes that a file declares for some columns, then open the file.

    Args:
        path: the file.
        columns: names of the columns that will be read.

    Returns:
        Two values: the open file, which reads repeated texts as dictionary codes; and the number of rows to read at a
            time.

    Raises:
        UnknownFormat: the file is not Parquet, or declares more rows or bytes than a file of its size can honestly
            have.
    """
    try:
        with pq.ParquetFile(path) as file, path.open("rb") as raw:
            metadata, schema = file.metadata, file.schema_arrow
            _require_rows(path, metadata.num_rows)

            def read(at: int, size: int) -> bytes:
                raw.seek(at)
                return raw.read(size)

            chunks = list(chunk_sizes(metadata, read, lambda name: _is_of(name, columns)))
        for chunk in chunks:
            _require_bytes(path, chunk)
        texts = {name for name in columns if name in schema.names and _is_text(schema.field(name).type)}
        coded = texts - find_plain_columns(path, chunks, texts)
        file = pq.ParquetFile(path, read_dictionary=sorted(coded), buffer_size=_BUFFER)
        return file, _rows_at_a_time(chunks, texts)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnknownFormat(f"{path.name}: expected Parquet: {error}") from None


def read_rows(path: Path, columns: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file as dictionaries with the given columns.

    Raises:
        UnknownFormat: the file is not Parquet, or declares more rows or bytes than a file of its size can honestly
            have.
    """
    file, rows = open_bounded(path, columns)
    try:
        for batch in read_batches(file, columns, rows):
            for piece in _pieces(batch):
                yield from _to_rows(piece)
    except (pa.ArrowException, OSError) as error:
        raise UnknownFormat(f"{path.name}: expected Parquet: {error}") from None


def read_batches(file: pq.ParquetFile, columns: Collection[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of at most `rows` rows with the given columns.

    The Parquet reader is opened again after some row groups, because it keeps what it has read in memory until it is
    closed.

    Args:
        file: an open file, from `open_bounded`.
        columns: names of the columns.
        rows: largest number of rows of a batch.
    """
    groups: list[int] = []
    pending = 0
    for group in range(file.metadata.num_row_groups):
        groups.append(group)
        pending += file.metadata.row_group(group).num_rows
        if pending >= rows or group == file.metadata.num_row_groups - 1:
            for batch in file.iter_batches(rows, row_groups=groups, columns=list(columns)):
                yield with_texts(_with_valid_texts(batch))
            groups, pending = [], 0


def with_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Convert the columns of bytes in a batch to columns of text, because some programs store every text as bytes.

    Bytes of a fixed length are digests and become hexadecimal digits. A column that is not valid UTF-8 is unchanged.
    """
    return _mapped(batch, _text_of)


def _with_valid_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch in which columns that are declared as text, and are not valid UTF-8, are columns of bytes."""
    return _mapped(batch, _valid_text_of)


def _mapped(batch: pa.RecordBatch, change: Callable[[pa.Array], pa.Array]) -> pa.RecordBatch:
    columns = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            values = change(column.dictionary)
            same = values is column.dictionary
            columns.append(column if same else pa.DictionaryArray.from_arrays(column.indices, values))
        else:
            columns.append(change(column))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names) if columns else batch


def _valid_text_of(column: pa.Array) -> pa.Array:
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return column.view(pa.binary() if pa.types.is_string(kind) else pa.large_binary())
    return column


def _text_of(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
    if not is_bytes(kind):
        return column
    try:
        return column.cast(pa.string() if pa.types.is_binary(kind) else pa.large_string())
    except pa.ArrowInvalid:
        return column


def _to_rows(piece: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return the rows of a batch as dictionaries.

    A time that Python cannot represent becomes a text with the stored number and the column's type. Bytes become text.
    """
    try:
        rows = list(piece.to_pylist(maps_as_pydicts="lossy"))
    except (OverflowError, ValueError):
        columns = [[_to_value(cell) for cell in column] for column in piece.columns]
        rows = [dict(zip(piece.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]
    for name in (field.name for field in piece.schema if is_bytes(field.type)):
        for row in rows:
            row[name] = row[name].decode("utf-8", "surrogateescape") if row[name] is not None else None
    return rows


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a column of this type has bytes of any length, plain or dictionary-encoded."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _to_value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        number = pa.types.is_temporal(cell.type) and getattr(cell, "value", None)
        return f"{number or 'a value'} as {cell.type}"


def has_long_texts(batch: pa.RecordBatch) -> bool:
    """Return whether a batch contains a text of more than LONG bytes, in a column or in a column's dictionary."""
    texts = [column.dictionary if pa.types.is_dictionary(column.type) else column for column in batch.columns]
    return any((pc.max(pc.binary_length(column)).as_py() or 0) > LONG for column in texts if _is_text(column.type))


def _is_of(path: str, columns: Collection[str]) -> bool:
    """Return whether `path`, the names of nested columns joined by dots, is one of the columns or inside one.

    The name of a column may itself contain dots.
    """
    return path in columns or any(path.startswith(f"{name}.") for name in columns)


def _require_rows(path: Path, rows: int) -> None:
    size = path.stat().st_size
    if rows > _FREE_ROWS + _ROWS_PER_BYTE * size:
        raise UnknownFormat(
            f"{path.name}: {size:,} bytes declare {rows:,} rows: no file of votes repeats itself so much"
        )


def _require_bytes(path: Path, chunk: ChunkSizes) -> None:
    most = _FREE_BYTES + _RATIO * path.stat().st_size
    if chunk.unpacked > most or chunk.largest > _MAX_PAGE:
        raise UnknownFormat(
            f"{path.name}, column {chunk.column}: {chunk.unpacked:,} bytes when unpacked, the largest page "
            f"{chunk.largest:,}; expected at most {most:,} and {_MAX_PAGE:,}"
        )
    if chunk.values > chunk.rows * _LIST_VALUES:
        raise UnknownFormat(f"{path.name}, column {chunk.column}: {chunk.values:,} values in {chunk.rows:,} rows")


def _rows_at_a_time(chunks: list[ChunkSizes], coded: Collection[str]) -> int:
    """Return how many rows to read at a time, so that their repeated texts, copied, take at most 8 · _PIECE bytes."""
    widest = [
        chunk.largest
        for chunk in chunks
        if chunk.prefixed or (chunk.has_dictionary and chunk.column not in coded and "." in chunk.column)
    ]
    return max(1, min(PIECE_ROWS, 8 * _PIECE // max([1, *widest])))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind))


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Split a batch into pieces whose texts, copied from the dictionaries, take at most _PIECE bytes.

    A piece has at least one row, even if the texts of this row take more.
    """
    size = np.zeros(len(batch), dtype=np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and len(column.dictionary):
            lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).take(column.indices.fill_null(0))
            size += lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum(size)
    start = 0
    while start < len(batch):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _PIECE, side="right")))
        yield batch.slice(start, end - start)
        start = end
