"""Estimates when the next refresh comes, from the times at which snapshots were published.

Decisions about votes change the board at the next refresh. Nobody tells the store when that is, because a scheduler
outside starts refreshes. The usual interval is the median of the last intervals between publications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.vocabulary.time import DAY, HOUR, MINUTE, format_rfc3339

_FEWEST, _MOST = 3, 12
# More than half of the intervals are at most this far from the median, as a share of it.
_REGULAR = 0.25


@dataclass(frozen=True, slots=True)
class RefreshRhythm:
    """When the next refresh is expected.

    Attributes:
        expected_at: RFC 3339, to the minute.
        every: the usual interval in words, such as "every hour".
        overdue: whether the expected time was more than half an interval ago.
    """

    expected_at: str
    every: str
    overdue: bool

    def sentence(self, at: str) -> str:
        """Say when the next refresh is expected, without a full stop; `at` is the expected time as text."""
        if self.overdue:
            return f"the next refresh was expected about {at} ({self.every}) and has not come"
        return f"the next refresh is expected about {at} ({self.every})"


def read_rhythm(connection: Connection, now: int) -> RefreshRhythm | None:
    """Return when the next refresh is expected; None if the times of the last refreshes give no rhythm.

    Args:
        connection: reads the store.
        now: present time in microseconds since 1970 UTC.
    """
    c = schema.snapshot.c
    query = sa.select(c.published_at).where(c.sequence.is_not(None)).order_by(c.sequence.desc()).limit(_MOST)
    return find_rhythm([int(at) for at in connection.scalars(query)][::-1], now)


def find_rhythm(times: Sequence[int], now: int) -> RefreshRhythm | None:
    """Return when the next refresh is expected, from the times of the last refreshes.

    A refresh without new votes publishes nothing, which makes one interval longer. Some intervals may therefore differ
    from the usual one.

    Args:
        times: when the last snapshots were published, ascending, in microseconds since 1970 UTC.
        now: present time in microseconds since 1970 UTC.

    Returns:
        None if there are fewer than three times, if the median interval is below a minute, or if half of the intervals
            or more differ too much from the median.
    """
    if len(times) < _FEWEST:
        return None
    intervals = [after - before for before, after in pairwise(times)]
    usual = round(median(intervals))
    regular = sum(abs(one - usual) <= _REGULAR * usual for one in intervals)
    if usual < MINUTE or 2 * regular <= len(intervals):
        return None
    expected = (times[-1] + usual) // MINUTE * MINUTE
    return RefreshRhythm(format_rfc3339(expected), every(usual), now > expected + usual // 2)


def every(interval: int) -> str:
    """Return an interval in words, rounded.

    >>> every(59 * MINUTE), every(2 * HOUR), every(15 * MINUTE), every(DAY)
    ('every hour', 'every 2 hours', 'every 15 minutes', 'every day')
    """
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        number = round(interval / unit)
        if number >= 1 and (unit == MINUTE or abs(interval - number * unit) <= 0.1 * unit * number):
            return f"every {name}" if number == 1 else f"every {number} {name}s"
    return "every minute"
