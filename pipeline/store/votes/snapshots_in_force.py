"""Stored votes as a voter detector saw them, for folding them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.scoring.vote_processor import PartitionVotes
from pipeline.store.db import schema
from pipeline.vocabulary.fates import QUARANTINED

_ROWS = 20_000


def in_force(connection: Connection, partition_no: int) -> list[tuple[int, int]]:
    """(from_offset, sequence) of every snapshot that judged a partition's votes, in order."""
    f = schema.in_force.c
    rows = connection.execute(
        sa.select(f.from_offset, f.sequence).where(f.partition_no == partition_no).order_by(f.from_offset)
    )
    return [(int(offset), int(sequence)) for offset, sequence in rows]


def within(periods: Sequence[tuple[int, int]], first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(sequence, first, end) of each snapshot's part of [first, end). Before the first there is no evidence."""
    ends = [*(offset for offset, _ in periods[1:]), end][: len(periods)]
    for (start, sequence), stop in zip(periods, ends, strict=True):
        if max(start, first) < min(stop, end):
            yield sequence, max(start, first), min(stop, end)


def voter_votes(connection: Connection, partition_no: int, first: int, end: int) -> Iterator[PartitionVotes]:
    """The votes with a voter in [first, end), quarantined ones left out, a few thousand at a time."""
    v = schema.vote.c
    query = (
        sa.select(v.voter, v.offset, v.cast_at, v.model_a, v.model_b, v.outcome, v.prompt)
        .where(v.partition_no == partition_no, v.offset >= first, v.offset < end, v.voter != 0, v.fate != QUARANTINED)
        .order_by(v.offset)
        .execution_options(yield_per=_ROWS)
    )
    for rows in connection.execute(query).partitions():
        voter, offset, at, model_a, model_b, outcome, prompt = np.array([tuple(row) for row in rows], dtype=np.int64).T
        yield PartitionVotes(voter, offset, at, model_a, model_b, outcome.astype(np.int8), prompt)
