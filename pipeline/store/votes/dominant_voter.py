"""Finds a voter with more than a fifth of all votes, who is most likely many people with one id.

Only hot votes are read, which means votes that are not archived. If there are at most 20,000 votes, the votes of every
voter are counted. If there are more, a sample of 600 evenly spread votes is drawn first, and votes are counted only for
voters with at least a tenth of the sample. A voter with a fifth of all votes has less than a tenth of the sample with a
probability below 10⁻⁹.
"""

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.cold import cold_files, cold_votes
from pipeline.store.db import dialect, schema

MAX_SHARE = 0.2
"""Share of all votes above which a voter is reported as a fault of the configuration."""

# Fewer votes of one person are no sign of a shared id, on a board that has hardly any.
_MIN_VOTES = 50
_COUNTED_UP_TO = 20_000
_SAMPLES = 600
_FREQUENT = _SAMPLES // 10
# Multiples of the golden ratio spread evenly over any range.
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class DominantVoter:
    """Describes a voter who has more than MAX_SHARE of all votes.

    Only hot votes are counted, which means votes that are not archived.

    Attributes:
        voter: pseudonym.
        votes: number of hot votes of the voter.
        total: number of all hot votes.
    """

    voter: int
    votes: int
    total: int

    @property
    def share(self) -> float:
        """Share of the voter in all hot votes, between 0 and 1."""
        return self.votes / self.total


def find_dominant_voter(connection: Connection) -> DominantVoter | None:
    """Return the voter with more than MAX_SHARE of all votes in the hot tables. None if there is no such voter.

    The result is also None if this voter has fewer than 50 votes, or if the database role may not read voters.
    """
    if not dialect.may_read(connection, "vote", "voter"):
        return None
    b, v = schema.batch.c, schema.vote.c
    total = int(connection.scalar(sa.select(sa.func.sum(b.accepted + b.late + b.quarantined))) or 0)
    total -= cold_files.count_archived(connection)
    if total < _MIN_VOTES:
        return None
    candidates = None if total <= _COUNTED_UP_TO else _frequent_voters(connection)
    if candidates == []:
        return None
    query = sa.select(v.voter, sa.func.count().label("votes")).where(v.voter != 0).group_by(v.voter)
    if candidates is not None:
        query = query.where(v.voter.in_(candidates))
    row = connection.execute(query.order_by(sa.desc("votes"), v.voter).limit(1)).one_or_none()
    if row is None or row.votes < _MIN_VOTES or row.votes <= MAX_SHARE * total:
        return None
    return DominantVoter(int(row.voter), int(row.votes), total)


def _frequent_voters(connection: Connection) -> list[int]:
    """Return the voters who cast at least a tenth of the votes in an evenly spread sample."""
    b, v = schema.batch.c, schema.vote.c
    archived = cold_votes.ends(connection)
    ranges = [
        (part, max(first, archived.get(part, 0)), end)
        for part, first, end in connection.execute(
            sa.select(b.partition_no, sa.func.min(b.first_offset), sa.func.max(b.next_offset)).group_by(b.partition_no)
        )
    ]
    length = sum(end - first for _, first, end in ranges)
    found: Counter[int] = Counter()
    for sample in range(_SAMPLES):
        at = int(sample * _GOLDEN % 1 * length)
        for part, first, end in ranges:
            if at < end - first:
                next_vote = sa.select(v.voter).where(v.partition_no == part, v.offset >= first + at)
                found[connection.scalar(next_vote.order_by(v.offset).limit(1)) or 0] += 1
                break
            at -= end - first
    return [voter for voter, number in found.items() if voter and number >= _FREQUENT]
