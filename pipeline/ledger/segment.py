"""A segment: the leaves of one seal as a Parquet file, each with its hash.

Law: the rows are what is proved; the column `leaf_hash` only tells which row is wrong when a file was changed.

Not handled: which segments there are, and their digests; that is the manifest's.
"""

from __future__ import annotations

import io
from contextlib import suppress
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import Refuted
from . import leaf
from .merkle import WIDTH

_HASH = pa.field("leaf_hash", pa.binary(WIDTH), nullable=False)
_ROWS = pa.schema([*leaf.SCHEMA, _HASH])
# Digests are random: compressing them costs time and saves nothing.
_COMPRESSION = {f.name: "none" if f.type == _HASH.type else "zstd" for f in _ROWS}
GROUP = 131_072
"""Leaves of a row group."""
_FILE = pa.schema(
    [pa.field(f.name, pa.string(), f.nullable) if f.name in leaf.TERMS else f for f in leaf.SCHEMA] + [_HASH]
)


class SegmentWriter:
    """A segment's file, written while its leaves are made.

    Law: the same rows give the same bytes with the same version of Arrow, however many of them are added at a time.
    """

    def __init__(self, sink: BinaryIO | io.RawIOBase) -> None:
        """Write to a file that is open."""
        self._file = pq.ParquetWriter(
            sink, _ROWS, compression=_COMPRESSION, use_dictionary=list(leaf.TERMS), store_schema=False
        )
        self._waiting = _ROWS.empty_table()

    def add(self, rows: pa.Table, hashes: bytes) -> None:
        """Append leaves and their hashes (32 bytes each)."""
        column = pa.FixedSizeBinaryArray.from_buffers(_HASH.type, len(rows), [None, pa.py_buffer(hashes)])
        self._waiting = pa.concat_tables([self._waiting, rows.append_column(_HASH, column)])
        while len(self._waiting) >= GROUP:
            self._write(self._waiting.slice(0, GROUP))
            self._waiting = self._waiting.slice(GROUP)

    def close(self) -> None:
        """Write what is left, and the footer."""
        if len(self._waiting):
            self._write(self._waiting)
        self._file.close()

    def abandon(self) -> None:
        """Write no more: the file is not wanted. Arrow writes a footer all the same, whatever becomes of it."""
        with suppress(Exception):
            self._file.close()

    def _write(self, rows: pa.Table) -> None:
        whole = rows.unify_dictionaries().combine_chunks()
        for at, name in enumerate(whole.column_names):
            if name in leaf.TERMS:
                whole = whole.set_column(at, _ROWS.field(name), _sorted(whole[name].chunk(0)))
        self._file.write_table(whole, row_group_size=GROUP)


def _sorted(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Codes of the texts that are there, in their order: Arrow's own depend on how the rows came together."""
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
    """The rows (as `leaf.SCHEMA`) and the hashes that the file gives them.

    Raises:
        Refuted: reason `segment`; it is no such Parquet file.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), read_dictionary=list(leaf.TERMS), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("segment", where, f"expected a Parquet file, got one that Arrow refuses: {error}") from None
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
    """The first row of a changed file whose own hash it does not have, or None if no row tells."""
    try:
        rows, hashes = read(data, where)
        found = leaf.hashes(rows)
    except Exception:  # the file is refused already; nothing that it holds may change that
        return None
    return next(
        (at // WIDTH for at in range(0, len(found), WIDTH) if found[at : at + WIDTH] != hashes[at : at + WIDTH]), None
    )


def write_excluded(leaves: pa.Array, exclusion: pa.Array) -> bytes:
    """The file of excluded votes: int64 leaf, int32 position in the manifest's exclusions; sorted by leaf."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"leaf": leaves.cast(pa.int64()), "exclusion": exclusion.cast(pa.int32())}), sink)
    return sink.getvalue()


def read_excluded(data: bytes, where: str) -> pa.Table:
    """The rows of `excluded`.

    Raises:
        Refuted: reason `exclusion`; it is no such file, or names a leaf twice or out of order.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("exclusion", where, f"expected a Parquet file, got one that Arrow refuses: {error}") from None
    if [(f.name, f.type) for f in table.schema] != [("leaf", pa.int64()), ("exclusion", pa.int32())]:
        raise Refuted("exclusion", where, f"expected columns leaf and exclusion, got {', '.join(table.schema.names)}")
    table = table.combine_chunks()
    leaves = table["leaf"]
    if table["leaf"].null_count or table["exclusion"].null_count:
        raise Refuted("exclusion", where, "expected a leaf and an exclusion in every row")
    if len(table) > 1 and not pc.all(pc.greater(leaves[1:], leaves[:-1])).as_py():
        raise Refuted("exclusion", where, "expected each leaf once, in order")
    return table
