"""Computes confidence sequences: intervals that contain the true value at every snapshot of a board.

A 95% interval contains the true value with probability 95% at one moment. A reader who reads a board every hour sees
some intervals that miss the true value: over 1,000 readings, three of ten 95% intervals miss the value at least once.
With probability 95%, a confidence sequence contains the true value at every reading, however often and for whatever
reason somebody reads the board.

For an estimate with the standard error SE the sequence is the estimate ± c(SE) · SE. Here c is the solution of
    Σ_k w_k (1 + r_k)^(−1/2) exp(c² r_k / (2 (1 + r_k))) = 1/α,   r_k = (τ_k / SE)²
The left side is a likelihood ratio. Its numerator is a mixture of normal distributions around the true value, with the
standard deviations τ_k and the weights w_k; its denominator is the true value alone. The τ_k are fixed: 8, 30 and 120
points with the weights .5, .3 and .2. For standard errors from 1 to 80 points c is 3.2 to 3.9, so a sequence is 1.6 to
2.0 times as wide as the 95% interval. This is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha,
Kennedy & Ramdas 2024 (Annals of Statistics 52, theorem 2.2). A mixture of three scales takes the place of one scale
(Robbins 1970, Annals of Mathematical Statistics 41). The sequence is asymptotic, not exact: the estimates of a board
must move like a sum of many small independent contributions, whose variance is estimated consistently.

Of the variance clustered by voter and the variance from counts, the larger one is used.

Sure ranks: model j is surely above model i if the sequence of their difference excludes 0. The level holds for all
pairs of models and all readings together. α is divided among the pairs (Bonferroni). The division must not depend on
when somebody reads. So a board with up to 64 models spends α/2, a board with up to 128 models α/6, one with up to 256
models α/12, and so on.

A sequence contains the ordinary interval. A sure rank range contains the rank. The result does not depend on the order
of the models.

Blind spots: a rating is relative to the mean of the rated models, so the sequence covers the rating relative to the
models of that snapshot. Models that change, and attacks, change the true value.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int64
from . import validation
from .intervals import POINTS_PER_LOGIT

SCALES = (8.0, 30.0, 120.0)
"""Standard deviations τ of the normal distributions in the mixture, in points."""
WEIGHTS = (0.5, 0.3, 0.2)
"""Weights w of the normal distributions in the mixture, in the order of SCALES. Their sum is 1."""
# The smallest class of boards for sure ranks, and Newton steps for c².
_SMALLEST_BOARD, _STEPS = 64, 10
# Points; a smaller standard error is rounding.
_LEAST_SE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSequences:
    """The confidence sequences of K models and of their neighbours' differences, and sure ranks.

    The models are sorted by rating from high to low. Ratings and widths are in points.

    Attributes:
        margin: float64[K], half the width of the confidence sequence of each rating.
        gap: float64[K], rating of each model minus the rating of the next model; NaN for the last model.
        gap_margin: float64[K], half the width of the confidence sequence of each `gap`; NaN for the last model.
        sure_best: int64[K], best sure rank of each model: 1 + number of models that are surely above the model.
        sure_worst: int64[K], worst sure rank of each model: K − number of models that are surely below the model.
    """

    margin: Float64
    gap: Float64
    gap_margin: Float64
    sure_best: Int64
    sure_worst: Int64


def confidence_sequences(
    rating: Float64, covariances: tuple[Float64, ...], *, level: float = 0.95, models_ever: int | None = None
) -> ConfidenceSequences:
    """Return the confidence sequences of ratings that are sorted from high to low.

    Args:
        rating: float64[K], the ratings in points, sorted.
        covariances: one or more covariance matrices of the strengths, float64[K, K] in logits², rows sum to zero. For
            each rating and each difference of two ratings, the matrix that gives the largest variance is used.
        level: coverage over all snapshots, between 0 and 1.
        models_ever: number of models that have had votes so far, at least K; by default K. The more models, the
            smaller the error rate of each single comparison of two models (`pair_level`).

    Raises:
        BadCounts: `level` is outside (0, 1), the ratings are not sorted, or there is no covariance.
    """
    validation.require_level(level)
    if not covariances or (np.diff(rating) > 0).any():
        raise BadCounts("expected sorted ratings with at least one covariance")
    alpha = 1 - level
    size = max(len(rating), models_ever or 0)
    own = np.max([np.diag(V) for V in covariances], axis=0)
    between = np.max([np.diag(V)[:, None] + np.diag(V) - 2 * V for V in covariances], axis=0)
    se = POINTS_PER_LOGIT * np.sqrt(np.maximum(own, 0.0))
    pair_se = POINTS_PER_LOGIT * np.sqrt(np.maximum(between, 0.0))
    next_se = np.diag(pair_se, 1)
    gap = rating[:-1] - rating[1:]
    sure = rating[:, None] - rating > critical_values(pair_se, pair_level(size, alpha)) * pair_se
    sure &= pair_se > _LEAST_SE
    return ConfidenceSequences(
        margin=critical_values(se, alpha) * se,
        gap=np.append(gap, np.nan),
        gap_margin=np.append(critical_values(next_se, alpha) * next_se, np.nan),
        sure_best=1 + sure.sum(axis=0),
        sure_worst=len(rating) - sure.sum(axis=1),
    )


def critical_values(se: Float64, alpha: float) -> Float64:
    """Return c for each standard error SE, so that the estimate ± c · SE is a confidence sequence.

    Args:
        se: standard errors in points, float64 of any shape.
        alpha: α, the probability that the sequence ever misses the true value.

    Returns:
        float64 of the shape of `se`. c is a factor without a unit.
    """
    r = (np.array(SCALES) / np.maximum(se, _LEAST_SE)[..., None]) ** 2
    base = np.log(WEIGHTS) - 0.5 * np.log1p(r)
    slope = 0.5 * r / (1 + r)
    target = -np.log(alpha)
    # The logarithm of the sum is convex in c². One component alone reaches the target at a larger c², from where
    # Newton's method descends to the solution.
    square = np.maximum((target - base) / slope, 0.0).min(axis=-1)
    for _ in range(_STEPS):
        terms = base + slope * square[..., None]
        largest = terms.max(axis=-1, keepdims=True)
        weight = np.exp(terms - largest)
        total = weight.sum(axis=-1)
        reached = largest[..., 0] + np.log(total)
        square = square - (reached - target) * total / (weight * slope).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def pair_level(models: int, alpha: float) -> float:
    """Return the error rate that each pair of models may use. All pairs of a growing board together use at most α.

    Args:
        models: number of models that have had votes so far.
        alpha: α, the error rate for all pairs and all snapshots together.
    """
    board, step = _SMALLEST_BOARD, 1
    while board < models:
        board, step = 2 * board, step + 1
    # Σ 1/(s (s + 1)) over the steps s = 1, 2, … is 1.
    return alpha / (step * (step + 1)) / (board * (board - 1) / 2)
