"""Prompt duplication: the share of votes on a prompt that was used before.

Within a month: 1 − distinct prompts / votes. From month to month: the share of a month's votes whose prompt was used
in the month before. Published: 20% within a month, 7.3% from month to month for exact copies, 26.5% with near copies
(Singh et al. 2025, "The Leaderboard Illusion", section 4): models can be trained on prompts that return.

Blind spot: hashes see exact copies only.

>>> prompt_duplication([1, 1, 1, 1, 2, 2], [7, 7, 7, 8, 8, 9])
(MonthlyRepeats(month=1, votes=4, within=0.5, across=None), MonthlyRepeats(month=2, votes=2, within=0.0, across=0.5))
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.audits.finding import Finding
from pipeline.vocabulary.arrays import Bool, Int64

LIMIT = 0.25
"""Share within a month above which there is a finding: the published board had .20."""


@dataclass(frozen=True, slots=True)
class MonthlyRepeats:
    """Repeated prompts in a month.

    Attributes:
        votes: number of votes with a prompt.
        within: share of these votes that repeat a prompt of this month.
        across: share of these votes whose prompt was used in the month before; None if that month has no votes.
    """

    month: int
    votes: int
    within: float
    across: float | None


def prompt_duplication(month: npt.ArrayLike, prompt: npt.ArrayLike) -> tuple[MonthlyRepeats, ...]:
    """Count repeated prompts by month.

    Args:
        month: int[n], month of each vote; consecutive months have consecutive numbers.
        prompt: int[n], prompt of each vote; −1 for a vote without a prompt, which is skipped.
    """
    when, asked = np.asarray(month, dtype=np.int64), np.asarray(prompt, dtype=np.int64)
    when, asked = when[asked != -1], asked[asked != -1]
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
    """Return whether each value is in `others`; both are ascending."""
    place = np.minimum(np.searchsorted(others, ascending), len(others) - 1)
    return np.asarray(others[place] == ascending)


def prompt_findings(months: tuple[MonthlyRepeats, ...]) -> tuple[Finding, ...]:
    """Return the findings about months whose share of repeated prompts is above LIMIT."""
    return tuple(
        Finding(
            "prompt_duplication", "board", "board", f"prompts repeat in month {one.month}", "warning",
            f"{one.within:.1%} of {one.votes:,} votes repeat a prompt of the month; {LIMIT:.0%} is the limit",
            None, {"month": one.month, "votes": one.votes, "within": one.within, "across": one.across},
        )
        for one in months
        if one.within > LIMIT
    )  # fmt: skip
