"""Converts strengths to points, and computes Wald intervals and marginal rank ranges.

Standard errors and bounds refer to strengths with mean zero. An anchor shifts ratings and bounds afterwards. (If
the anchor's strength were fixed first, the other intervals would be wider: 1.07 times at the median, at most 1.40.)

Blind spot: rank ranges that are computed from 95% intervals of single models have less than 95% coverage. The rank sets
of `rank_sets` have 95% coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from scipy.special import ndtri, stdtrit

from ..vocabulary.arrays import Float64, Int64
from . import validation
from .bradley_terry import Fit

POINTS_PER_LOGIT = 400 / log(10)
"""Points for each logit. This is Elo's scale: a difference of 400 points means odds of 10 to 1."""
MEAN_RATING = 1000.0
"""The mean of a board without an anchor, in points."""


@dataclass(frozen=True, slots=True, eq=False)
class RatingIntervals:
    """Ratings of K models with intervals, all in points.

    Attributes:
        rating: float64[K], the ratings.
        se: float64[K], standard error of a strength when the mean of all strengths is zero.
        lower: float64[K], lower bound of the interval.
        upper: float64[K], upper bound of the interval.
    """

    rating: Float64
    se: Float64
    lower: Float64
    upper: Float64

    def shifted(self, points: float) -> RatingIntervals:
        """Return a copy with `points` added to the ratings and bounds. The standard errors are unchanged."""
        return RatingIntervals(self.rating + points, self.se, self.lower + points, self.upper + points)


@dataclass(frozen=True, slots=True, eq=False)
class MarginalRanks:
    """Ranks of K models, and rank ranges computed from the interval of each model. Rank 1 is the best.

    Attributes:
        rank: int64[K], 1 + number of models with a higher rating; equal ratings share a rank.
        best: int64[K], 1 + number of models whose lower bound is above the upper bound of this model.
        worst: int64[K], 1 + number of other models whose upper bound is above the lower bound of this model.
    """

    rank: Int64
    best: Int64
    worst: Int64


def wald_intervals(fit: Fit, *, level: float = 0.95) -> RatingIntervals:
    """Convert a fit to ratings and Wald intervals in points: (1000 + θ · 400/ln 10) ± z · SE.

    z is Φ⁻¹((1 + level) / 2). The intervals reach the stated coverage in the limit of many votes for each model.

    Args:
        fit: the fit, whose θ and covariance are in logits.
        level: two-sided coverage, between 0 and 1.

    Raises:
        BadCounts: `level` is not between 0 and 1.
    """
    rating = MEAN_RATING + fit.theta * POINTS_PER_LOGIT
    se = standard_errors(fit.covariance) * POINTS_PER_LOGIT
    margin = wald_quantile(level) * se
    return RatingIntervals(rating, se, rating - margin, rating + margin)


def standard_errors(covariance: Float64) -> Float64:
    """Return the square roots of the diagonal of a covariance matrix, float64[K].

    A variance that is negative through rounding counts as 0.
    """
    result: Float64 = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return result


def wald_quantile(level: float) -> float:
    """Return z = Φ⁻¹((1 + level) / 2): the estimate ± z standard errors has the coverage `level`.

    Raises:
        BadCounts: `level` is not between 0 and 1.
    """
    validation.require_level(level)
    return float(ndtri((1 + level) / 2))


def few_voters_widening(voters: Float64 | float, level: float = 0.95) -> Float64:
    """Return the factor by which clustered standard errors are multiplied, since their variance is uncertain.

    The factor is √(1 + 1/ν) t / z. Here t is the quantile of Student's distribution with ν degrees of freedom, and z
    the quantile of the standard normal distribution, both at the probability (1 + level) / 2.

    Args:
        voters: ν, the effective number of voters; a number or an array.
        level: coverage of the intervals.
    """
    nu = np.asarray(voters, dtype=np.float64)
    return np.asarray(np.sqrt(1 + 1 / nu) * stdtrit(nu, (1 + level) / 2) / wald_quantile(level))


def marginal_ranks(shown: RatingIntervals) -> MarginalRanks:
    """Return the ranks and the rank ranges of the K models of a board.

    The ranges follow from the intervals of single models. So their coverage holds for the range of one model, and not
    for all ranges jointly.

    Args:
        shown: the ratings of the models with their intervals.
    """
    itself = shown.upper > shown.lower
    return MarginalRanks(
        rank=1 + _above(shown.rating, shown.rating),
        best=1 + _above(shown.lower, shown.upper),
        worst=1 + _above(shown.upper, shown.lower) - itself,
    )


def _above(values: Float64, bounds: Float64) -> Int64:
    """Return for each bound the number of values strictly above it."""
    result: Int64 = len(values) - np.searchsorted(np.sort(values), bounds, side="right")
    return result
