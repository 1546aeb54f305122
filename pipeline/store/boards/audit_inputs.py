"""What a sweep reads of the store: votes as columns, and what published snapshots took back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.db.connection_handover import raw_cursor
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import ACCEPTED
from pipeline.vocabulary.time import DAY

# Rows of one block: some 5 MB of Python objects at a time, however long the log is.
_ROWS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class VoteColumns:
    """Accepted votes, int64[n] each, in the order of partition and offset.

    Attributes:
        voter: pseudonym, 0 for absent.
        model_a, model_b: the store's numbers.
        outcome: a position in OUTCOMES.
        cast_at: microseconds since 1970 UTC.
        prompt: 64 bits of its hash, 0 for absent.
        category: the store's number of the term, 0 for absent.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int64
    cast_at: Int64
    prompt: Int64
    category: Int64

    def only(self, rows: Bool) -> VoteColumns:
        """Some of the votes."""
        return VoteColumns(*(getattr(self, name)[rows] for name in _NAMES))


_NAMES = tuple(field.name for field in fields(VoteColumns))


def vote_columns(connection: Connection) -> VoteColumns:
    """Every accepted vote that is sealed."""
    v, p = schema.vote.c, schema.partition.c
    parts: list[Int64] = []
    for part, end in connection.execute(sa.select(p.partition_no, p.sealed_offset).order_by(p.partition_no)).all():
        query = sa.select(*(v[name] for name in _NAMES)).where(
            v.partition_no == part, v.offset < end, v.fate == ACCEPTED
        )
        parts += _read(connection, query.order_by(v.offset))
    table = np.concatenate(parts, axis=1) if parts else np.zeros((len(_NAMES), 0), dtype=np.int64)
    return VoteColumns(*table)


def _read(connection: Connection, query: sa.Select[Any]) -> Iterator[Int64]:
    """A query for whole numbers as columns, int64[columns, rows] a block.

    Straight from the driver: SQLAlchemy's rows cost 15 µs a vote, twenty times as much as the votes themselves.
    """
    text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    cursor = raw_cursor(connection)
    try:
        yield from _copied(cursor, text) if connection.dialect.name == "postgresql" else _fetched(cursor, text)
    finally:
        cursor.close()


def _fetched(cursor: Any, text: str) -> Iterator[Int64]:
    cursor.execute(text)
    while rows := cursor.fetchmany(_ROWS):
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=len(rows) * len(_NAMES))
        yield np.ascontiguousarray(flat.reshape(len(rows), -1).T)


def _copied(cursor: Any, text: str) -> Iterator[Int64]:
    """PostgreSQL's binary COPY: no column is NULL, so every row has the same length and a block is one array."""
    row = np.dtype([("n", ">i2"), *(pair for name in _NAMES for pair in ((f"l{name}", ">i4"), (name, _WIDTH[name])))])
    full = _ROWS * row.itemsize
    with cursor.copy(f"COPY ({text}) TO STDOUT (FORMAT BINARY)") as copy:
        # A row comes at a time: joined in hand, they would be copied again and again.
        pieces: list[bytes] = []
        held, head = 0, _HEAD
        while data := copy.read():
            pieces.append(bytes(data))
            held += len(data)
            if held - head >= full:
                raw = b"".join(pieces)
                yield _block(raw[head : head + full], row)
                pieces, head = [raw[head + full :]], 0
                held = len(pieces[0])
    raw = b"".join(pieces)
    whole = (held - head) // row.itemsize
    if whole > 0:
        yield _block(raw[head : head + whole * row.itemsize], row)


def _block(raw: bytes, row: np.dtype[np.void]) -> Int64:
    rows = np.frombuffer(raw, dtype=row)
    return np.stack([rows[name].astype(np.int64) for name in _NAMES])


# Signature, flags and the length of what follows them: PostgreSQL documentation, "COPY", "Binary Format".
_HEAD = 19
_WIDTH = {
    name: ">i8" if isinstance(kind, sa.BigInteger) else ">i2" if isinstance(kind, sa.SmallInteger) else ">i4"
    for name, kind in ((name, schema.vote.c[name].type) for name in _NAMES)
}


def snapshot_boards(connection: Connection, view: str) -> list[tuple[int, list[Any]]]:
    """The last snapshot of each day (UTC) that has a view, the oldest first.

    Returns:
        (published at, rows of model, rating, lower, upper, votes) of each.
    """
    s, r = schema.snapshot.c, schema.snapshot_row.c
    last = (
        sa.select(sa.func.max(s.sequence))
        .where(s.sequence.is_not(None))
        .group_by(s.published_at - s.published_at % DAY)
    )
    query = (
        sa.select(s.published_at, r.model, r.rating, r.lower, r.upper, r.votes)
        .join(schema.snapshot_row, r.snapshot_id == s.snapshot_id)
        .where(s.sequence.in_(last), r.view == view)
        .order_by(s.sequence, r.model)
    )
    found: dict[int, list[Any]] = {}
    for at, *row in connection.execute(query):
        found.setdefault(int(at), []).append(row)
    return list(found.items())


def falls(connection: Connection, view: str = "raw") -> list[tuple[str, int, int, int, int | None]]:
    """Vote counts that went down from one published snapshot to the next, and names that were gone from it.

    Found by the database: a year of hourly snapshots is millions of rows, of which hardly one is told of.

    Returns:
        (model, the two sequence numbers, votes before, votes after or None), by sequence number and model.
    """
    s, r = schema.snapshot.c, schema.snapshot_row.c
    rows = (
        sa.select(
            r.model,
            s.sequence,
            r.votes,
            sa.func.lead(s.sequence).over(partition_by=r.model, order_by=s.sequence).label("next"),
            sa.func.lead(r.votes).over(partition_by=r.model, order_by=s.sequence).label("after"),
        )
        .join(schema.snapshot_row, r.snapshot_id == s.snapshot_id)
        .where(s.sequence.is_not(None), r.view == view)
        .subquery()
        .c
    )
    newest = sa.select(sa.func.max(s.sequence)).scalar_subquery()
    gone = sa.and_(rows.sequence < newest, sa.func.coalesce(rows.next, newest + 1) > rows.sequence + 1)
    fell = sa.and_(rows.next == rows.sequence + 1, rows.after < rows.votes)
    query = sa.select(
        rows.model, rows.sequence, rows.votes, sa.case((gone, sa.null()), else_=rows.after).label("left")
    ).where(sa.or_(gone, fell))
    found = connection.execute(query.order_by(rows.sequence, rows.model))
    return [(m, int(n), int(n) + 1, int(votes), None if left is None else int(left)) for m, n, votes, left in found]


def first_shown(connection: Connection, view: str = "raw") -> dict[str, int]:
    """When each model first stood in a published snapshot."""
    s, r = schema.snapshot.c, schema.snapshot_row.c
    query = (
        sa.select(r.model, sa.func.min(s.published_at))
        .join(schema.snapshot_row, r.snapshot_id == s.snapshot_id)
        .where(s.sequence.is_not(None), r.view == view)
        .group_by(r.model)
    )
    return {model: int(at) for model, at in connection.execute(query)}
