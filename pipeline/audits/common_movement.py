"""The movement that all ratings of a board share between two snapshots, and the models that moved on their own.

Model: r'_i = r_i + shift + (scale − 1)(r_i − center) + noise. A first slope is the median slope of pairs of models half
a board apart. Models whose residual exceeds four times the MAD's standard deviation are set aside, at most a fifth; a
least-squares fit of the others gives shift and scale with Student's t. So one model that moves cannot pass for a
movement of all, and a movement of all is not told from many moves.

Thresholds (tested on planted changes and on clean random walks): p < 1e-5 for each test, at least `LEAST_MODELS` models
in both snapshots, and a size that matters: 1% of the spread, the distance between the 10th and the 90th percentile of
the ratings (about 3 points on the public text board).
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from pipeline.formats.published_boards import PublishedBoard
from pipeline.vocabulary.arrays import Bool, Float64, Int64

LEAST_MODELS = 6
LEVEL = 1e-5
LEAST_SHIFT = 0.01
"""Least shift, and least movement of the ends of the board by a scale, as a share of the spread."""

MAD_TO_SD = 1.4826
_ASIDE_DISTANCE, _MOST_ASIDE = 4.0, 0.2
# Least standard deviation of a residual, as a share of the spread: published ratings are rounded.
_LEAST_SD = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class SharedModels:
    """The k models of two snapshots, without names that one of them lists twice.

    Attributes:
        models: the names.
        before, after: int64[k], rows in the two snapshots.
    """

    models: tuple[str, ...]
    before: Int64
    after: Int64


@dataclass(frozen=True, slots=True, eq=False)
class CommonMovement:
    """The movement of all ratings between two snapshots.

    Attributes:
        shared: the k models in both.
        spread: distance between the 10th and 90th percentile of the earlier ratings.
        center: the median of the earlier ratings.
        shift: points by which a model at the center moves.
        scale: factor of the distance from the center.
        shift_stands, scale_stands: whether shift and scale pass the thresholds.
        residual: float64[k], points beyond the common movement.
        sd: standard deviation of the residuals of the models that were not set aside.
        aside: bool[k], models set aside.
    """

    shared: SharedModels
    spread: float
    center: float
    shift: float
    scale: float
    shift_stands: bool
    scale_stands: bool
    residual: Float64
    sd: float
    aside: Bool

    def expected(self, rating: float) -> float:
        """Return where the common movement takes a rating, as far as it stands."""
        shift = self.shift if self.shift_stands or self.scale_stands else 0.0
        scale = self.scale if self.scale_stands else 1.0
        return rating + shift + (scale - 1) * (rating - self.center)


def rows_by_name(board: PublishedBoard) -> dict[str, int]:
    """Return name → row, without the names that are listed twice."""
    times = Counter(board.models)
    return {model: row for row, model in enumerate(board.models) if times[model] == 1}


def shared_models(earlier: PublishedBoard, later: PublishedBoard) -> SharedModels:
    """Return the models that are in both snapshots, in the order of the earlier one."""
    before, after = rows_by_name(earlier), rows_by_name(later)
    models = tuple(model for model in before if model in after)
    rows = np.array([(before[model], after[model]) for model in models], dtype=np.int64).reshape(-1, 2)
    return SharedModels(models, rows[:, 0], rows[:, 1])


def common_movement(earlier: PublishedBoard, later: PublishedBoard) -> CommonMovement | None:
    """Estimate the movement of all ratings. None if too few models are in both, or all have the same rating."""
    shared = shared_models(earlier, later)
    if len(shared.models) < LEAST_MODELS:
        return None
    old, new = earlier.score[shared.before], later.score[shared.after]
    low, center, high = np.percentile(old, [10, 50, 90])
    spread = float(high - low)
    if not spread > 0:
        return None
    x, moved = old - center, new - old
    residual = moved - _line(x, moved)
    aside = _set_aside(residual, spread)
    shift, slope, sd, t_shift, t_slope = _fit(x[~aside], moved[~aside], spread)
    critical = -float(stdtrit(int((~aside).sum()) - 2, LEVEL / 2))
    shift_stands = abs(t_shift) > critical and abs(shift) >= LEAST_SHIFT * spread
    scale_stands = abs(t_slope) > critical and abs(slope) / 2 >= LEAST_SHIFT
    slope = slope if scale_stands else 0.0
    if not scale_stands:
        shift = float(np.median(moved[~aside]))
    residual = moved - shift - slope * x
    return CommonMovement(
        shared, spread, float(center), shift, 1 + slope, shift_stands, scale_stands, residual, sd, aside
    )


def _line(x: Float64, moved: Float64) -> Float64:
    """Return a robust line through the moves: the median slope of pairs half a board apart, the median intercept."""
    order = np.argsort(x, kind="stable")
    half = len(x) // 2
    first, second = order[:half], order[-half:]
    apart = x[second] - x[first]
    usable = apart > 0
    slope = float(np.median((moved[second] - moved[first])[usable] / apart[usable])) if usable.any() else 0.0
    line: Float64 = slope * x + np.median(moved - slope * x)
    return line


def _set_aside(residual: Float64, spread: float) -> Bool:
    distance = np.abs(residual)
    sd = max(MAD_TO_SD * float(np.median(distance)), _LEAST_SD * spread)
    most = int(_MOST_ASIDE * len(residual))
    aside = np.zeros(len(residual), dtype=np.bool_)
    farthest = np.argsort(-distance, kind="stable")[:most]
    aside[farthest] = distance[farthest] > _ASIDE_DISTANCE * sd
    return aside


def _fit(x: Float64, moved: Float64, spread: float) -> tuple[float, float, float, float, float]:
    """Return shift at x = 0, slope, sd of the residuals, and Student's t of both."""
    n, mean = len(x), float(x.mean())
    wide = float(((x - mean) ** 2).sum())
    slope = float(((x - mean) * moved).sum()) / wide if wide > 0 else 0.0
    level = float(moved.mean())
    residual = moved - level - slope * (x - mean)
    sd = max(float(np.sqrt((residual**2).sum() / (n - 2))), _LEAST_SD * spread)
    return level - slope * mean, slope, sd, level * np.sqrt(n) / sd, slope * np.sqrt(wide) / sd
