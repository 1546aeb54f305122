"""Suggests pairs of names that may be one model: a name disappears, and another appears with nearly the same figures.

A pair is suggested if three conditions hold:

1. The rating of the new name is near the rating that the common movement predicts for the old name. The difference is
   at most the share `MOST_POINTS` of the spread of all ratings, or is within the old name's interval.
2. The new vote count is at least 90% of the old one and at most 125% (more if the votes of other models grew by more).
3. The organisations do not differ.

Each name is in at most one pair; the pairs with the smallest total distance are chosen. Suggestions are not applied
automatically: `apply_renames` joins only the names that a person states.

Blind spot: two models of one organisation with similar figures. `rivals` counts other names that would fit too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.audits.common_movement import common_movement, rows_by_name, shared_models
from pipeline.errors import BadInput
from pipeline.formats.published_boards import PublishedBoard

MOST_POINTS = 0.03
"""The largest distance of two ratings that may belong to one model, as a share of the spread of the board's ratings."""

LEAST_VOTES, MOST_VOTES = 0.9, 1.25
# Names that are compared at one date; a board that is replaced as a whole has no renames.
_MOST_NAMES = 200
# Costs of an assignment: of names that are no pair, and of names that have nothing in common.
_NO_PAIR, _LIKENESS = 1e6, 0.01


@dataclass(frozen=True, slots=True)
class RenameSuggestion:
    """Two names that may be one model.

    Attributes:
        old: the name that disappears.
        new: the name that appears.
        last_seen: day of the last snapshot with `old`.
        first_seen: day of the first snapshot with `new`, which is the next snapshot.
        old_rating: last rating of `old`, in points.
        new_rating: first rating of `new`, in points.
        expected: the rating that the common movement predicts for `old` in the next snapshot, in points.
        tolerance: largest allowed difference between `new_rating` and `expected`, in points.
        old_votes: last vote count of `old`.
        new_votes: first vote count of `new`.
        organizations: organisations of `old` and of `new`, as published.
        similarity: similarity of the two names, from 0 to 1, for information only.
        rivals: number of other names that would also fit `old` or `new`.
    """

    old: str
    new: str
    last_seen: date
    first_seen: date
    old_rating: float
    new_rating: float
    expected: float
    tolerance: float
    old_votes: int
    new_votes: int
    organizations: tuple[str, str]
    similarity: float
    rivals: int


def suggest_renames(snapshots: Sequence[PublishedBoard]) -> tuple[RenameSuggestion, ...]:
    """Suggest renamed models of one board, oldest rename first.

    If more than 200 names disappear or appear between two snapshots, none of them is suggested.

    Args:
        snapshots: the snapshots of the board, oldest first.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for i, snapshot in enumerate(snapshots):
        for model in snapshot.models:
            first.setdefault(model, i)
            last[model] = i
    found: list[RenameSuggestion] = []
    for i, (earlier, later) in enumerate(pairwise(snapshots)):
        gone = [model for model in rows_by_name(earlier) if last[model] == i]
        new = [model for model in rows_by_name(later) if first[model] == i + 1]
        if gone and new and max(len(gone), len(new)) <= _MOST_NAMES:
            found += _pairs(earlier, later, gone, new)
    return tuple(found)


def apply_renames(
    snapshots: Sequence[PublishedBoard], renames: Mapping[str, str]
) -> tuple[tuple[PublishedBoard, ...], frozenset[str]]:
    """Replace old names of models in snapshots by the newest name of the same model.

    Args:
        snapshots: the snapshots of a board.
        renames: old name → new name.

    Returns:
        The snapshots with the newest name of each model, and the old names that were replaced.

    Raises:
        BadInput: the renames form a circle.
    """
    final = {old: _last_name(old, renames) for old in renames}
    joined = tuple(replace(one, models=tuple(final.get(model, model) for model in one.models)) for one in snapshots)
    return joined, frozenset(model for one in snapshots for model in one.models if model in final)


def _last_name(name: str, renames: Mapping[str, str]) -> str:
    seen = [name]
    while name in renames:
        name = renames[name]
        if name in seen:
            raise BadInput(f"renames: expected names that end, got a circle: {' → '.join([*seen, name])}")
        seen.append(name)
    return name


def _pairs(
    earlier: PublishedBoard, later: PublishedBoard, gone: Sequence[str], new: Sequence[str]
) -> list[RenameSuggestion]:
    movement = common_movement(earlier, later)
    low, high = np.percentile(earlier.score, [10, 90])
    growth = _vote_growth(earlier, later)
    old_rows, new_rows = rows_by_name(earlier), rows_by_name(later)
    fitting: list[tuple[float, RenameSuggestion]] = []
    for one in gone:
        row = old_rows[one]
        rating = float(earlier.score[row])
        expected = rating if movement is None else movement.expected(rating)
        half = float(np.nan_to_num(earlier.upper[row] - earlier.lower[row])) / 2
        tolerance = max(MOST_POINTS * float(high - low), half)
        for other in new:
            cost = _cost(earlier, later, (row, new_rows[other]), expected, tolerance, growth)
            if cost is not None:
                fitting.append((cost, _suggestion(earlier, later, (row, new_rows[other]), expected, tolerance)))
    return _one_to_one(fitting)


def _vote_growth(earlier: PublishedBoard, later: PublishedBoard) -> float:
    shared = shared_models(earlier, later)
    before, after = earlier.votes[shared.before], later.votes[shared.after]
    return float(np.median(after[before > 0] / before[before > 0])) if (before > 0).any() else 1.0


def _cost(
    earlier: PublishedBoard, later: PublishedBoard, rows: tuple[int, int], expected: float, tolerance: float,
    growth: float,
) -> float | None:  # fmt: skip
    """Return the distance of two rows, 0 for equal figures; None if the rows cannot belong to one model.

    Args:
        earlier, later: two successive snapshots.
        rows: the row of the old name in `earlier`, and of the new name in `later`.
        expected: the rating that the common movement predicts in `later`, in points.
        tolerance: largest allowed distance from `expected`, in points.
        growth: factor by which the vote counts of other models grew.
    """
    old, new = rows
    points = abs(float(later.score[new]) - expected)
    votes = (int(later.votes[new]) + 1) / (int(earlier.votes[old]) + 1)
    names = [one.casefold() for one in (earlier.organizations[old], later.organizations[new])]
    if points > tolerance or (all(names) and names[0] != names[1]):
        return None
    if not LEAST_VOTES * min(1.0, growth) <= votes <= MOST_VOTES * max(1.0, growth):
        return None
    return points / max(tolerance, 1e-9) + abs(float(np.log(votes)))


def _suggestion(
    earlier: PublishedBoard, later: PublishedBoard, rows: tuple[int, int], expected: float, tolerance: float
) -> RenameSuggestion:
    old, new = rows
    names = earlier.models[old], later.models[new]
    return RenameSuggestion(
        *names, earlier.day, later.day, float(earlier.score[old]), float(later.score[new]), expected, tolerance,
        int(earlier.votes[old]), int(later.votes[new]), (earlier.organizations[old], later.organizations[new]),
        SequenceMatcher(None, names[0].casefold(), names[1].casefold()).ratio(), 0,
    )  # fmt: skip


def _one_to_one(fitting: list[tuple[float, RenameSuggestion]]) -> list[RenameSuggestion]:
    """Choose as many pairs as possible, with each name in at most one pair.

    Of several such choices, the one with the smallest total distance is made; a pair of less similar names counts as a
    little more distant.
    """
    old = sorted({one.old for _, one in fitting})
    new = sorted({one.new for _, one in fitting})
    costs = np.full((len(old), len(new)), _NO_PAIR)
    pairs = {(old.index(one.old), new.index(one.new)): one for _, one in fitting}
    for cost, one in fitting:
        costs[old.index(one.old), new.index(one.new)] = cost + _LIKENESS * (1 - one.similarity)
    chosen: list[RenameSuggestion] = []
    for place in zip(*(positions.tolist() for positions in linear_sum_assignment(costs)), strict=True):
        if place in pairs:
            one = pairs[place]
            rivals = sum(other.old == one.old or other.new == one.new for _, other in fitting) - 1
            chosen.append(replace(one, rivals=rivals))
    return chosen
