"""Stored votes as Arrow columns: what a seal reads, and what an audit reads again.

Laws: a batch is votes of one partition in the order of their offsets; the two databases give the same columns.

PostgreSQL sends CSV, which Arrow reads: rows through the driver, value by value, cost three times as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
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


def batches(connection: Connection, part: int, first: int, end: int) -> Iterator[pa.RecordBatch]:
    """The votes of a partition's [first, end), some at a time."""
    while first < end:
        found = (
            _copied(connection, part, first, end) if _is_postgres(connection) else _rows(connection, part, first, end)
        )
        if len(found):
            yield found
        if len(found) < ROWS:
            return
        first = found["offset"][-1].as_py() + 1


def numbers(batch: pa.RecordBatch, name: str) -> Any:
    """A column without nulls as a numpy array."""
    return batch[name].to_numpy()


def sources(connection: Connection) -> dict[int, tuple[str, int]]:
    """Partition → the name of its source, and its number there."""
    p, s = schema.partition.c, schema.source.c
    query = sa.select(p.partition_no, s.name, p.number).join(schema.source, s.source_no == p.source_no)
    return {row.partition_no: (row.name, row.number) for row in connection.execute(query)}


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _rows(connection: Connection, part: int, first: int, end: int) -> pa.RecordBatch:
    columns = ", ".join(f'"{name}"' for name in _NAMES)
    text = f"SELECT {columns} FROM vote WHERE partition_no = ? AND offset >= ? AND offset < ? ORDER BY offset LIMIT ?"  # noqa: S608
    cursor = connection.connection.cursor()
    rows = cursor.execute(text, (part, first, end, ROWS)).fetchall()
    cursor.close()
    given = zip(*rows, strict=True) if rows else [()] * len(_NAMES)
    return pa.record_batch([pa.array(values, f.type) for values, f in zip(given, SCHEMA, strict=True)], schema=SCHEMA)


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
