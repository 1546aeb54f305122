"""Reads what audits need: accepted votes, one board for each day, and models that lost votes between snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.cold import cold_votes
from pipeline.store.db import dialect, schema
from pipeline.store.db.sort_order import CodePointOrder
from pipeline.store.log import leaf_index
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import ACCEPTED
from pipeline.vocabulary.time import DAY

# Rows of one block: some 5 MB of Python objects at a time.
_ROWS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class VoteColumns:
    """Holds accepted votes as columns int64[n] for the audits, in the order of partition_no and offset.

    Attributes:
        voter: pseudonym, 0 without a voter.
        model_a, model_b: model numbers of the store (model_no).
        outcome: index into OUTCOMES.
        cast_at: microseconds since 1970 UTC.
        prompt: 64 bits of the prompt's hash, 0 without a prompt.
        category: term number (term_no) of the category, 0 without a category.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int64
    cast_at: Int64
    prompt: Int64
    category: Int64

    def filter(self, rows: Bool) -> VoteColumns:
        """Return the votes at which the mask bool[n] is True."""
        return VoteColumns(*(getattr(self, name)[rows] for name in _NAMES))


_NAMES = tuple(field.name for field in fields(VoteColumns))


def read_vote_columns(connection: Connection, *, voters: bool = True) -> VoteColumns:
    """Return all sealed votes whose fate is accepted, as columns. Late votes are left out.

    Args:
        connection: reads the store.
        voters: False leaves the column `voter` at 0, for database roles that may not read voters.
    """
    parts = [one for one, _ in read_vote_blocks(connection, voters=voters)]
    if not parts:
        return VoteColumns(*np.zeros((len(_NAMES), 0), dtype=np.int64))
    return VoteColumns(*(np.concatenate([getattr(one, name) for one in parts]) for name in _NAMES))


def read_vote_blocks(
    connection: Connection, *, voters: bool = True, old_leaves: int = 0
) -> Iterator[tuple[VoteColumns, bool]]:
    """Yield all sealed votes whose fate is accepted, as pairs (block of votes, whether the votes of the block are old).

    Args:
        connection: reads the store.
        voters: False leaves the column `voter` at 0, for database roles that may not read voters.
        old_leaves: a vote is old if its leaf is among this number of first leaves of the log.
    """
    nobody = sa.cast(sa.literal(0), sa.BigInteger)
    v, p = schema.vote.c, schema.partition.c
    columns = [v[name] if voters or name != "voter" else nobody for name in _NAMES]
    old = leaf_index.next_offsets(connection, old_leaves) if old_leaves > 0 else {}
    for part, end in connection.execute(sa.select(p.partition_no, p.sealed_offset).order_by(p.partition_no)).all():
        cut = old.get(part, 0)
        for first, last, is_old in ((0, cut, True), (cut, end, False)):
            if first < last:
                inside = (v.partition_no == part, v.offset >= first, v.offset < last, v.fate == ACCEPTED)
                for archived in _archived_blocks(connection, part, first, last, voters=voters):
                    yield archived, is_old
                query = sa.select(*columns).where(*inside).order_by(v.offset)
                for block in dialect.read_integers(connection, query, _ROWS):
                    yield VoteColumns(*block), is_old


def newest_cast_at(connection: Connection) -> int:
    """Return when the newest sealed vote with the fate accepted was cast, in microseconds since 1970 UTC; 0 if none."""
    v, p = schema.vote.c, schema.partition.c
    sealed = sa.and_(p.partition_no == v.partition_no, v.offset < p.sealed_offset)
    query = sa.select(sa.func.max(v.cast_at)).join(schema.partition, sealed).where(v.fate == ACCEPTED)
    archived = connection.scalar(sa.select(sa.func.max(schema.cold_range.c.newest_accepted_at)))
    return max(int(connection.scalar(query) or 0), int(archived or 0))


def _archived_blocks(connection: Connection, part: int, first: int, end: int, *, voters: bool) -> Iterator[VoteColumns]:
    for rows in cold_votes.blocks(connection, part, first, end):
        kept = rows.filter(pc.equal(rows["fate"], ACCEPTED))
        if len(kept):
            column = {name: kept[name].to_numpy() for name in _NAMES}
            yield VoteColumns(
                *(np.zeros_like(c) if name == "voter" and not voters else c for name, c in column.items())
            )


def read_daily_boards(connection: Connection, view: str) -> list[tuple[int, list[Any]]]:
    """Return the last published board of each UTC day, oldest day first.

    Args:
        connection: reads the store.
        view: name of the view. Snapshots without this view are ignored.

    Returns:
        One pair for each day with a publication. The first value is the time when the board was published, in
        microseconds since 1970 UTC. The second is a list of its rows (model, rating, lower, upper, votes), sorted by
        model.
    """
    s, r = schema.snapshot.c, schema.snapshot_row.c
    last = (
        sa.select(sa.func.max(s.sequence))
        .where(s.sequence.is_not(None), s.snapshot_id.in_(sa.select(r.snapshot_id).where(r.view == view)))
        .group_by(s.published_at - s.published_at % DAY)
    )
    query = (
        sa.select(s.published_at, r.model, r.rating, r.lower, r.upper, r.votes)
        .join(schema.snapshot_row, r.snapshot_id == s.snapshot_id)
        .where(s.sequence.in_(last), r.view == view)
        .order_by(s.sequence, CodePointOrder(r.model))
    )
    found: dict[int, list[Any]] = {}
    for at, *row in connection.execute(query):
        found.setdefault(int(at), []).append(row)
    return list(found.items())


def find_falling_counts(connection: Connection, view: str = "raw") -> list[tuple[str, int, int, int, int | None]]:
    """Find models that lost votes or disappeared from one published snapshot to the next.

    The database compares the snapshots, because a year of hourly snapshots has millions of rows.

    Args:
        connection: reads the store.
        view: the view whose numbers of votes are compared.

    Returns:
        Tuples (model, sequence number, next sequence number, votes before, votes after), sorted by sequence number and
        model. The last value is None if the model disappeared.
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
    found = connection.execute(query.order_by(rows.sequence, CodePointOrder(rows.model)))
    return [(m, int(n), int(n) + 1, int(votes), None if left is None else int(left)) for m, n, votes, left in found]


def first_published_at(connection: Connection, view: str = "raw") -> dict[str, int]:
    """Return when each model first appeared in a published snapshot.

    Args:
        connection: reads the store.
        view: the view whose rows are read.

    Returns:
        Model → time of the publication in microseconds since 1970 UTC. A model that was never published is left out.
    """
    s, r = schema.snapshot.c, schema.snapshot_row.c
    query = (
        sa.select(r.model, sa.func.min(s.published_at))
        .join(schema.snapshot_row, r.snapshot_id == s.snapshot_id)
        .where(s.sequence.is_not(None), r.view == view)
        .group_by(r.model)
    )
    return {model: int(at) for model, at in connection.execute(query)}
