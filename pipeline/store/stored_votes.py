"""Stored votes as Arrow columns: what a seal reads, and what an audit reads again.

Laws: a batch is votes of one partition in the order of their offsets; the two databases give the same columns.

Both databases send CSV, which Arrow reads: rows through a driver, value by value, cost more than all the hashing of a
seal. A thread reads the next batch while the caller works on this one, without Python's lock.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store import schema

ROWS = 50_000
"""Votes of a batch."""

SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("vote_id", pa.string()),
        ("voter", pa.int64()),
        ("cast_at", pa.int64()),
        ("appended_at", pa.int64()),
        *((name, pa.int32()) for name in ("model_a", "model_b", "outcome", "fate", "language", "category", "network")),
        ("prompt", pa.int64()),
        ("voter_since", pa.int64()),
        ("style", pa.binary()),
    ]
)
_NAMES = tuple(SCHEMA.names)


def batches(connection: Connection, part: int, first: int, end: int) -> Generator[pa.RecordBatch, None, None]:
    """The votes of a partition's [first, end), some at a time.

    Between two batches the connection is busy with the next one: close the iterator before using it otherwise.
    """
    read = _copied if connection.dialect.name == "postgresql" else _concatenated
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read, connection, part, first, end)
        while len(found := coming.result()):
            last = found["offset"][-1].as_py()
            if len(found) < ROWS:
                yield found
                return
            coming = thread.submit(read, connection, part, last + 1, end)
            yield found


def numbers(batch: pa.RecordBatch, name: str) -> Any:
    """A column without nulls as a numpy array."""
    return batch[name].to_numpy()


def sources(connection: Connection) -> dict[int, tuple[str, int]]:
    """Partition → the name of its source, and its number there."""
    p, s = schema.partition.c, schema.source.c
    query = sa.select(p.partition_no, s.name, p.number).join(schema.source, s.source_no == p.source_no)
    return {row.partition_no: (row.name, row.number) for row in connection.execute(query)}


def _concatenated(connection: Connection, part: int, first: int, end: int) -> pa.RecordBatch:
    """SQLite: one text of many rows is one step of the cursor, and is put together without Python."""
    line = " || ',' || ".join(_sqlite_text(name) for name in _NAMES)
    columns = ", ".join(f'"{name}"' for name in _NAMES)
    text = (
        f"SELECT group_concat({line}, char(10)) FROM (SELECT {columns} FROM vote "  # noqa: S608
        'WHERE partition_no = ? AND "offset" >= ? AND "offset" < ? ORDER BY "offset" LIMIT ?)'
    )
    cursor = connection.connection.cursor()
    (data,) = cursor.execute(text, (part, first, end, ROWS)).fetchone()
    cursor.close()
    found = _parsed((data or "").encode())
    # The order within an aggregate is a habit of SQLite's, not a promise.
    ordered = pc.all(pc.greater(found["offset"][1:], found["offset"][:-1])).as_py()
    return found if ordered in (True, None) else found.sort_by("offset")


def _sqlite_text(name: str) -> str:
    if name == "vote_id":
        return """'"' || replace(vote_id, '"', '""') || '"'"""
    if name == "style":
        return "coalesce(lower(hex(style)), '')"
    return "coalesce(voter_since, '')" if name == "voter_since" else f'"{name}"'


def _copied(connection: Connection, part: int, first: int, end: int) -> pa.RecordBatch:
    columns = ", ".join("encode(style, 'hex')" if name == "style" else f'"{name}"' for name in _NAMES)
    text = (
        f'COPY (SELECT {columns} FROM vote WHERE partition_no = {part:d} AND "offset" >= {first:d} '  # noqa: S608
        f'AND "offset" < {end:d} ORDER BY "offset" LIMIT {ROWS:d}) TO STDOUT (FORMAT CSV)'
    )
    cursor: Any = connection.connection.cursor()
    with cursor.copy(text) as copy:
        data = b"".join(copy)
    cursor.close()
    return _parsed(data)


def _parsed(data: bytes) -> pa.RecordBatch:
    if not data:
        return pa.RecordBatch.from_pylist([], SCHEMA)
    kinds = {f.name: pa.string() if f.name == "style" else f.type for f in SCHEMA}
    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        read_options=arrow_csv.ReadOptions(column_names=_NAMES, use_threads=False, block_size=len(data) + 1),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    ).combine_chunks()
    found = [_from_hex(table[f.name].chunk(0)) if f.name == "style" else table[f.name].chunk(0) for f in SCHEMA]
    return pa.record_batch(found, schema=SCHEMA)


def _from_hex(texts: pa.StringArray) -> pa.BinaryArray:
    """Texts of hexadecimal digits as their bytes."""
    valid, _, data = texts.buffers()
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32, count=len(texts) + 1, offset=texts.offset * 4)
    raw = b"" if data is None else bytes.fromhex(data.to_pybytes()[: offsets[-1]].decode())
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(texts), [valid, pa.py_buffer(offsets // 2), pa.py_buffer(raw)], offset=0
    )
