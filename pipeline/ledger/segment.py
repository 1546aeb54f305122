"""Writes and reads segments. A segment is a Parquet file with the leaves of one seal and their hashes.

Proofs use hashes that are computed from the rows. The stored column `leaf_hash` only serves to find the first changed
row of a damaged file.

Not handled: the list of segments and their digests (`manifest`).
"""

import io
from contextlib import suppress
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import Refuted
from . import leaf, size_limits
from .merkle import WIDTH

_HASH = pa.field("leaf_hash", pa.binary(WIDTH), nullable=False)
_ROWS = pa.schema([*leaf.SCHEMA, _HASH])
# Digests do not compress.
_COMPRESSION = {f.name: "none" if f.type == _HASH.type else "zstd" for f in _ROWS}
GROUP = 131_072
"""Number of leaves in a row group of the Parquet file."""
MAX_LEAVES = 2**53
"""Largest number of leaves of a log."""
_FILE = pa.schema(
    [pa.field(f.name, pa.string(), f.nullable) if f.name in leaf.TERMS else f for f in leaf.SCHEMA] + [_HASH]
)


class SegmentWriter:
    """Writes the file of a segment in several steps.

    With the same version of Arrow, the same rows give the same bytes, however they are divided among calls of `append`.
    """

    def __init__(self, sink: BinaryIO | io.RawIOBase) -> None:
        """Begin a segment, which is written to the open file `sink`."""
        self._file = pq.ParquetWriter(
            sink, _ROWS, compression=_COMPRESSION, use_dictionary=list(leaf.TERMS), store_schema=False
        )
        self._buffer = _ROWS.empty_table()

    def append(self, rows: pa.Table, hashes: bytes) -> None:
        """Append n leaves to the file.

        Args:
            rows: table of n rows with `leaf.SCHEMA`.
            hashes: the leaf hashes of the rows, 32·n bytes.
        """
        column = pa.FixedSizeBinaryArray.from_buffers(_HASH.type, len(rows), [None, pa.py_buffer(hashes)])
        self._buffer = pa.concat_tables([self._buffer, rows.append_column(_HASH, column)])
        while len(self._buffer) >= GROUP:
            self._write(self._buffer.slice(0, GROUP))
            self._buffer = self._buffer.slice(GROUP)

    def close(self) -> None:
        """Write the remaining rows and the footer of the Parquet file."""
        if len(self._buffer):
            self._write(self._buffer)
        self._file.close()

    def abort(self) -> None:
        """Close the writer of a file that will be discarded. Errors are ignored."""
        with suppress(Exception):
            self._file.close()

    def _write(self, rows: pa.Table) -> None:
        whole = rows.unify_dictionaries().combine_chunks()
        for at, name in enumerate(whole.column_names):
            if name in leaf.TERMS:
                whole = whole.set_column(at, _ROWS.field(name), _sorted(whole[name].chunk(0)))
        self._file.write_table(whole, row_group_size=GROUP)


def _sorted(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return the column with its distinct texts sorted, so that the codes do not depend on how the rows were split."""
    texts, null = column.dictionary.to_pylist(), column.indices.is_null().to_numpy(zero_copy_only=False)
    codes = column.indices.fill_null(0).to_numpy()
    there = np.bincount(codes[~null], minlength=len(texts))
    used = sorted(np.flatnonzero(there).tolist(), key=texts.__getitem__)
    new = np.zeros(max(1, len(texts)), dtype=np.int32)
    new[used] = np.arange(len(used))
    return pa.DictionaryArray.from_arrays(
        pa.array(new[codes], mask=null), pa.array([texts[one] for one in used], pa.string())
    )


def read(data: bytes, where: str) -> tuple[pa.Table, bytes]:
    """Read the file of a segment.

    Args:
        data: content of the segment file.
        where: path of the file, for messages.

    Returns:
        Two values: a table of n rows with `leaf.SCHEMA`, and the stored leaf hashes as 32·n bytes. The hashes are not
        checked; the caller must compare them with the rows.

    Raises:
        Refuted: reason `segment`: the file is not Parquet with these columns. Reason `leaf`: a text is too long. Reason
            `limit`: the file is too large, which is checked before anything is unpacked.
    """
    table = _read_bounded(data, where)
    for field in _FILE:
        if not field.nullable and table[field.name].null_count:
            raise Refuted("segment", where, f"expected {field.name} in every row")
    hashes = table["leaf_hash"].combine_chunks()
    raw = b"" if not len(table) else hashes.buffers()[1].to_pybytes()
    start = hashes.offset * WIDTH
    rows = table.drop_columns(["leaf_hash"]).cast(leaf.SCHEMA).unify_dictionaries().combine_chunks()
    return rows, raw[start : start + len(table) * WIDTH]


def _read_bounded(data: bytes, where: str) -> pa.Table:
    """Return the table in a segment file. Long repeated texts are refused before they are unpacked."""
    most = size_limits.most_leaves(data)
    plain, chunks = size_limits.open_parquet(data, where, "segment", most)
    if [(f.name, _value_type(f.type)) for f in plain.schema_arrow] != [(f.name, f.type) for f in _FILE]:
        names = ", ".join(plain.schema_arrow.names)
        raise Refuted("segment", where, f"expected columns {', '.join(_FILE.names)}, got {names}")
    repeated = {chunk.column for chunk in chunks if chunk.has_dictionary}
    coded = [f.name for f in _FILE if f.type == pa.string() and (f.name in leaf.TERMS or f.name in repeated)]
    file, _ = size_limits.open_parquet(data, where, "segment", most, read_dictionary=coded)
    try:
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("segment", where, f"expected a Parquet file: {error}") from None
    for name in coded:
        for chunk in table[name].chunks:
            length = pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0
            if length > 4 * leaf.MAX_TEXT:
                raise Refuted(
                    "leaf", where, f"expected {name} of at most {leaf.MAX_TEXT} characters, got {length} bytes"
                )
    return table


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def first_wrong_row(hashes: bytes, found: bytes) -> int:
    """Return the index of the first row whose stored hash differs from the computed hash.

    The result is also 0 if no row differs, so the caller must compare the hashes first.

    Args:
        hashes: stored hashes, 32·n bytes.
        found: hashes computed from the rows, 32·n bytes.
    """
    return next(
        (at // WIDTH for at in range(0, len(found), WIDTH) if found[at : at + WIDTH] != hashes[at : at + WIDTH]), 0
    )


def write_excluded(leaves: pa.Array, exclusion: pa.Array) -> bytes:
    """Build the content of the file `excluded.parquet`, which lists the excluded leaves.

    Args:
        leaves: n indices of the excluded leaves, ascending.
        exclusion: for each of these leaves, the position of its exclusion in the manifest.
    """
    sink = io.BytesIO()
    pq.write_table(pa.table({"leaf": leaves.cast(pa.int64()), "exclusion": exclusion.cast(pa.int32())}), sink)
    return sink.getvalue()


def read_excluded(data: bytes, where: str, leaves: int = MAX_LEAVES) -> pa.Table:
    """Read the file `excluded.parquet`.

    Args:
        data: content of the file.
        where: path of the file, for messages.
        leaves: number of leaves of the log.

    Returns:
        A table with the columns `leaf` (int64, ascending) and `exclusion` (int32, a position in the manifest).

    Raises:
        Refuted: reason `exclusion`: the file is not Parquet with these columns, or the leaves are not ascending. Reason
            `limit`: there are more rows than `leaves`.
    """
    file, _ = size_limits.open_parquet(data, where, "exclusion", leaves)
    if [(f.name, f.type) for f in file.schema_arrow] != [("leaf", pa.int64()), ("exclusion", pa.int32())]:
        names = ", ".join(file.schema_arrow.names)
        raise Refuted("exclusion", where, f"expected columns leaf and exclusion, got {names}")
    try:
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("exclusion", where, f"expected a Parquet file: {error}") from None
    table = table.combine_chunks()
    listed = table["leaf"]
    if listed.null_count or table["exclusion"].null_count:
        raise Refuted("exclusion", where, "expected a leaf and an exclusion in every row")
    if len(table) > 1 and not pc.all(pc.greater(listed[1:], listed[:-1])).as_py():
        raise Refuted("exclusion", where, "expected each leaf once, in ascending order")
    return table
