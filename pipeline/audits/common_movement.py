"""Estimates the movement that all ratings of a board share between two snapshots, and finds models that deviate.

Model: r'_i = r_i + shift + (scale − 1)(r_i − center) + noise, with the ratings r_i and r'_i of model i in the two
snapshots. The fit has three steps:

1. A robust line is fitted to the moves r'_i − r_i. Its slope is the median slope over pairs of models: in the order of
   r_i, model k of the lower half is paired with model k of the upper half.
2. Models whose distance from the line is above four standard deviations (estimated from the median absolute deviation)
   are set aside, at most a fifth of all models. So a few models that move do not look like a common movement.
3. A least-squares fit of the other models gives shift and scale. Student's t tests them. Each model that was set aside
   reduces the degrees of freedom by two, because it was chosen for its distance.

A shift or a change of scale counts if p < 1e-5, at least `LEAST_MODELS` models are in both snapshots, and it moves the
models by at least 1% of the spread. The spread is the distance between the 10th and the 90th percentile of the earlier
ratings; 1% of it is about 3 points on the public text board. The thresholds were tested on simulated changes and on
random walks.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from pipeline.formats.published_boards import PublishedBoard
from pipeline.vocabulary.arrays import Bool, Float64, Int64

LEAST_MODELS = 5
LEVEL = 1e-5
LEAST_SHIFT = 0.01
"""The least shift that counts, as a share of the spread of the ratings (10% to 90% quantile).

A change of scale counts if it moves each end of the spread by at least this share.
"""

MAD_TO_SD = 1.4826
_ASIDE_DISTANCE, _MOST_ASIDE = 4.0, 0.2
# Least standard deviation of a residual, as a share of the spread: published ratings are rounded.
_LEAST_SD = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class SharedModels:
    """The k models that two snapshots have in common, without names that a snapshot lists twice.

    Attributes:
        models: names of the k models.
        before: int64[k], index of each model in the columns of the earlier snapshot.
        after: int64[k], index of each model in the columns of the later snapshot.
    """

    models: tuple[str, ...]
    before: Int64
    after: Int64


@dataclass(frozen=True, slots=True, eq=False)
class CommonMovement:
    """The common movement of the ratings between two snapshots.

    Attributes:
        shared: the k models that both snapshots have.
        spread: distance between the 10th and the 90th percentile of the earlier ratings, in points.
        center: median of the earlier ratings, in points.
        shift: movement of a model at the center, in points.
        scale: factor by which distances from the center change; 1 if no significant change was found.
        shift_stands: whether the shift is significant and large enough.
        scale_stands: whether the change of scale is significant and large enough.
        residual: float64[k], each model's movement minus the common movement, in points.
        sd: standard deviation of the residuals of the models that were not set aside, in points.
        aside: bool[k], true for the models that the fit left out because they moved too far (set aside).
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
        """Return the later rating that the common movement predicts for an earlier rating, both in points.

        The scale is applied if it is significant, and the shift if the shift or the scale is significant.
        """
        shift = self.shift if self.shift_stands or self.scale_stands else 0.0
        scale = self.scale if self.scale_stands else 1.0
        return rating + shift + (scale - 1) * (rating - self.center)


def rows_by_name(board: PublishedBoard) -> dict[str, int]:
    """Return name of a model → its index in a snapshot's columns, without names that the snapshot lists twice."""
    times = Counter(board.models)
    return {model: row for row, model in enumerate(board.models) if times[model] == 1}


def shared_models(earlier: PublishedBoard, later: PublishedBoard) -> SharedModels:
    """Return the models that both snapshots have, in the order of the earlier snapshot, without names listed twice."""
    before, after = rows_by_name(earlier), rows_by_name(later)
    models = tuple(model for model in before if model in after)
    rows = np.array([(before[model], after[model]) for model in models], dtype=np.int64).reshape(-1, 2)
    return SharedModels(models, rows[:, 0], rows[:, 1])


def common_movement(earlier: PublishedBoard, later: PublishedBoard) -> CommonMovement | None:
    """Estimate the common movement of the ratings between two snapshots.

    Args:
        earlier, later: two snapshots of one board.

    Returns:
        The movement; None if too few models are in both snapshots, or if the earlier ratings have no spread.
    """
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
    # A model that is set aside costs two degrees of freedom: it was chosen for its distance.
    freedom = max(1, len(old) - 2 - 2 * int(aside.sum()))
    critical = -float(stdtrit(freedom, LEVEL / 2))
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
    """Return the values at `x` of a robust line through the moves.

    The slope is the median slope over pairs of models: in the order of `x`, model k of the lower half is paired with
    model k of the upper half. The intercept is the median of `moved` − slope · `x`.
    """
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
    """Fit a line to the moves by least squares.

    Args:
        x: float64[n], the earlier ratings minus `center`.
        moved: float64[n], the moves: later rating minus earlier rating.
        spread: the spread of the ratings, which limits the standard deviation from below.

    Returns:
        Five numbers: shift at x = 0, slope, standard deviation of the residuals, and Student's t of the mean move and
        of the slope.
    """
    n, mean = len(x), float(x.mean())
    wide = float(((x - mean) ** 2).sum())
    slope = float(((x - mean) * moved).sum()) / wide if wide > 0 else 0.0
    level = float(moved.mean())
    residual = moved - level - slope * (x - mean)
    sd = max(float(np.sqrt((residual**2).sum() / (n - 2))), _LEAST_SD * spread)
    return level - slope * mean, slope, sd, level * np.sqrt(n) / sd, slope * np.sqrt(wide) / sd
