"""Distinguishes changes of a board's method from moves of single models.

A change of the method affects all models at one date. There are five kinds:

    shift      all ratings move by the same points: a new anchor, or models that were added to a centred scale
    rescaling  the distances between ratings grow or shrink by one factor
    refit      most ratings move beyond their intervals, each by a different amount: a different statistical model (such
               as style control), or a different selection of votes
    intervals  the intervals of all models widen or narrow by one factor that numbers of votes do not explain
    recount    the vote counts of nearly all models fall: votes were removed, for instance repeated votes

A single move is a model whose rating moves far from what the common movement predicts (`common_movement`).

Thresholds:

    shift, rescaling   the thresholds of `common_movement`
    refit              more than half of the models deviate from the common movement by more than three standard errors.
                       In addition, the median deviation is more than four times the usual deviation
                       (`_usual_residuals`). At least six transitions are needed
    intervals          p < 1e-5 (Student's t) and a factor of at least 1.25, apart from the change of the widths that
                       the numbers of votes explain (1/√votes)
    recount            at least three models have votes in both snapshots; the counts of at least 80% of them fall, and
                       the median count falls by at least 2%
    single move        p < 1e-5 after Bonferroni correction for the models of the transition, and at least 3% of the
                       spread

Blind spot: the cause of a change. A change of method that moves fewer than half of the ratings looks like single moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
from scipy.special import stdtrit

from pipeline.audits.common_movement import (
    LEAST_MODELS,
    LEVEL,
    MAD_TO_SD,
    CommonMovement,
    common_movement,
    shared_models,
)
from pipeline.formats.published_boards import PublishedBoard
from pipeline.vocabulary.arrays import Float64
from pipeline.vocabulary.z_values import Z_95

LEAST_WIDTH_FACTOR = 1.25
LEAST_RECOUNTED, LEAST_FALLEN_SHARE, LEAST_FALL = 3, 0.8, 0.02
LEAST_MOVE = 0.03
"""The least size of a single move, as a share of the spread of the ratings."""

_REFIT_SHARE, _REFIT_ERRORS, _REFIT_RATIO, _REFIT_OTHERS = 0.5, 3.0, 4.0, 5
# Points between which a logarithm of two widths counts as none: widths are rounded to points.
_LEAST_LOG = 0.01


@dataclass(frozen=True, slots=True)
class MethodChange:
    """A change of a board's method between two successive snapshots.

    Attributes:
        start: day of the earlier snapshot.
        end: day of the later snapshot.
        kind: `shift`, `rescaling`, `refit`, `intervals` or `recount`.
        compared: number of models that both snapshots have.
        agreeing: number of these models that follow the change.
        shift: movement of a model whose rating is the median of the board, in points.
        scale: factor by which the distances between ratings changed; 1 unless `kind` is `rescaling`.
        factor: factor by which the widths of the intervals (`intervals`) or the vote counts (`recount`) changed; None
            for the other kinds.
    """

    start: date
    end: date
    kind: str
    compared: int
    agreeing: int
    shift: float
    scale: float
    factor: float | None = None


@dataclass(frozen=True, slots=True)
class SingleMove:
    """A single move: a model that moved far from what the common movement predicts.

    Attributes:
        start: day of the earlier snapshot.
        end: day of the later snapshot.
        model: name of the model.
        before: rating in the earlier snapshot, in points.
        after: rating in the later snapshot, in points.
        expected: rating in the later snapshot that the common movement predicts, in points.
    """

    start: date
    end: date
    model: str
    before: float
    after: float
    expected: float


@dataclass(frozen=True, slots=True)
class MethodHistory:
    """The changes of the method of one board, and its single moves (ratings of single models that moved far).

    Attributes:
        changes: changes of the method, oldest first.
        moves: single moves, oldest first.
        compared: number of transitions for which both snapshots have enough models to compare.
    """

    changes: tuple[MethodChange, ...]
    moves: tuple[SingleMove, ...]
    compared: int


def method_history(snapshots: Sequence[PublishedBoard]) -> MethodHistory:
    """Find the changes of a board's method, and the models that moved far from what the other models predict.

    Args:
        snapshots: the snapshots of the board, oldest first.

    Returns:
        The changes and the moves, oldest first.
    """
    changes: list[MethodChange] = []
    moves: list[SingleMove] = []
    pairs = list(pairwise(snapshots))
    movements = [common_movement(*pair) for pair in pairs]
    usual = _usual_residuals(pairs, movements)
    for pair, movement, least in zip(pairs, movements, _REFIT_RATIO * usual, strict=True):
        refit = movement is not None and _is_refit(*pair, movement, least)
        if movement is not None:
            changes += _movement_changes(*pair, movement, refit)
        changes += _count_changes(*pair)
        if movement is not None and not refit:
            moves += _single_moves(*pair, movement)
    return MethodHistory(tuple(changes), tuple(moves), sum(one is not None for one in movements))


def _movement_changes(
    earlier: PublishedBoard, later: PublishedBoard, movement: CommonMovement, refit: bool
) -> list[MethodChange]:
    kinds = ["rescaling"] if movement.scale_stands else ["shift"] if movement.shift_stands else []
    kinds += ["refit"] if refit else []
    agreeing = int((~movement.aside).sum())
    compared = len(movement.shared.models)
    return [
        MethodChange(earlier.day, later.day, kind, compared, agreeing, movement.shift, movement.scale) for kind in kinds
    ]


def _usual_residuals(
    pairs: Sequence[tuple[PublishedBoard, PublishedBoard]], movements: Sequence[CommonMovement | None]
) -> Float64:
    """Return float64[t], the usual residual of each of t transitions between two snapshots, in points.

    A residual is how far a model deviates from the common movement. Let r be the median size of the residuals of a
    transition, and d its number of days. The usual residual of a transition is the larger of two values:

    - the median of r over all transitions;
    - √d of this transition, times the median of r / √d over all transitions, since residuals may grow with √d.

    With too few transitions, all results are infinite.
    """
    known = np.array([movement is not None for movement in movements], dtype=np.bool_)
    if known.sum() <= _REFIT_OTHERS:
        return np.full(len(pairs), np.inf)
    pace = np.sqrt([max(1, (later.day - earlier.day).days) for earlier, later in pairs])
    typical = np.array([0.0 if one is None else _typical(one) for one in movements])
    usual: Float64 = np.maximum(np.median(typical[known]), np.median((typical / pace)[known]) * pace)
    return usual


def _typical(movement: CommonMovement) -> float:
    return MAD_TO_SD * float(np.median(np.abs(movement.residual)))


def _is_refit(earlier: PublishedBoard, later: PublishedBoard, movement: CommonMovement, least: float) -> bool:
    se = _standard_errors(earlier, later, movement)
    known = se > 0
    if known.sum() < LEAST_MODELS or _typical(movement) <= least:
        return False
    return float((np.abs(movement.residual[known]) > _REFIT_ERRORS * se[known]).mean()) > _REFIT_SHARE


def _standard_errors(earlier: PublishedBoard, later: PublishedBoard, movement: CommonMovement) -> Float64:
    """Return float64[k], the standard error of each shared model's change of rating; 0 if an interval is missing."""
    widths = [
        (board.upper - board.lower)[rows]
        for board, rows in ((earlier, movement.shared.before), (later, movement.shared.after))
    ]
    result: Float64 = np.nan_to_num(np.hypot(*widths) / (2 * Z_95))
    return result


def _single_moves(earlier: PublishedBoard, later: PublishedBoard, movement: CommonMovement) -> list[SingleMove]:
    count = len(movement.residual)
    critical = -float(stdtrit(max(1, count - 3), LEVEL / (2 * count)))
    sd = np.maximum(movement.sd, _standard_errors(earlier, later, movement))
    least = np.maximum(critical * sd, LEAST_MOVE * movement.spread)
    rows = np.flatnonzero(np.abs(movement.residual) > least)
    found = []
    for i in rows.tolist():
        before = float(earlier.score[movement.shared.before[i]])
        after = float(later.score[movement.shared.after[i]])
        expected = after - float(movement.residual[i])
        found.append(SingleMove(earlier.day, later.day, movement.shared.models[i], before, after, expected))
    return sorted(found, key=lambda move: -abs(move.after - move.expected))


def _count_changes(earlier: PublishedBoard, later: PublishedBoard) -> list[MethodChange]:
    shared = shared_models(earlier, later)
    before = earlier.votes[shared.before].astype(np.float64)
    after = later.votes[shared.after].astype(np.float64)
    known = (before > 0) & (after > 0)
    if known.sum() < LEAST_RECOUNTED:
        return []
    ratio = np.log(after[known] / before[known])
    count = int(known.sum())
    changes = []
    fallen, typical = int((ratio < 0).sum()), float(np.median(ratio))
    if fallen >= LEAST_FALLEN_SHARE * count and typical <= np.log(1 - LEAST_FALL):
        factor = float(np.exp(typical))
        changes.append(MethodChange(earlier.day, later.day, "recount", count, fallen, 0.0, 1.0, factor))
    with np.errstate(invalid="ignore", divide="ignore"):
        widths = (later.upper - later.lower)[shared.after] / (earlier.upper - earlier.lower)[shared.before]
        beyond = np.log(widths[known]) + ratio / 2
    beyond = beyond[np.isfinite(beyond)]
    if len(beyond) >= LEAST_MODELS:
        agreeing, factor = _common_factor(beyond)
        if max(factor, 1 / factor) >= LEAST_WIDTH_FACTOR and agreeing:
            changes.append(MethodChange(earlier.day, later.day, "intervals", len(beyond), agreeing, 0.0, 1.0, factor))
    return changes


def _common_factor(logs: Float64) -> tuple[int, float]:
    """Find the factor by which the interval widths of most models changed together.

    Args:
        logs: float64[k], for each model ln of the factor by which the width of its interval changed.

    Returns:
        The number of models near the median factor, and the median factor. The number is 0 if the mean of these models'
        logarithms is not significantly different from 0.
    """
    center = float(np.median(logs))
    distance = np.abs(logs - center)
    sd = max(MAD_TO_SD * float(np.median(distance)), _LEAST_LOG)
    near = logs[distance <= max(4 * sd, float(np.quantile(distance, 0.8)))]
    spread = max(float(near.std(ddof=1)), _LEAST_LOG)
    t = abs(float(near.mean())) * np.sqrt(len(near)) / spread
    freedom = max(1, len(near) - 1 - 2 * (len(logs) - len(near)))  # as in `common_movement`
    stands = t > -float(stdtrit(freedom, LEVEL / 2))
    return len(near) if stands else 0, float(np.exp(center))
