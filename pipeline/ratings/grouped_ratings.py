"""Computes leaderboards by category, language or another property of a vote, in one pass over the votes.

Each vote is in at most one group, so the votes of the groups and the votes without a group add up to all votes. A
group that cannot be rated has a reason instead of a board.

Not handled: votes with several categories.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ..errors import BadCounts, RatingError
from ..vocabulary.arrays import Int32, Int64
from ..vocabulary.outcomes import OUTCOMES
from . import validation
from .leaderboard import Leaderboard, compute_leaderboard
from .pair_counts import PairCounts


@dataclass(frozen=True, slots=True, eq=False)
class GroupedCounts:
    """Pair counts of all votes and of each group.

    Attributes:
        whole: all votes, including votes without a group.
        groups: label → votes of the group, sorted by label, with the `models` of `whole`. Groups without votes are
            left out.
    """

    whole: PairCounts
    groups: Mapping[str, PairCounts]


@dataclass(frozen=True, slots=True, eq=False)
class GroupLeaderboard:
    """The leaderboard of a group, or the reason why there is none.

    Attributes:
        label: label of the group.
        votes: number of votes of the group.
        board: the leaderboard; None if the votes have no estimate.
        reason: why there is no board; empty if there is one.
    """

    label: str
    votes: int
    board: Leaderboard | None
    reason: str


def count_groups(
    models: Sequence[str],
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    outcome: npt.ArrayLike,
    labels: Sequence[str],
    group: npt.ArrayLike,
) -> GroupedCounts:
    """Count N votes as a whole and by group.

    Args:
        models: K names.
        a, b, outcome: N codes each, for the two models and the outcome of each vote.
        labels: names of the groups, without repetition.
        group: N positions in `labels`, −1 for a vote without a group.

    Returns:
        The pair counts of all votes and of each group.

    Raises:
        BadCounts: a code is out of range (the message names the row), columns differ in length, or a label is repeated.
    """
    names = validation.model_names(models)
    left, right = validation.codes(a, "a", len(names)), validation.codes(b, "b", len(names))
    result, each = validation.codes(outcome, "outcome", len(OUTCOMES)), _group_codes(group, labels)
    lengths = [len(column) for column in (left, right, result, each)]
    if len(set(lengths)) != 1:
        raise BadCounts("expected one length, got {} a, {} b, {} outcome, {} group".format(*lengths))
    validation.refuse_self_pairs(left, right, names)
    low, high, table = _cells(left, right, result, each + 1, (len(names), len(labels) + 1))
    parts = [PairCounts.from_rows(names, low, high, of_group) for of_group in table]
    found = {label: part for label, part in zip(labels, parts[1:], strict=True) if part.total}
    return GroupedCounts(PairCounts.merge(parts), MappingProxyType(dict(sorted(found.items()))))


def rate_groups(
    grouped: GroupedCounts,
    *,
    anchor: tuple[str, float] | None = None,
    level: float = 0.95,
    least_share: float | None = 0.95,
) -> tuple[GroupLeaderboard, ...]:
    """Rate the votes of each group separately.

    If rating a group raises an error, the group has a reason instead of a board.

    Args:
        grouped: the counts of the groups.
        anchor: a model and the points that its rating is shifted to; None for a mean of 1000 points. In a group where
            the anchor model is not rated, the mean is 1000 points.
        level: coverage of the intervals.
        least_share: None to require that all models of a group are in one connected component. With a number, only the
            models of the largest component are rated; it must have at least this share of the group's votes.

    Returns:
        One entry for each group, by votes descending, then by label.
    """
    order = sorted(grouped.groups.items(), key=lambda item: (-item[1].total, item[0]))
    return tuple(_group_board(label, counts, anchor, level, least_share) for label, counts in order)


def _group_board(
    label: str, counts: PairCounts, anchor: tuple[str, float] | None, level: float, least_share: float | None
) -> GroupLeaderboard:
    try:
        board = compute_leaderboard(counts, level=level, least_share=least_share)
        if anchor is not None and anchor[0] in board.models:
            board = board.shifted(anchor[1] - float(board.rating[board.models.index(anchor[0])]))
    except RatingError as error:
        return GroupLeaderboard(label, counts.total, None, str(error))
    return GroupLeaderboard(label, counts.total, board, "")


def _group_codes(group: npt.ArrayLike, labels: Sequence[str]) -> Int64:
    if len(set(labels)) != len(labels):
        raise BadCounts(f"expected each group once, got {len(labels)} labels, {len(set(labels))} of them different")
    array = validation.whole_numbers(group, "group")
    bad = (array < -1) | (array >= len(labels))
    if bad.any():
        row = int(np.argmax(bad))
        raise BadCounts(f"expected group to be a code in [-1, {len(labels)}), got {array[row]} at row {row}")
    result: Int64 = array.astype(np.int64)
    return result


def _cells(a: Int32, b: Int32, outcome: Int32, group: Int64, sizes: tuple[int, int]) -> tuple[Int32, Int32, Int64]:
    """Return the codes a and b of the P ordered pairs that occur, and their votes as int64[groups, P, 4 outcomes]."""
    size, groups = sizes
    keys = a.astype(np.int64) * size + b
    used = np.zeros(size * size, dtype=bool)
    used[keys] = True
    pairs = np.flatnonzero(used)
    place = np.zeros(size * size, dtype=np.int64)
    place[pairs] = np.arange(len(pairs))
    cells = (group * len(pairs) + place[keys]) * len(OUTCOMES) + outcome
    table = np.bincount(cells, minlength=groups * len(pairs) * len(OUTCOMES))
    low, high = np.divmod(pairs, max(size, 1))
    return low.astype(np.int32), high.astype(np.int32), table.reshape(groups, len(pairs), len(OUTCOMES))
