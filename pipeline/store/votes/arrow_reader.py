"""Reads stored votes, hot and archived ones, as Arrow record batches, for seals, audits and rebuilds.

A batch has votes of one partition, in the order of their offsets. SQLite and PostgreSQL give the same columns: both
return the rows of a batch as one CSV text (`db/csv_query.py`), which Arrow parses. A thread reads the next batch while
the caller works on the present one.
"""

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
from pipeline.store.cold import cold_files, cold_votes, vote_rows
from pipeline.store.db import dialect, schema
from pipeline.store.db.connection_handover import lend
from pipeline.store.db.csv_query import csv_query

Prepared = TypeVar("Prepared")
OffsetRange = tuple[int, int, int]
"""(partition_no, first offset, offset after the last one)"""

BATCH_ROWS = 32_768
"""Number of offsets in a batch, and therefore its largest number of votes."""
# Batches read ahead: one more than is needed, so that neither side waits at every pause of the other.
_AHEAD = 2

_LATER = {"flags": pa.int32(), "turn": pa.int32(), "session": pa.int64(), "categories": pa.int32()}
VOTE_SCHEMA = pa.schema(
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
        *((name, kind) for name, kind in _LATER.items()),
    ]
)
"""Columns of a batch. Some are texts, as leaves contain them: `appended_at` and `voter_since` are decimal numbers,
`prompt` is 16 hexadecimal digits."""

# The rest are integers.
_KINDS = {"vote_id": "text", "prompt": "hex64", "voter_since": "maybe_integer", "style": "maybe_bytes"}
_COLUMNS = {name: _KINDS.get(name, "integer") for name in VOTE_SCHEMA.names}


def read_batches(connection: Connection, part: int, first: int, end: int) -> Generator[pa.RecordBatch, None, None]:
    """Yield the votes at offsets [first, end) of a partition, batch by batch.

    Another thread uses the connection until the generator is exhausted or closed. The caller must not use it meanwhile.
    """
    with closing(read_prepared(connection, [(part, first, end)], lambda _, batch: len(batch))) as found:
        yield from (batch for _, batch, _ in found)


def read_prepared(
    connection: Connection, ranges: Sequence[OffsetRange], prepare: Callable[[int, pa.RecordBatch], Prepared]
) -> Generator[tuple[int, pa.RecordBatch, Prepared], None, None]:
    """Yield the votes of several ranges batch by batch, together with what `prepare` returns for each batch.

    One thread reads batches in advance, and a second thread calls `prepare`. Empty batches are left out.

    Args:
        connection: connection to the store. The first thread uses it until the generator is exhausted or closed.
        ranges: (partition_no, first offset, end) of each range, in the order of reading.
        prepare: a function that takes the partition number (partition_no) and a batch.

    Yields:
        (index of the range in `ranges`, batch, result of `prepare`)
    """

    def found() -> Generator[tuple[int, pa.RecordBatch], None, None]:
        loan.accept()
        for at, (part, first, end) in enumerate(ranges):
            low: int | None = first
            while low is not None and low < end:
                batch = read_batch(connection, part, low, min(low + BATCH_ROWS, end))
                if len(batch):
                    yield at, batch
                # Skips offsets without votes, which may be many.
                low = low + BATCH_ROWS if len(batch) else next_vote(connection, part, low, end)

    def prepared() -> Generator[tuple[int, pa.RecordBatch, Prepared], None, None]:
        with closing(prefetch(found(), _AHEAD)) as batches:
            yield from ((at, batch, prepare(ranges[at][0], batch)) for at, batch in batches)

    with lend(connection) as loan:
        yield from prefetch(prepared(), _AHEAD)


def to_numpy(batch: pa.RecordBatch, name: str) -> Any:
    """Return a column of a batch as a numpy array. The column must not have nulls."""
    return batch[name].to_numpy()


def partition_sources(connection: Connection) -> dict[int, tuple[str, int]]:
    """Return where each partition comes from.

    Returns:
        Partition number (partition_no) → (name of the source, source's number of the partition).
    """
    p, s = schema.partition.c, schema.source.c
    query = sa.select(p.partition_no, s.name, p.number).join(schema.source, s.source_no == p.source_no)
    return {row.partition_no: (row.name, row.number) for row in connection.execute(query)}


def read_batch(connection: Connection, part: int, first: int, end: int) -> pa.RecordBatch:
    """Read the votes at offsets [first, end) of a partition, in the calling thread.

    The range has at most BATCH_ROWS offsets.
    """
    query = csv_query(connection, _COLUMNS, "vote")
    found = _parse(dialect.fetch_bytes(connection, query, (part, first, end)))
    if cold_files.holds(connection, part, first, end):
        cold = _as_texts(cold_votes.read_rows(connection, part, first, end))
        found = pa.Table.from_batches([cold, found]).combine_chunks().to_batches()[0] if len(found) else cold
    # Databases do not promise the order within an aggregate.
    ordered = pc.all(pc.greater(found["offset"][1:], found["offset"][:-1])).as_py()
    return found if ordered in (True, None) else found.sort_by("offset")


def _as_texts(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return archived votes (`vote_rows.ROWS`) with the columns of VOTE_SCHEMA."""
    digits = rows["prompt"].to_numpy().astype(">i8").tobytes().hex()
    texts = {
        "prompt": pa.array([digits[at : at + 16] for at in range(0, len(digits), 16)], pa.string()),
        "appended_at": rows["appended_at"].cast(pa.string()),
        "voter_since": rows["voter_since"].cast(pa.string()),
    }
    return pa.record_batch([texts.get(f.name, rows[f.name]).cast(f.type) for f in VOTE_SCHEMA], schema=VOTE_SCHEMA)


def next_vote(connection: Connection, part: int, first: int, end: int) -> int | None:
    """Return the first offset in [first, end) that has a vote; None if there is none."""
    found = [vote_rows.next_hot(connection, part, first, end), cold_votes.next_vote(connection, part, first, end)]
    return min((one for one in found if one is not None), default=None)


def _parse(data: bytes) -> pa.RecordBatch:
    if not data:
        return pa.RecordBatch.from_pylist([], VOTE_SCHEMA)
    kinds = {f.name: pa.string() if f.name == "style" else f.type for f in VOTE_SCHEMA}
    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        read_options=arrow_csv.ReadOptions(column_names=VOTE_SCHEMA.names, use_threads=False, block_size=len(data) + 1),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    ).combine_chunks()
    found = [_from_hex(table[f.name].chunk(0)) if f.name == "style" else table[f.name].chunk(0) for f in VOTE_SCHEMA]
    return pa.record_batch(found, schema=VOTE_SCHEMA)


def _from_hex(texts: pa.StringArray) -> pa.BinaryArray:
    """Return the bytes that texts of hexadecimal digits stand for."""
    valid, _, data = texts.buffers()
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32, count=len(texts) + 1, offset=texts.offset * 4)
    raw = b"" if data is None else bytes.fromhex(data.to_pybytes()[: offsets[-1]].decode())
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(texts), [valid, pa.py_buffer(offsets // 2), pa.py_buffer(raw)], offset=0
    )
