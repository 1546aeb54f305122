"""Computes intervals for the best of N variants whose spread of true quality, τ, is unknown.

The best of N scores is too high on average, since the selection favours lucky scores (winner's curse). `winners_curse`
corrects a score if τ is known. In practice τ is unknown, and the correction for τ = 0 is wrong if the variants differ.
Example: the scores of 27 variants have a standard error of 6.3 points. A 95% interval with the correction for τ = 0
then has a coverage of 50% if τ is 10 points, and of 19% if τ is 65 points. Here τ is integrated out.

Let s be the standard error of a score, tan φ = τ/s, M the maximum of N standard normals and Z a standard normal. The
best score exceeds the true quality of its variant by
    D = s (cos φ · M + sin φ · Z)
The prior has three parts. It has mass ¼ at τ = 0 (all variants are equally good), and ¼ at τ = ∞ (the scores rank them
without error). The remaining mass of ½ has a uniform φ, which is a half-Cauchy prior on τ with the scale s (Gelman
2006, Bayesian Analysis 1). The interval is the score minus the central quantiles of D.

    best_of_n_interval     only the best score and N are known
    family_intervals       all N scores are known and show how large τ is; the prior is then the half-Cauchy part alone

Coverage of the 95% intervals of a selected variant at fixed τ, for N of 1 to 50 and τ of 0 to 65 at s = 6.3: 91 to 99%
(`integrity bench selection` measures it).

For N = 1 the interval is the ordinary one.

Blind spots: the true qualities are taken as normal. If N is not disclosed, use `undisclosed_bounds`: the number of
variants that were seen is only a lower bound of N.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtr

from ..errors import BadCounts
from ..vocabulary.arrays import Float64
from .intervals import wald_quantile
from .winners_curse import expected_max, require_scores, require_spread, require_tries

# Weights of the prior at τ = 0 and τ = ∞.
_EQUAL, _APART = 0.25, 0.25
# Gauss-Legendre nodes for φ in (0, π/2).
_NODES, _NODE_WEIGHT = np.polynomial.legendre.leggauss(24)
_PHI, _PHI_WEIGHT = (_NODES + 1) * np.pi / 4, _NODE_WEIGHT / 2
# Values of M, and points at which the distribution of D/s is computed.
_MAXIMUM, _POINTS = np.linspace(-8.0, 9.0, 341), np.linspace(-8.0, 9.0, 341)
# Quantiles are searched within so many standard deviations of the mean (Chebyshev: enough for levels up to 99%).
_BRACKET, _HALVINGS = 15.0, 26


@dataclass(frozen=True, slots=True)
class SelectionInterval:
    """The estimated quality of a selected variant and its interval, in points.

    Attributes:
        score: the estimate: the observed score minus its expected excess over the true quality.
        se: standard deviation of this excess.
        lower: lower bound of the interval.
        upper: upper bound of the interval.
    """

    score: float
    se: float
    lower: float
    upper: float


def best_of_n_interval(score: float, n: int, se: float, *, kept: float = 1.0, level: float = 0.95) -> SelectionInterval:
    """Return estimate and interval of the quality of the best of N variants, if only the score of the best is known.

    Args:
        score: the score of the selected variant, in points.
        n: number of variants tested, the selected one included.
        se: standard error of `score`, in points.
        kept: share of the votes behind `score` that were cast before the selection, above 0. Later votes have no
            winner's curse.
        level: coverage, between 0 and 1.

    Raises:
        BadCounts: `n` is below 1, the standard error is negative or infinite, `kept` is not in (0, 1], or `level` is
            not in (0, 1).
    """
    require_tries(n)
    require_spread("se", se)
    if not 0 < kept <= 1:
        raise BadCounts(f"expected a share of votes before the selection above 0 and at most 1, got {kept}")
    z = wald_quantile(level)
    if n == 1:
        return SelectionInterval(score, se, score - z * se, score + z * se)
    cumulative, mean, sd = _distribution(n, round(kept, 3))
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], cumulative, _POINTS)
    return SelectionInterval(score - mean * se, sd * se, score - float(high) * se, score - float(low) * se)


def undisclosed_bounds(score: float, seen: int, se: float, *, kept: float = 1.0) -> tuple[float, float]:
    """Return bounds of the quality of a variant that was selected from an undisclosed number of variants.

    Statistical error is not included.

    Args:
        score: the score of the variant, in points.
        seen: number of variants that were seen; the true N is at least this number.
        se: standard error of `score`, in points.
        kept: share of the votes behind `score` that were cast before the selection, above 0.

    Returns:
        Two numbers in points: the score minus the winner's curse of `seen` equally good variants; and the score, which
            is right if there is no winner's curse at all.

    Raises:
        BadCounts: `seen` is below 1, or the standard error is negative or infinite.
    """
    require_tries(seen)
    require_spread("se", se)
    return score - expected_max(seen) * se * float(np.sqrt(kept)), score


@lru_cache(maxsize=256)
def _distribution(n: int, kept: float) -> tuple[Float64, float, float]:
    """Return the distribution function of D/s at `_POINTS`, the mean of D/s and its standard deviation.

    D is the excess of the best score over the true quality of its variant, and s the standard error of this score. The
    share `kept` of the votes was cast before the selection. The score from the votes before the selection has the
    standard error s/√kept and the weight `kept` in the final score. So
        D/s = √kept (cos φ · M + sin φ · Z) + √(1 − kept) · Z′
    φ and M are as in the module's description; Z and Z′ are independent standard normals.
    """
    log_density = np.log(n) - _MAXIMUM**2 / 2 + (n - 1) * log_ndtr(_MAXIMUM)
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    phi = np.concatenate([[0.0], _PHI, [np.pi / 2]])
    weight = np.concatenate([[_EQUAL], (1 - _EQUAL - _APART) * _PHI_WEIGHT, [_APART]])
    cumulative = np.zeros(len(_POINTS))
    for angle, share in zip(phi.tolist(), weight.tolist(), strict=True):
        # Without noise, at τ = 0, the grid of M would give a step function.
        noise = np.sqrt(kept * np.sin(angle) ** 2 + (1 - kept) + 1e-3)
        gaps = _POINTS[:, None] - np.sqrt(kept) * np.cos(angle) * _MAXIMUM
        cumulative += share * (ndtr(gaps / noise) @ density)
    mean_max = float(_MAXIMUM @ density)
    square_max = float(_MAXIMUM**2 @ density)
    mean = float(np.sqrt(kept) * mean_max * (weight @ np.cos(phi)))
    square = float(weight @ (kept * (np.cos(phi) ** 2 * square_max + np.sin(phi) ** 2) + 1 - kept))
    return cumulative, mean, float(np.sqrt(max(square - mean**2, 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class FamilyIntervals:
    """Estimated qualities of the N variants of a family and their intervals, in points.

    An estimate uses the scores of all variants.

    Attributes:
        score: float64[N], posterior means.
        se: float64[N], posterior standard deviations.
        lower: float64[N], lower bounds of the intervals.
        upper: float64[N], upper bounds.
    """

    score: Float64
    se: Float64
    lower: Float64
    upper: Float64


def family_intervals(scores: npt.ArrayLike, se: npt.ArrayLike, *, level: float = 0.95) -> FamilyIntervals:
    """Estimate the true qualities of all N variants of a family, with intervals.

    An estimate is the variant's score, moved towards the mean of the family. The standard deviation τ of the true
    qualities is unknown, so the result is averaged over the posterior of τ. The family mean has a flat prior. Given τ,
    the quality of a variant is normal. Results have the unit of the scores.

    Args:
        scores: [N], the scores of at least two variants.
        se: [N], their standard errors, above 0.
        level: coverage, between 0 and 1.

    Raises:
        BadCounts: there are fewer than two variants, lengths differ, a score is not finite, a standard error is 0, or
            `level` is not in (0, 1).
    """
    wald_quantile(level)
    y, s = require_scores(scores, se)
    tau = np.tan(_PHI) * float(np.sqrt(np.mean(s**2)))
    total = s[:, None] ** 2 + tau**2
    precision = (1 / total).sum(axis=0)
    mean = (y[:, None] / total).sum(axis=0) / precision
    log_weight = -0.5 * (np.log(total).sum(axis=0) + np.log(precision) + ((y[:, None] - mean) ** 2 / total).sum(axis=0))
    weight = _PHI_WEIGHT * np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    share = tau**2 / total
    centre = mean + share * (y[:, None] - mean)
    # The second term is the variance of the estimated family mean.
    spread = np.sqrt(share * s[:, None] ** 2 + (1 - share) ** 2 / precision)
    score = centre @ weight
    sd = np.sqrt(np.maximum((spread**2 + centre**2) @ weight - score**2, 0.0))
    around = score - _BRACKET * sd, score + _BRACKET * sd
    bounds = [_mixture_quantile(q, weight, centre, spread, around) for q in ((1 - level) / 2, (1 + level) / 2)]
    return FamilyIntervals(score, sd, *bounds)


def _mixture_quantile(
    q: float, weight: Float64, centre: Float64, spread: Float64, around: tuple[Float64, Float64]
) -> Float64:
    """Return the `q` quantile of N mixtures of normal distributions, float64[N], by bisection.

    Args:
        q: the probability below the quantile.
        weight: float64[G], the weights of the G normals. All mixtures use these same weights.
        centre: float64[N, G], means of the normals.
        spread: float64[N, G], standard deviations of the normals.
        around: a lower and an upper bound of each quantile, float64[N] each.
    """
    low, high = around
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = ndtr((middle[:, None] - centre) / spread) @ weight < q
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)
