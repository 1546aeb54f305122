"""Segments: the leaves of one seal as a Parquet file, each with its hash.

Law: proofs are about the rows. The column `leaf_hash` only serves to name the first changed row of a file.

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
from . import leaf, leaf_encoding
from .merkle import WIDTH

_HASH = pa.field("leaf_hash", pa.binary(WIDTH), nullable=False)
_ROWS = pa.schema([*leaf.SCHEMA, _HASH])
# Digests do not compress.
_COMPRESSION = {f.name: "none" if f.type == _HASH.type else "zstd" for f in _ROWS}
GROUP = 131_072
"""Leaves of a row group."""
_FILE = pa.schema(
    [pa.field(f.name, pa.string(), f.nullable) if f.name in leaf.TERMS else f for f in leaf.SCHEMA] + [_HASH]
)


class SegmentWriter:
    """Writes the file of a segment while its leaves are made.

    Law: with one version of Arrow, the same rows give the same bytes, however they are split over calls of `append`.
    """

    def __init__(self, sink: BinaryIO | io.RawIOBase) -> None:
        """Write to an open file."""
        self._file = pq.ParquetWriter(
            sink, _ROWS, compression=_COMPRESSION, use_dictionary=list(leaf.TERMS), store_schema=False
        )
        self._buffer = _ROWS.empty_table()

    def append(self, rows: pa.Table, hashes: bytes) -> None:
        """Append leaves and their hashes (32 bytes each)."""
        column = pa.FixedSizeBinaryArray.from_buffers(_HASH.type, len(rows), [None, pa.py_buffer(hashes)])
        self._buffer = pa.concat_tables([self._buffer, rows.append_column(_HASH, column)])
        while len(self._buffer) >= GROUP:
            self._write(self._buffer.slice(0, GROUP))
            self._buffer = self._buffer.slice(GROUP)

    def close(self) -> None:
        """Write the remaining rows and the footer."""
        if len(self._buffer):
            self._write(self._buffer)
        self._file.close()

    def abort(self) -> None:
        """Close the writer of a file that will be discarded. Arrow still writes a footer; its errors are ignored."""
        with suppress(Exception):
            self._file.close()

    def _write(self, rows: pa.Table) -> None:
        whole = rows.unify_dictionaries().combine_chunks()
        for at, name in enumerate(whole.column_names):
            if name in leaf.TERMS:
                whole = whole.set_column(at, _ROWS.field(name), _sorted(whole[name].chunk(0)))
        self._file.write_table(whole, row_group_size=GROUP)


def _sorted(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return the column coded by its sorted distinct texts; Arrow's codes depend on how the rows were split."""
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
    """Return the rows of a file (as `leaf.SCHEMA`) and its column of hashes, 32·n bytes.

    Raises:
        Refuted: reason `segment`; not a Parquet file with these columns.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), read_dictionary=list(leaf.TERMS), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("segment", where, f"expected a Parquet file: {error}") from None
    plain = [(f.name, pa.string() if f.name in leaf.TERMS else f.type) for f in table.schema]
    if plain != [(f.name, f.type) for f in _FILE]:
        raise Refuted(
            "segment", where, f"expected columns {', '.join(_FILE.names)}, got {', '.join(table.schema.names)}"
        )
    for field in _FILE:
        if not field.nullable and table[field.name].null_count:
            raise Refuted("segment", where, f"expected {field.name} in every row")
    hashes = table["leaf_hash"].combine_chunks()
    raw = b"" if not len(table) else hashes.buffers()[1].to_pybytes()
    start = hashes.offset * WIDTH
    rows = table.drop_columns(["leaf_hash"]).cast(leaf.SCHEMA).unify_dictionaries().combine_chunks()
    return rows, raw[start : start + len(table) * WIDTH]


def first_wrong_row(data: bytes, where: str) -> int | None:
    """Return the first row that does not match its hash. None if all match or the file cannot be read."""
    try:
        rows, hashes = read(data, where)
        found = leaf_encoding.hashes(rows)
    except Exception:  # the file is already refused, whatever its content
        return None
    return next(
        (at // WIDTH for at in range(0, len(found), WIDTH) if found[at : at + WIDTH] != hashes[at : at + WIDTH]), None
    )


def write_excluded(leaves: pa.Array, exclusion: pa.Array) -> bytes:
    """Return the bytes of `excluded.parquet`: int64 leaf, ascending, and int32 position of the exclusion."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"leaf": leaves.cast(pa.int64()), "exclusion": exclusion.cast(pa.int32())}), sink)
    return sink.getvalue()


def read_excluded(data: bytes, where: str) -> pa.Table:
    """Return the rows of a file of excluded votes.

    Raises:
        Refuted: reason `exclusion`; not a Parquet file with these columns, or leaves repeated or out of order.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("exclusion", where, f"expected a Parquet file: {error}") from None
    if [(f.name, f.type) for f in table.schema] != [("leaf", pa.int64()), ("exclusion", pa.int32())]:
        raise Refuted("exclusion", where, f"expected columns leaf and exclusion, got {', '.join(table.schema.names)}")
    table = table.combine_chunks()
    leaves = table["leaf"]
    if table["leaf"].null_count or table["exclusion"].null_count:
        raise Refuted("exclusion", where, "expected a leaf and an exclusion in every row")
    if len(table) > 1 and not pc.all(pc.greater(leaves[1:], leaves[:-1])).as_py():
        raise Refuted("exclusion", where, "expected each leaf once, in ascending order")
    return table
