"""Measures repeated prompts, because models can be trained on prompts that return.

Two shares of the month's votes are computed for each month. The share within the month is 1 − distinct prompts / votes.
The share across months is the share of the votes whose prompt was also used in the month before. On a published board,
20% of the votes were repeats within a month. Across months, 7.3% were exact copies and 26.5% near copies (Singh et al.
2025, "The Leaderboard Illusion", section 4).

Blind spot: prompts are compared by hash, so only exact copies count as repeats.

>>> prompt_duplication([1, 1, 1, 1, 2, 2], [7, 7, 7, 8, 8, 9])
(MonthlyRepeats(month=1, votes=4, within=0.5, across=None), MonthlyRepeats(month=2, votes=2, within=0.0, across=0.5))
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.audits.finding import Finding
from pipeline.vocabulary.arrays import Bool, Int64

LIMIT = 0.25
"""There is a finding if a larger share of a month's prompts are repeated. A published board had 0.20."""


@dataclass(frozen=True, slots=True)
class MonthlyRepeats:
    """Repeated prompts in one month.

    Attributes:
        month: the integer of the month, as given to `prompt_duplication`.
        votes: number of votes with a prompt.
        within: share of these votes that repeat the prompt of another vote of this month.
        across: share of these votes whose prompt was used in the month before; None if that month has no votes.
    """

    month: int
    votes: int
    within: float
    across: float | None


def prompt_duplication(month: npt.ArrayLike, prompt: npt.ArrayLike) -> tuple[MonthlyRepeats, ...]:
    """Compute the shares of repeated prompts for each month, in order of time. Months without a prompt are left out.

    Args:
        month: int[n], an integer for each vote's month. Consecutive months must have consecutive integers.
        prompt: int[n], an integer for each vote's prompt. Votes with −1 (no prompt) are skipped.
    """
    when, asked = np.asarray(month), np.asarray(prompt, dtype=np.int64)
    known = asked != -1
    if not known.all():
        when, asked = when[known], asked[known]
    of = {int(m): np.sort(asked[when == m]) for m in _distinct(np.sort(when))}
    result = []
    for m, prompts in of.items():
        before = of.get(m - 1)
        across = None if before is None else float(_among(prompts, before).mean())
        result.append(MonthlyRepeats(m, len(prompts), 1 - len(_distinct(prompts)) / len(prompts), across))
    return tuple(result)


def _distinct(ascending: Int64) -> Int64:
    return ascending[np.append(True, ascending[1:] != ascending[:-1])] if len(ascending) else ascending


def _among(ascending: Int64, others: Int64) -> Bool:
    """Return, for each value of `ascending`, whether it is in `others`. Both arrays are ascending."""
    place = np.minimum(np.searchsorted(others, ascending), len(others) - 1)
    return np.asarray(others[place] == ascending)


def prompt_findings(months: tuple[MonthlyRepeats, ...]) -> tuple[Finding, ...]:
    """Return a finding for each month whose share of repeated prompts within the month is above LIMIT."""
    return tuple(
        Finding(
            "prompt_duplication", "board", "board", f"prompts repeat in month {one.month}", "warning",
            f"{one.within:.1%} of {one.votes:,} votes repeat a prompt of the month; {LIMIT:.0%} is the limit",
            None, {"month": one.month, "votes": one.votes, "within": one.within, "across": one.across},
        )
        for one in months
        if one.within > LIMIT
    )  # fmt: skip
