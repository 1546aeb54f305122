"""Runs the audit `top_churn`: tests whether the first place changed more often than chance allows.

Formula: let a score have standard error e, and n votes in one snapshot and n' in the next. By chance the score moves
with variance v = e² (1 − n/n'). The reason is that the later estimate contains the earlier votes, and increments of a
maximum-likelihood estimate are uncorrelated with its final value. Let v_1 be this variance for the first model.
A model d points behind the first model overtakes it by chance with probability Φ(−d/√(v_1 + v)). The sum over all
models and transitions is an upper bound of the expected number of changes. The observed number is tested against a
Poisson distribution with this mean.

Blind spot: a new model in the first place is counted separately, because it has no earlier score. Published intervals
are rounded to points. A board that was re-anchored or refitted with another method moves by more than its intervals
allow.

Source of the question: Singh et al. 2025, "The Leaderboard Illusion", section 3: the first place changed hands between
two providers several times within days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
from scipy.special import ndtr, pdtrc

from pipeline.audits.finding import ALPHA, Finding
from pipeline.formats.published_boards import PublishedBoard
from pipeline.vocabulary.arrays import Float64
from pipeline.vocabulary.z_values import Z_95

WEEK = 7


@dataclass(frozen=True, slots=True)
class LeaderChange:
    """One change of the first place.

    Attributes:
        before: day of the earlier snapshot.
        day: day of the later snapshot.
        old: the first model of the earlier snapshot.
        new: the first model of the later snapshot.
        organization: organisation of `new`, as published.
        gap: score of `new` minus score of `old` in the later snapshot, in points; None if the later snapshot lacks
            `old`.
        overlap: whether the intervals of `new` and `old` overlap in the later snapshot; None if an interval is missing.
        newcomer: whether the earlier snapshot lacks `new`.
        within_week: whether this change came at most seven days after the previous change or after the first snapshot.
    """

    before: date
    day: date
    old: str
    new: str
    organization: str
    gap: float | None
    overlap: bool | None
    newcomer: bool
    within_week: bool


@dataclass(frozen=True, slots=True)
class TopChurn:
    """All changes of the first place on one board, and the test of their number.

    Attributes:
        changes: the changes, oldest first.
        by_chance: upper bound of the number of changes expected by chance. Changes to a newcomer are not counted.
        p_value: p-value of the null hypothesis that these changes happened by chance: the probability of at least as
            many. Changes to a newcomer are not counted. 1 without a change.
    """

    changes: tuple[LeaderChange, ...]
    by_chance: float
    p_value: float

    @property
    def overtakings(self) -> int:
        """Number of changes of the first place to a model that was on the board before the change."""
        return sum(not change.newcomer for change in self.changes)


def top_churn(snapshots: Sequence[PublishedBoard]) -> TopChurn:
    """Find the changes of the first place on one board, and test whether there are more than chance explains.

    The model with the highest score is first; among equal scores, the model with more votes. Changes to a model that is
    new on the board are returned and not tested.

    Args:
        snapshots: the snapshots of the board, oldest first; at least one.

    Returns:
        All changes, oldest first; and for the tested changes an upper bound of the number expected by chance, and the
        p-value.
    """
    changes: list[LeaderChange] = []
    by_chance, since = 0.0, snapshots[0].day
    for earlier, later in pairwise(snapshots):
        by_chance += _expected(earlier, later)
        change = _change(earlier, later, since)
        if change:
            changes.append(change)
            since = later.day
    overtakings = sum(not change.newcomer for change in changes)
    p = float(pdtrc(overtakings - 1, by_chance)) if overtakings else 1.0
    return TopChurn(tuple(changes), by_chance, p)


def top_churn_findings(found: TopChurn) -> tuple[Finding, ...]:
    """Return a tuple with one finding if the first place changed more often than chance allows, else an empty tuple."""
    if found.p_value >= ALPHA:
        return ()
    soon = sum(change.within_week for change in found.changes)
    who = sorted({change.organization or change.new for change in found.changes})
    what = (
        f"#1 changed {found.overtakings} times between models that were listed before ({soon} of all "
        f"{len(found.changes)} changes within a week of the last), by {', '.join(who)}; the intervals allow at most "
        f"{found.by_chance:.1f}"
    )
    figures = {"overtakings": found.overtakings, "by_chance": found.by_chance, "within_week": soon, "by": who}
    return (
        Finding("top_churn", "board", "board", "#1 changes too often", "warning", what, found.p_value, figures),
    )  # fmt: skip


def _first(board: PublishedBoard) -> int:
    return int(np.lexsort((board.votes, board.score))[-1])


def _change(earlier: PublishedBoard, later: PublishedBoard, since: date) -> LeaderChange | None:
    old, i = earlier.models[_first(earlier)], _first(later)
    new = later.models[i]
    if new == old:
        return None
    gap, overlap = None, None
    if old in later.models:
        j = later.models.index(old)
        gap = float(later.score[i] - later.score[j])
        if np.isfinite(later.lower[i]) and np.isfinite(later.upper[j]):
            overlap = bool(later.lower[i] <= later.upper[j])
    newcomer, soon = new not in earlier.models, (later.day - since).days <= WEEK
    return LeaderChange(earlier.day, later.day, old, new, later.organizations[i], gap, overlap, newcomer, soon)


def _expected(earlier: PublishedBoard, later: PublishedBoard) -> float:
    """Return an upper bound of the expected number of changes of the first place by chance, between two snapshots."""
    after = dict(zip(later.models, later.votes.tolist(), strict=True))
    moved = _variance(earlier, np.array([after.get(model, 0) for model in earlier.models], dtype=np.float64))
    first = _first(earlier)
    rivals = np.array([m in after and m != earlier.models[first] for m in earlier.models])
    spread = np.sqrt(moved + moved[first])[rivals]
    behind = (earlier.score[first] - earlier.score)[rivals]
    chance = np.where(spread > 0, ndtr(-behind / np.where(spread > 0, spread, 1.0)), 0.0)
    return float(chance.sum())


def _variance(board: PublishedBoard, votes_after: Float64) -> Float64:
    se = np.nan_to_num((board.upper - board.lower) / (2 * Z_95))
    kept = np.divide(board.votes, votes_after, out=np.ones_like(votes_after), where=votes_after > 0)
    result: Float64 = se**2 * np.clip(1 - kept, 0.0, 1.0)
    return result
