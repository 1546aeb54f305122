"""Votes that must stop counting altogether: in neither view, from the next seal on.

Laws: a retraction has a reason and a name, and is a leaf of the public log; the vote's own leaf stays; a vote is taken
back once, and only after it has been sealed. An exclusion (`exclusions`) is for votes that are doubted; a retraction is
for votes that ought never to have been counted: cast by a test, published by mistake, asked back by who cast it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.ledger import leaf
from pipeline.ledger.leaf import MAX_TEXT
from pipeline.store.db import schema
from pipeline.store.log import leaf_index
from pipeline.store.log.leaf_index import Place

Cell = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A retraction that has no leaf yet.

    Attributes:
        number: of the retraction.
        vote_id: what is taken back.
        retracts: its leaf.
        reason: why.
        at: when, microseconds since 1970 UTC.
        cell: model_a, model_b, outcome, fate: what no longer counts.
    """

    number: int
    vote_id: str
    retracts: int
    reason: str
    at: int
    cell: Cell


def add(connection: Connection, place: Place, vote_id: str, reason: str, name: str, now: int) -> int:
    """Take a vote back.

    Returns:
        The vote's leaf.

    Raises:
        Usage: no reason or no name, not in the log yet, or taken back already.
    """
    if not reason.strip() or not name.strip():
        raise Usage("expected a reason and a name: nothing is taken back without both")
    if len(reason) > MAX_TEXT:
        raise Usage(f"--reason: expected at most {MAX_TEXT} characters, got {len(reason)}: it becomes public")
    retracts = leaf_index.leaves(connection, [place]).get(place)
    if retracts is None:
        raise Usage(f"expected a vote that is in the log, got {vote_id}: `integrity refresh` seals it")
    r = schema.retraction.c
    found = connection.scalar(sa.select(r.retraction_no).where(r.partition_no == place[0], r.offset == place[1]))
    if found is not None:
        raise Usage(f"expected a vote that counts, got {vote_id}, which was taken back already")
    connection.execute(
        schema.retraction.insert(),
        {
            "partition_no": place[0],
            "offset": place[1],
            "vote_id": vote_id,
            "reason": reason,
            "name": name,
            "at": now,
            "retracts": retracts,
        },
    )
    return retracts


def waiting(connection: Connection) -> list[Waiting]:
    """Retractions that have no leaf yet, oldest first."""
    r, v = schema.retraction.c, schema.vote.c
    query = (
        sa.select(
            r.retraction_no, r.vote_id, r.retracts, r.reason, r.at, v.model_a, v.model_b, v.outcome, v.fate
        )
        .join(schema.vote, sa.and_(v.partition_no == r.partition_no, v.offset == r.offset))
        .where(r.leaf.is_(None))
        .order_by(r.retraction_no)
    )  # fmt: skip
    return [Waiting(*row[:5], tuple(row[5:])) for row in connection.execute(query)]


def sealed(connection: Connection, which: Iterable[Waiting], first: int) -> None:
    """Give retractions their leaves, from `first` on."""
    r = schema.retraction.c
    for at, one in enumerate(which):
        connection.execute(sa.update(schema.retraction).where(r.retraction_no == one.number).values(leaf=first + at))


Row = tuple[int, str, int, str, int]
"""Leaf, vote, the leaf that it takes back, reason, time."""


def rows(given: list[Row]) -> pa.Table:
    """Retractions as leaves."""
    return leaf.retraction_rows(
        [row[1] for row in given],
        np.array([row[4] for row in given], dtype=np.int64),
        [row[2] for row in given],
        [row[3] for row in given],
    )


def cells(connection: Connection, first: int, end: int) -> list[Cell]:
    """What no longer counts by the retractions in [first, end) of the log."""
    r, v = schema.retraction.c, schema.vote.c
    query = (
        sa.select(v.model_a, v.model_b, v.outcome, v.fate)
        .join(schema.retraction, sa.and_(v.partition_no == r.partition_no, v.offset == r.offset))
        .where(r.leaf >= first, r.leaf < end)
    )
    return [(row.model_a, row.model_b, row.outcome, row.fate) for row in connection.execute(query)]


def between(connection: Connection, first: int, end: int) -> list[Row]:
    """The retractions in [first, end) of the log."""
    r = schema.retraction.c
    query = sa.select(r.leaf, r.vote_id, r.retracts, r.reason, r.at).where(r.leaf >= first, r.leaf < end)
    return [tuple(row) for row in connection.execute(query.order_by(r.leaf))]


def taken_back(connection: Connection, log_size: int) -> set[Place]:
    """The votes that no longer count when the log has this size."""
    r = schema.retraction.c
    rows = connection.execute(sa.select(r.partition_no, r.offset).where(r.leaf < log_size))
    return {(int(part), int(offset)) for part, offset in rows}
