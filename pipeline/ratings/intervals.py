"""Points, intervals and rank sets.

Laws: SE, lower and upper are in the mean-zero gauge, whatever is shown; an anchor is a shift of what is
shown, after the intervals (anchoring inside makes the anchor's own interval 0 and every other one wider:
median 1.07×, at most 1.40×). Rank sets follow from the intervals alone.

Blind spot: marginal 95% intervals do not give 95% rank sets: each model's range
holds for that model alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from scipy.special import ndtri

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int64
from .bradley_terry import Fit

# Elo's scale: 400 points are odds of 10 to 1.
POINTS_PER_LOGIT = 400 / log(10)
MEAN_RATING = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class RatingIntervals:
    """Ratings with intervals, in points, the board's mean at 1000.

    Attributes:
        rating: float64[K].
        se: float64[K], standard error in the mean-zero gauge.
        lower: float64[K].
        upper: float64[K].
    """

    rating: Float64
    se: Float64
    lower: Float64
    upper: Float64

    def shifted(self, points: float) -> RatingIntervals:
        """Move what is shown; nothing gets wider or narrower."""
        return RatingIntervals(self.rating + points, self.se, self.lower + points, self.upper + points)


@dataclass(frozen=True, slots=True, eq=False)
class MarginalRanks:
    """Places on the board, 1 the best.

    Attributes:
        rank: int64[K], 1 + the number of models rated higher (equal ratings share a rank).
        best: int64[K], 1 + the number of models whose whole interval is above.
        worst: int64[K], 1 + the number of other models whose interval reaches above this one's lower end.
    """

    rank: Int64
    best: Int64
    worst: Int64


def wald_intervals(fit: Fit, *, level: float = 0.95) -> RatingIntervals:
    """Turn a fit into points: 1000 + θ · 400/ln 10, ± z · SE.

    Args:
        fit: θ and covariance in logits.
        level: two-sided coverage, between 0 and 1.

    Raises:
        BadCounts: `level` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise BadCounts(f"expected a level between 0 and 1, got {level}")
    rating = MEAN_RATING + fit.theta * POINTS_PER_LOGIT
    # Rounding can leave a variance of 0 a hair below it.
    se = np.sqrt(np.maximum(np.diag(fit.covariance), 0.0)) * POINTS_PER_LOGIT
    reach = float(ndtri((1 + level) / 2)) * se
    return RatingIntervals(rating, se, rating - reach, rating + reach)


def marginal_ranks(shown: RatingIntervals) -> MarginalRanks:
    """Rank sets from marginal intervals."""
    itself = shown.upper > shown.lower
    return MarginalRanks(
        rank=1 + _above(shown.rating, shown.rating),
        best=1 + _above(shown.lower, shown.upper),
        worst=1 + _above(shown.upper, shown.lower) - itself,
    )


def _above(values: Float64, bounds: Float64) -> Int64:
    """How many values are strictly above each bound."""
    result: Int64 = len(values) - np.searchsorted(np.sort(values), bounds, side="right")
    return result
