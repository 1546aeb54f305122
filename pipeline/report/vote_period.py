"""States the period of the votes, and which few votes are dated far from all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.report.evidence.evidence_section import count
from pipeline.report.report_votes import NO_TIME
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import DAY, format_rfc3339

# Votes are apart from the others if they are at most this share of all votes, and the gap is longer than both this time
# and the period of the others.
_MOST, _LEAST_GAP = 0.01, 30 * DAY
_LEAST_VOTES = 5
_YEAR = 365.2425 * DAY


def vote_period(time: Int64 | None) -> dict[str, Any]:
    """Return the period of some votes, and the votes that are apart from it, as a dictionary of plain values.

    Args:
        time: int64[N], microseconds since 1970 UTC, NO_TIME for a vote without a time; None if no vote has one.

    Returns:
        "period": the days of the first and the last of all votes. "dated_apart": at most two entries, for early and
        for late votes that are far from all others. An entry has the number of these votes, their first and last day,
        and the days between these votes and all others.
    """
    if time is None:
        return {"period": None, "dated_apart": []}
    at = np.sort(time[time != NO_TIME])
    early, late = _apart(at)
    found = []
    if early:
        found.append(_entry(at[:early], "before", int(at[early] - at[early - 1])))
    if late:
        found.append(_entry(at[-late:], "after", int(at[-late] - at[-late - 1])))
    return {"period": [_day(at[0]), _day(at[-1])], "dated_apart": found}


def apart_sentences(apart: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each entry of "dated_apart".

    >>> one = {"votes": 1, "first": "2042-01-01", "last": "2042-01-01", "side": "after", "days": 6575.2}
    >>> apart_sentences([one, {**one, "votes": 3, "last": "2042-01-02", "days": 40}])[1]
    '3 votes are dated 2042-01-01 to 2042-01-02, 40 days after the others.'
    >>> apart_sentences([one])
    ['1 vote is dated 2042-01-01, 18 years after the others.']
    """
    found = []
    for one in apart:
        days = one["first"] if one["first"] == one["last"] else f"{one['first']} to {one['last']}"
        dated = f"{count(one['votes'], 'vote')} {'is' if one['votes'] == 1 else 'are'} dated {days}"
        found.append(f"{dated}, {_length(one['days'])} {one['side']} the others.")
    return found


def _apart(at: Int64) -> tuple[int, int]:
    """Return how many of the first and of the last votes a long pause separates from the others; `at` is sorted."""
    most = max(1, int(len(at) * _MOST))
    if len(at) < _LEAST_VOTES:
        return 0, 0
    longest = max(_LEAST_GAP, int(at[-1 - most] - at[most]))
    early = np.flatnonzero(np.diff(at[: most + 1]) > longest)
    late = np.flatnonzero(np.diff(at[-most - 1 :]) > longest)
    return int(early[-1]) + 1 if len(early) else 0, most - int(late[0]) if len(late) else 0


def _entry(at: Int64, side: str, gap: int) -> dict[str, Any]:
    return {"votes": len(at), "first": _day(at[0]), "last": _day(at[-1]), "side": side, "days": round(gap / DAY, 1)}


def _day(at: Int64) -> str:
    return format_rfc3339(int(at))[:10]


def _length(days: float) -> str:
    years = days * DAY / _YEAR
    return count(round(years), "year") if years >= 2 else count(round(days), "day")
