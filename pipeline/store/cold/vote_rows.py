"""Defines the rows of stored votes as Arrow batches, and packs a batch into the bytes of a chunk.

A packed chunk has one array of each integer column, then the texts of the ids, then the style counts; all compressed
together (zstd). Ascending columns are stored as differences. The bytes of an array are stored by significance (all
lowest bytes first), because the high bytes of most columns are equal and compress to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema
from pipeline.store.db.csv_query import csv_query
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import NO_TIME

INTEGERS = (
    "offset", "voter", "cast_at", "appended_at", "model_a", "model_b", "outcome", "fate", "language", "category",
    "network", "prompt", "voter_since", "flags", "turn", "session", "categories",
)  # fmt: skip
ROWS = pa.schema(
    [
        ("vote_id", pa.string()),
        ("style", pa.binary()),
        # Last a column without nulls: Arrow does not read an empty field at the end of a text as null.
        *((name, pa.int64()) for name in INTEGERS),
    ]
)
"""Columns of a batch of votes of one partition, in the order of offsets. `voter_since` and `style` may be null."""

READ_ROWS = 32_768
"""Number of offsets that one query reads."""

_DIFFERENCES = ("offset", "cast_at", "appended_at")
_ZSTD = "zstd"
_KINDS = {"vote_id": "text", "voter_since": "maybe_integer", "style": "maybe_bytes"}
_HEAD = np.dtype([("rows", "<i8"), ("ids", "<i8"), ("bytes", "<i8")])


def empty() -> pa.RecordBatch:
    """Return a batch without rows."""
    return pa.RecordBatch.from_pylist([], ROWS)


def joined(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return batches as one batch, in the given order."""
    found = [one for one in batches if len(one)]
    if len(found) < 2:
        return found[0] if found else empty()
    return pa.Table.from_batches(found).combine_chunks().to_batches()[0]


def read_hot(connection: Connection, part: int, first: int, end: int) -> pa.RecordBatch:
    """Read the votes at offsets [first, end) of a partition from the table `vote`."""
    columns = {name: _KINDS.get(name, "integer") for name in ROWS.names}
    data = dialect.fetch_bytes(connection, csv_query(connection, columns, "vote"), (part, first, end))
    if not data:
        return empty()
    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        read_options=arrow_csv.ReadOptions(column_names=ROWS.names, use_threads=False, block_size=len(data) + 1),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types={f.name: pa.string() if f.name == "style" else f.type for f in ROWS},
            null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
        ),
    ).combine_chunks()  # fmt: skip
    style = [None if one is None else bytes.fromhex(one) for one in table["style"].to_pylist()]
    table = table.set_column(ROWS.get_field_index("style"), ROWS.field("style"), pa.array(style, pa.binary()))
    return table.sort_by("offset").combine_chunks().to_batches()[0]


def next_hot(connection: Connection, part: int, first: int, end: int) -> int | None:
    """Return the first offset in [first, end) that has a vote in the table `vote`; None if there is none."""
    v = schema.vote.c
    found: int | None = connection.scalar(
        sa.select(sa.func.min(v.offset)).where(v.partition_no == part, v.offset >= first, v.offset < end)
    )
    return found


def pack(batch: pa.RecordBatch) -> bytes:
    """Return the bytes of a chunk with the votes of a batch (ROWS)."""
    rows = len(batch)
    parts = []
    for name in INTEGERS:
        values = batch[name].fill_null(NO_TIME).to_numpy(zero_copy_only=False).astype("<i8")
        parts.append(_shuffled(np.diff(values, prepend=values.dtype.type(0)) if name in _DIFFERENCES else values))
    ids = [one.encode() for one in batch["vote_id"].to_pylist()]
    styles = batch["style"].to_pylist()
    lengths = [-1 if one is None else len(one) for one in styles]
    parts += [_shuffled(np.array(each, dtype="<i8")) for each in (list(map(len, ids)), lengths)]
    texts, counts = b"".join(ids), b"".join(one for one in styles if one is not None)
    body = b"".join([*parts, texts, counts])
    head = np.array((rows, len(texts), len(body)), dtype=_HEAD).tobytes()
    return head + bytes(pa.compress(body, codec=_ZSTD, asbytes=True))


class PackedRows:
    """Reads the columns of a packed chunk. A column is decoded only when it is read."""

    def __init__(self, raw: bytes) -> None:
        """Unpack the bytes that `pack` returned."""
        head = np.frombuffer(raw, dtype=_HEAD, count=1)[0]
        self.rows, self._ids = int(head["rows"]), int(head["ids"])
        body = pa.decompress(pa.py_buffer(raw[_HEAD.itemsize :]), int(head["bytes"]), codec=_ZSTD)
        self._body = memoryview(body)

    def integers(self, name: str) -> Int64:
        """Return an integer column as int64[rows]; NO_TIME stands for a null of `voter_since`."""
        found = self._column(INTEGERS.index(name))
        return np.cumsum(found) if name in _DIFFERENCES else found

    def values(self, name: str, rows: Int64) -> list[Any]:
        """Return a column of some rows, int64[m], as Python values. This is much faster than `batch` for a few rows."""
        if name not in INTEGERS:
            return list(self._texts(name, rows))
        found = self.integers(name)[rows].tolist()
        return [None if one == NO_TIME else one for one in found] if name == "voter_since" else found

    def _texts(self, name: str, rows: Int64) -> Iterator[Any]:
        is_id = name == "vote_id"
        lengths = self._column(len(INTEGERS) + (not is_id))
        start = 8 * self.rows * (len(INTEGERS) + 2) + (0 if is_id else self._ids)
        ends = start + np.cumsum(np.maximum(lengths, 0))
        for length, end in zip(lengths[rows].tolist(), ends[rows].tolist(), strict=True):
            raw = None if length < 0 else bytes(self._body[end - length : end])
            yield raw.decode() if is_id and raw is not None else raw

    def batch(self) -> pa.RecordBatch:
        """Return all columns as a batch (ROWS)."""
        texts = 8 * self.rows * (len(INTEGERS) + 2)
        lengths = self._column(len(INTEGERS) + 1)
        known, ids, styles = lengths >= 0, self._body[texts : texts + self._ids], self._body[texts + self._ids :]
        columns = [
            _strings(self._column(len(INTEGERS)), ids, pa.string(), None),
            _strings(np.maximum(lengths, 0), styles, pa.binary(), known),
        ]
        for name in INTEGERS:
            values = self.integers(name)
            columns.append(pa.array(values, mask=values == NO_TIME if name == "voter_since" else None))
        return pa.record_batch(columns, schema=ROWS)

    def _column(self, at: int) -> Int64:
        raw = np.frombuffer(self._body, dtype=np.uint8, count=8 * self.rows, offset=8 * self.rows * at)
        return np.ascontiguousarray(raw.reshape(8, self.rows).T).view("<i8").ravel().astype(np.int64)


def table_columns(batch: pa.RecordBatch, part: int) -> Mapping[str, Any]:
    """Return the votes of a batch (ROWS) as columns of the table `vote`, for `dialect.load`."""
    columns: dict[str, Any] = {"partition_no": np.full(len(batch), part, dtype=np.int64)}
    columns |= {name: batch[name].to_numpy() for name in INTEGERS if name != "voter_since"}
    columns["voter_since"] = np.ma.masked_equal(batch["voter_since"].fill_null(NO_TIME).to_numpy(), NO_TIME)
    return {**columns, "vote_id": batch["vote_id"].to_pylist(), "style": batch["style"].to_pylist()}


def _shuffled(values: Int64) -> bytes:
    return np.ascontiguousarray(values.view(np.uint8).reshape(len(values), 8).T).tobytes()


def _strings(lengths: Int64, data: memoryview, kind: pa.DataType, known: Any) -> pa.Array:
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    valid = None if known is None or known.all() else pa.py_buffer(np.packbits(known, bitorder="little").tobytes())
    return pa.Array.from_buffers(kind, len(lengths), [valid, pa.py_buffer(ends), pa.py_buffer(data)])
