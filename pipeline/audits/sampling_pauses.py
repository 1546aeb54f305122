"""Finds models that voters were not shown for weeks, although no notice had announced it.

The published rule counts a model as removed if it has at most 10 votes in 52 days (Singh et al. 2025, "The Leaderboard
Illusion", section 5). This module applies the rule to every period of the log, so a removal is also found if a notice
came later, or if the model was shown again. Days on which the whole board had no vote do not count.

A model is only named if chance does not explain the period. Let a model have a votes in n battles before the period,
and x votes in the m battles of the period. If it was shown as often as before, x is hypergeometric: a + x draws from
n + m battles, m of which are in the period (Fisher 1922). The probability of x votes or fewer must be at most LEVEL.

Blind spot: a pause that is shorter than the rule's number of days, and a model that had too few votes before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy

from pipeline.audits.sampling import DailyAppearances
from pipeline.vocabulary.arrays import Int64

LEVEL = 1e-8
"""The largest probability of so few votes by chance. Every model is tested on every day of the log."""


@dataclass(frozen=True, slots=True)
class SamplingPause:
    """A period in which voters were not shown a model, although no notice had announced it.

    Attributes:
        model: name of the model.
        first: label of the first day of the period, for example "2026-03-01".
        last: label of the last day of the period.
        days: number of days with votes in the period.
        votes: number of votes on the model in the period.
        shown_again: whether the model had votes again later. If not, its deprecation was announced after the period.
    """

    model: str
    first: str
    last: str
    days: int
    votes: int
    shown_again: bool

    @property
    def what(self) -> str:
        """The period as a clause, for example "3 votes in 80 days from 2026-03-01 to 2026-05-19, then shown again"."""
        end = "then shown again" if self.shown_again else "before its removal was announced"
        number = f"{self.votes:,} vote{'' if self.votes == 1 else 's'}"
        return f"{number} in {self.days} days from {self.first} to {self.last}, {end}"


def sampling_pauses(
    shown: DailyAppearances, since: Mapping[str, str], over: Mapping[str, str], votes: float, days: int
) -> dict[str, SamplingPause]:
    """Find the longest unannounced pause of each model that has one.

    A period that lasts until the newest day of the log is left out unless the model was announced to be over since: it
    is a removal, and `retraction.unannounced_removals` finds it.

    Args:
        shown: the appearances of each model on each day with votes.
        since: model → label of the first day on which the model was public. Models that are missing are left out.
        over: model → label of the day on which the model was deprecated, retracted, or released under another name.
            Models that are missing are still sampled.
        votes: a model with at most this many votes in a period counts as not shown.
        days: the shortest period, in days with votes.

    Returns:
        Model → its pause.
    """
    labels, result = np.array(shown.days), {}
    for k, model in enumerate(shown.models):
        if model not in since:
            continue
        begin = int(np.searchsorted(labels, since[model]))
        end = int(np.searchsorted(labels, over[model])) if model in over else len(labels)
        found = _longest(shown.appearances[begin:end, k], shown.battles[begin:end], votes, days)
        if found is None:
            continue
        first, stop = begin + found[0], begin + found[1]
        again = stop < len(labels) and bool(shown.appearances[stop:, k].sum())
        if again or model in over:
            count = int(shown.appearances[first:stop, k].sum())
            result[model] = SamplingPause(model, shown.days[first], shown.days[stop - 1], stop - first, count, again)
    return result


def _longest(seen: Int64, battles: Int64, votes: float, days: int) -> tuple[int, int] | None:
    """Return start and end (exclusive) of the longest period with hardly any vote; None if there is none.

    Args:
        seen: int64[D], votes on the model on each day on which it could be shown.
        battles: int64[D], votes of the board on each day.
        votes, days: the rule, as in `sampling_pauses`.
    """
    of, all_of = (np.concatenate([[0], np.cumsum(column)]) for column in (seen, battles))
    if days < 1 or len(seen) < days or not of[-1]:
        return None
    first = int(np.flatnonzero(seen)[0])  # a model that was never shown yet does not pause
    starts = np.arange(first, len(seen) - days + 1)
    starts = starts[of[starts + days] - of[starts] <= votes]
    inside, battles_inside = of[starts + days] - of[starts], all_of[starts + days] - all_of[starts]
    before, battles_before = of[starts] - of[first], all_of[starts] - all_of[first]
    chance = scipy.stats.hypergeom.cdf(inside, battles_before + battles_inside, before + inside, battles_inside)
    starts = starts[chance <= LEVEL]
    if not len(starts):
        return None
    cuts = [0, *(np.flatnonzero(np.diff(starts) > 1) + 1).tolist(), len(starts)]
    runs = [(int(starts[a]), int(starts[b - 1]) + days) for a, b in pairwise(cuts)]
    return _trim(seen, *max(runs, key=lambda run: run[1] - run[0]), days)


def _trim(seen: Int64, start: int, stop: int, days: int) -> tuple[int, int]:
    """Return a period without the days with votes at its ends, but with at least `days` days.

    The windows that make up a period may begin with the last days on which the model was shown, and end with the first
    ones on which it was shown again.
    """
    while stop - start > days and seen[start]:
        start += 1
    while stop - start > days and seen[stop - 1]:
        stop -= 1
    return start, stop
