"""Retracts votes. A retracted vote counts in no view from the next seal on.

Doubtful votes are excluded, not retracted. Retractions are for votes that should never have counted: votes that a test
cast, that were published by mistake, or that the voter withdrew.

A retraction has a reason and a name, and is a leaf of the public log. The leaf of the vote stays. A vote is retracted
at most once, and only after it was sealed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.ledger import leaf
from pipeline.ledger.leaf import MAX_TEXT
from pipeline.store.cold.vote_positions import read_at
from pipeline.store.db import schema
from pipeline.store.log import leaf_index
from pipeline.store.votes.ingest import VotePosition

Cell = tuple[int, int, int, int]
"""(model_a, model_b, outcome, fate) of a vote: the key under which sealed votes are counted."""
_CELL = ("model_a", "model_b", "outcome", "fate")


@dataclass(frozen=True, slots=True)
class PendingRetraction:
    """A retraction that is stored but has no leaf in the log yet.

    Attributes:
        number: number of the retraction (retraction_no).
        vote_id: id of the retracted vote.
        retracts: index of the vote's leaf.
        reason: why the vote is retracted.
        at: time of the retraction, microseconds since 1970 UTC.
        cell: (model_a, model_b, outcome, fate) of the vote.
        position: (partition_no, offset) of the vote.
    """

    number: int
    vote_id: str
    retracts: int
    reason: str
    at: int
    cell: Cell
    position: VotePosition


def retract(connection: Connection, position: VotePosition, vote_id: str, reason: str, name: str, now: int) -> int:
    """Store the retraction of a sealed vote. The next seal appends it to the log.

    Args:
        connection: the transaction.
        position: (partition_no, offset) of the vote.
        vote_id: id of the vote.
        reason: why the vote is retracted. The reason becomes public.
        name: the person who retracts the vote.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The index of the vote's leaf.

    Raises:
        Usage: reason or name is empty, the reason is too long, the vote is not in the log yet, or it was retracted
            before.
    """
    if not reason.strip() or not name.strip():
        raise Usage("expected a reason and a name: nothing is retracted without both")
    if len(reason) > MAX_TEXT:
        raise Usage(f"--reason: expected at most {MAX_TEXT} characters, got {len(reason)}: it becomes public")
    retracts = leaf_index.find_leaves(connection, [position]).get(position)
    if retracts is None:
        raise Usage(f"expected a vote that is in the log, got {vote_id}: `integrity refresh` seals it")
    r = schema.retraction.c
    found = connection.scalar(sa.select(r.retraction_no).where(r.partition_no == position[0], r.offset == position[1]))
    if found is not None:
        raise Usage(f"expected a vote that counts, got {vote_id}, which was retracted before")
    connection.execute(
        schema.retraction.insert(),
        {
            "partition_no": position[0],
            "offset": position[1],
            "vote_id": vote_id,
            "reason": reason,
            "name": name,
            "at": now,
            "retracts": retracts,
        },
    )
    return retracts


def read_pending(connection: Connection) -> list[PendingRetraction]:
    """Return the retractions that have no leaf yet, oldest first."""
    r = schema.retraction.c
    query = sa.select(r.retraction_no, r.vote_id, r.retracts, r.reason, r.at, r.partition_no, r.offset)
    rows = connection.execute(query.where(r.leaf.is_(None)).order_by(r.retraction_no)).all()
    cells = read_at(connection, _CELL, ((row.partition_no, row.offset) for row in rows))
    listed = ((row, (row.partition_no, row.offset)) for row in rows)
    return [PendingRetraction(*row[:5], _cell(cells[place]), place) for row, place in listed if place in cells]


def _cell(row: tuple[int, ...]) -> Cell:
    model_a, model_b, outcome, fate = row
    return model_a, model_b, outcome, fate


def set_leaves(connection: Connection, retractions: Iterable[PendingRetraction], first: int) -> None:
    """Store the leaf index of each retraction: `first` for the first, `first + 1` for the second, and so on."""
    r = schema.retraction.c
    for at, one in enumerate(retractions):
        connection.execute(sa.update(schema.retraction).where(r.retraction_no == one.number).values(leaf=first + at))


RetractionRow = tuple[int, str, int, str, int]
"""(index of the retraction's leaf, id of the vote, index of the vote's leaf, reason, time in microseconds since 1970
UTC)"""


def build_leaves(rows: list[RetractionRow]) -> pa.Table:
    """Build the public leaves of retractions as a table with `leaf.SCHEMA`, in the given order.

    Args:
        rows: tuples (index of the retraction's leaf, id of the vote, index of the vote's leaf, reason, time in
            microseconds since 1970 UTC).
    """
    return leaf.retraction_rows(
        [row[1] for row in rows],
        np.array([row[4] for row in rows], dtype=np.int64),
        [row[2] for row in rows],
        [row[3] for row in rows],
    )


def any_between(connection: Connection, first: int, end: int) -> bool:
    """Return whether one of the leaves `first` to `end` − 1 of the vote log is a retraction."""
    r = schema.retraction.c
    found = sa.select(r.retraction_no).where(r.leaf >= first, r.leaf < end).limit(1)
    return connection.scalar(found) is not None


def retracted_cells(connection: Connection, first: int, end: int) -> list[Cell]:
    """Return (model_a, model_b, outcome, fate) of the votes that the leaves `first` to `end` − 1 of the log retract."""
    r = schema.retraction.c
    query = sa.select(r.partition_no, r.offset).where(r.leaf >= first, r.leaf < end)
    found = read_at(connection, _CELL, (tuple(row) for row in connection.execute(query)))
    return [_cell(row) for row in found.values()]


def read_range(connection: Connection, first: int, end: int) -> list[RetractionRow]:
    """Return the retractions among the leaves `first` to `end` − 1 of the vote log, by leaf index.

    Returns:
        Tuples (index of the retraction's leaf, id of the vote, index of the vote's leaf, reason, time in microseconds
        since 1970 UTC).
    """
    r = schema.retraction.c
    query = sa.select(r.leaf, r.vote_id, r.retracts, r.reason, r.at).where(r.leaf >= first, r.leaf < end)
    return [tuple(row) for row in connection.execute(query.order_by(r.leaf))]


def retracted_positions(connection: Connection, log_size: int | None) -> set[VotePosition]:
    """Return the positions (partition_no, offset) of retracted votes.

    Args:
        connection: reads the store.
        log_size: only retractions among the first `log_size` leaves of the vote log. None for all retractions, even
            those without a leaf.
    """
    r = schema.retraction.c
    query = sa.select(r.partition_no, r.offset)
    rows = connection.execute(query if log_size is None else query.where(r.leaf < log_size))
    return {(int(part), int(offset)) for part, offset in rows}
