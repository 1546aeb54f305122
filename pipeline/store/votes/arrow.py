"""Stored votes as Arrow columns: what a seal reads, and what an audit reads again.

Laws: a batch is votes of one partition in the order of their offsets; the two databases give the same columns.

Both databases put the rows of a batch together as one text in CSV (`dialect.csv_of`), which Arrow reads. A thread
reads the next batch while the caller works on this one, without Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.concurrency import prefetch
from pipeline.store.db import dialect, schema
from pipeline.store.db.connection_handover import lend

Made = TypeVar("Made")
Range = tuple[int, int, int]

ROWS = 32_768
"""Votes of a batch."""
# Batches that wait for the caller: one more than is needed, so that neither waits for the other's every pause.
_AHEAD = 2

SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("vote_id", pa.string()),
        ("voter", pa.int64()),
        ("cast_at", pa.int64()),
        ("appended_at", pa.string()),
        *((name, pa.int32()) for name in ("model_a", "model_b", "outcome", "fate", "language", "category", "network")),
        ("prompt", pa.string()),
        ("voter_since", pa.string()),
        ("style", pa.binary()),
    ]
)
"""Times that only a leaf wants are in decimal, `prompt` is 16 hexadecimal digits: as the leaf writes them."""

# The rest are integers.
_KINDS = {"vote_id": "text", "prompt": "hex64", "voter_since": "maybe_integer", "style": "maybe_bytes"}
_COLUMNS = {name: _KINDS.get(name, "integer") for name in SCHEMA.names}


def batches(connection: Connection, part: int, first: int, end: int) -> Generator[pa.RecordBatch, None, None]:
    """The votes of a partition's [first, end), some at a time.

    Until it is exhausted or closed, the connection is lent to the thread that reads.
    """
    with closing(prepared(connection, [(part, first, end)], lambda _, batch: len(batch))) as found:
        yield from (batch for _, batch, _ in found)


def prepared(
    connection: Connection, ranges: Sequence[Range], prepare: Callable[[int, pa.RecordBatch], Made]
) -> Generator[tuple[int, pa.RecordBatch, Made], None, None]:
    """The votes of ranges, one range after the other, read and prepared ahead by two threads.

    Args:
        connection: as for `batches`.
        ranges: partition, first offset, end.
        prepare: what the second thread makes of a partition's batch besides.

    Yields:
        (position of the range, batch, what was made of it)
    """

    def found() -> Generator[tuple[int, pa.RecordBatch], None, None]:
        loan.accept()
        for at, (part, first, end) in enumerate(ranges):
            low: int | None = first
            while low is not None and low < end:
                batch = _read(connection, part, low, min(low + ROWS, end))
                if len(batch):
                    yield at, batch
                # Where many offsets hold no vote, the next one that does is asked for.
                low = low + ROWS if len(batch) else _next(connection, part, low, end)

    def made() -> Generator[tuple[int, pa.RecordBatch, Made], None, None]:
        with closing(prefetch(found(), _AHEAD)) as batches:
            yield from ((at, batch, prepare(ranges[at][0], batch)) for at, batch in batches)

    with lend(connection) as loan:
        yield from prefetch(made(), _AHEAD)


def numbers(batch: pa.RecordBatch, name: str) -> Any:
    """A column without nulls as a numpy array."""
    return batch[name].to_numpy()


def sources(connection: Connection) -> dict[int, tuple[str, int]]:
    """Partition → the name of its source, and its number there."""
    p, s = schema.partition.c, schema.source.c
    query = sa.select(p.partition_no, s.name, p.number).join(schema.source, s.source_no == p.source_no)
    return {row.partition_no: (row.name, row.number) for row in connection.execute(query)}


def _read(connection: Connection, part: int, first: int, end: int) -> pa.RecordBatch:
    query = dialect.csv_of(connection, _COLUMNS, "vote")
    found = _parsed(dialect.fetch_bytes(connection, query, (part, first, end)))
    # The order within an aggregate is a habit of databases, not a promise.
    ordered = pc.all(pc.greater(found["offset"][1:], found["offset"][:-1])).as_py()
    return found if ordered in (True, None) else found.sort_by("offset")


def _next(connection: Connection, part: int, first: int, end: int) -> int | None:
    """The first offset of [first, end) that holds a vote."""
    v = schema.vote.c
    found: int | None = connection.scalar(
        sa.select(sa.func.min(v.offset)).where(v.partition_no == part, v.offset >= first, v.offset < end)
    )
    return found


def _parsed(data: bytes) -> pa.RecordBatch:
    if not data:
        return pa.RecordBatch.from_pylist([], SCHEMA)
    kinds = {f.name: pa.string() if f.name == "style" else f.type for f in SCHEMA}
    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        read_options=arrow_csv.ReadOptions(column_names=SCHEMA.names, use_threads=False, block_size=len(data) + 1),
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
