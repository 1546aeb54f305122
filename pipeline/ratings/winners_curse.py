"""Computes the selection bias of the best of N variants, and estimates without it.

A provider tests N variants and releases the one with the best score. The true qualities of the variants are normal with
standard deviation τ around the family mean, and each score has the standard error s. Let E_N be the expected maximum of
N standard normals. The best score exceeds the family mean, in expectation, by the sum of two parts:
    legitimate gain   E_N τ² / √(s² + τ²)     the selected variant is better
    winner's curse    E_N s² / √(s² + τ²)     its score was lucky
(order statistics of a normal; Efron 2011, "Tweedie's formula and selection bias", J. Amer. Statist. Assoc. 106). The
formula explains both sides of a published dispute. A gain of 100 points at N = 10 needs scores with standard deviation
65, nearly all of it τ. A gain of "+11 after 50 tests and 3,000 votes" fits τ = 0, so it is all luck.

Bias / root mean square error of the estimates at N = 27, s = 6.3, τ = 0, in points (uncorrected: 12.6 / 13.0):
    shrink_to_family_mean   all N scores known: empirical Bayes      1.7 / 3.0
    debias_known_n          N, s and τ known: score − curse          0 / 3.2
    without_votes_before    only votes cast after the selection      0 / 6.3
A conditional maximum-likelihood estimate (truncated normal) has −11 / 23 and is not offered.

All scores are in points. The best of one variant has no winner's curse.

Not handled: which scores are one family (the caller's choice), and an unknown τ (`selection_intervals`).
"""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from ..errors import BadCounts
from ..vocabulary.arrays import Float64
from .intervals import POINTS_PER_LOGIT
from .pair_counts import PairCounts

# Covers the maximum of 10¹⁵ normals (8.1 ± .1); the trapezoid rule is exact to 1e-14 for such densities.
_GRID = np.linspace(-12.0, 12.0, 4801)


def expected_max(n: int) -> float:
    """Return E_N, the expected maximum of N independent standard normals.

    >>> [round(expected_max(n), 2) for n in (1, 2, 3, 10, 27, 50)]
    [0.0, 0.56, 0.85, 1.54, 2.0, 2.25]

    Raises:
        BadCounts: `n` is not a whole number of at least 1.
    """
    return float(np.trapezoid(_GRID * _density_of_max(n), _GRID))


def sd_of_max(n: int) -> float:
    """Return the standard deviation of the maximum of N independent standard normals.

    >>> [round(sd_of_max(n), 2) for n in (1, 2, 10, 27)]
    [1.0, 0.83, 0.59, 0.5]

    Raises:
        BadCounts: `n` is not a whole number of at least 1.
    """
    density = _density_of_max(n)
    mean = np.trapezoid(_GRID * density, _GRID)
    return sqrt(float(np.trapezoid((_GRID - mean) ** 2 * density, _GRID)))


def _density_of_max(n: int) -> Float64:
    require_tries(n)
    result: Float64 = np.exp(np.log(n) - _GRID**2 / 2 - 0.5 * np.log(2 * np.pi) + (n - 1) * log_ndtr(_GRID))
    return result


def standard_error(votes: float, tie_share: float = 0.0) -> float:
    """Return the standard error, in points, of the rating of a model that wins about half of its votes.

    The standard error is 173.7 · 2 √(1 − tie share) / √votes, with 173.7 = 400/ln 10.

    >>> round(expected_max(50) * standard_error(3000, .345), 1)
    11.5

    Args:
        votes: number of votes on the model.
        tie_share: share of ties among these votes.

    Raises:
        BadCounts: there are no votes, or the share of ties is not in [0, 1).
    """
    if not votes > 0 or not 0 <= tie_share < 1:
        raise BadCounts(f"expected votes above 0 and a tie share in [0, 1), got {votes} and {tie_share}")
    return POINTS_PER_LOGIT * 2 * sqrt((1 - tie_share) / votes)


@dataclass(frozen=True, slots=True)
class SelectionGain:
    """The two parts of the expected gain: score of the best of N variants minus the family mean, in points.

    Attributes:
        legitimate: the part due to better quality.
        curse: the part due to luck (the winner's curse).
    """

    legitimate: float
    curse: float

    @property
    def total(self) -> float:
        """The expected gain in points: `legitimate` plus `curse`."""
        return self.legitimate + self.curse


def selection_gain(n: int, se: float, tau: float) -> SelectionGain:
    """Return by how much the best of N scores is expected to exceed the family mean, split into quality and luck.

    Args:
        n: number of variants tested.
        se: standard error of one score, points.
        tau: standard deviation of the variants' true qualities, points.

    Raises:
        BadCounts: `n` is below 1, or a standard deviation is negative or infinite.
    """
    require_spread("se", se)
    require_spread("tau", tau)
    best = expected_max(n)
    spread = sqrt(se * se + tau * tau)
    return SelectionGain(best * tau * (tau / spread), best * se * (se / spread)) if spread else SelectionGain(0.0, 0.0)


def debias_known_n(score: float, n: int, se: float, tau: float = 0.0) -> float:
    """Return the released model's score minus the winner's curse of N tests, in points.

    Args:
        score: score of the released model, in points.
        n: number of variants tested.
        se: standard error of one score, in points.
        tau: standard deviation of the variants' true qualities, in points.

    Raises:
        BadCounts: N is below 1, or a standard deviation is negative or infinite.
    """
    return score - selection_gain(n, se, tau).curse


def debiased_se(n: int, se: float, tau: float = 0.0) -> float:
    """Return the standard error of the score that `debias_known_n` returns, in points.

    The standard error is √((s⁴ Var[max of N] + s² τ²) / (s² + τ²)), where s is `se` and Var[max of N] is the variance
    of the maximum of N standard normals. For N = 1 the result is s; for N = 27 and τ = 0 it is s / 2.

    Args:
        n: number of variants tested.
        se: standard error s of one score, in points.
        tau: standard deviation τ of the variants' true qualities, in points.

    Raises:
        BadCounts: N is below 1, or a standard deviation is negative or infinite.
    """
    require_spread("se", se)
    require_spread("tau", tau)
    whole = se * se + tau * tau
    return sqrt((se**4 * sd_of_max(n) ** 2 + se * se * tau * tau) / whole) if whole else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ShrunkScores:
    """The scores of a family of N variants, each moved towards the family mean (empirical Bayes).

    A shrunk score is a weighted mean of the score and the family mean. The family mean has the weight se² / (se² + τ²),
    where se is the standard error of the score.

    Attributes:
        scores: float64[N], points.
        se: float64[N], posterior standard errors, points.
        mean: mean of the family, points.
        tau: estimated standard deviation τ of the true qualities, points.
    """

    scores: Float64
    se: Float64
    mean: float
    tau: float


def shrink_to_family_mean(scores: npt.ArrayLike, se: npt.ArrayLike) -> ShrunkScores:
    """Estimate the true qualities of a family of variants by empirical Bayes, for normal scores.

    τ² is the moment estimate of DerSimonian & Laird 1986 (Controlled Clinical Trials 7); with equal errors s, it is
    max(0, variance of scores − s²). The posterior mean of the best score needs no further correction for the selection.

    Args:
        scores: N scores in points, one for each variant, released or not.
        se: standard errors of the scores in points, above 0: N numbers, or one number for all.

    Returns:
        The estimates with standard errors, and the estimated mean and τ of the family.

    Raises:
        BadCounts: there are fewer than two scores, a score is not finite, or a standard error is not above 0. The
            message has the position.
    """
    y, s = require_scores(scores, se)
    tau2 = _spread(y, s)
    weight = 1 / (s**2 + tau2)
    mean = float((weight * y).sum() / weight.sum())
    kept = tau2 / (tau2 + s**2)
    # The second term is the variance of the estimated mean.
    posterior = kept * s**2 + (1 - kept) ** 2 / weight.sum()
    return ShrunkScores(mean + kept * (y - mean), np.sqrt(posterior), mean, sqrt(tau2))


def require_scores(scores: npt.ArrayLike, se: npt.ArrayLike) -> tuple[Float64, Float64]:
    """Return the scores of a family and their standard errors as arrays, float64[N] each.

    Args:
        scores: N scores in points, one for each variant, released or not.
        se: standard errors of the scores in points, above 0: N numbers, or one number for all.

    Raises:
        BadCounts: there are fewer than two scores, a score is not finite, or a standard error is not above 0.
    """
    y = np.asarray(scores, dtype=np.float64)
    s = np.asarray(se, dtype=np.float64)
    s = np.full(y.shape, float(s)) if s.ndim == 0 else s
    if y.ndim != 1 or len(y) < 2 or s.shape != y.shape:
        raise BadCounts(f"expected two or more scores and as many errors, got shapes {y.shape} and {s.shape}")
    bad = ~(np.isfinite(y) & np.isfinite(s) & (s > 0))
    if bad.any():
        k = int(np.argmax(bad))
        raise BadCounts(f"expected a finite score and an error above 0, got {y[k]} ± {s[k]} at place {k}")
    return y, s


def _spread(y: Float64, s: Float64) -> float:
    weight = 1 / s**2
    mean = (weight * y).sum() / weight.sum()
    excess = (weight * (y - mean) ** 2).sum() - (len(y) - 1)
    return max(0.0, float(excess / (weight.sum() - (weight**2).sum() / weight.sum())))


def without_votes_before(counts: PairCounts, before: PairCounts, model: str) -> PairCounts:
    """Return all votes except the votes on one model that were cast before this model was selected.

    Args:
        counts: all votes.
        before: the votes up to the selection, with the same `models`.
        model: the released model.

    Raises:
        BadCounts: the model is unknown, `before` has other `models` than `counts`, or `before` has votes that are not
            in `counts`.
    """
    if model not in counts.models:
        raise BadCounts(f"expected one of {len(counts.models)} models, got {model!r}")
    code = counts.models.index(model)
    rows = (before.a == code) | (before.b == code)
    stale = PairCounts.from_rows(before.models, before.a[rows], before.b[rows], before.table()[rows])
    return counts.minus(stale)


def mismatch_z(tested: float, se_tested: float, released: float, se_released: float, curse: float = 0.0) -> float:
    """Return the z statistic of the difference between a model's score under test and its score after release.

    The null hypothesis is that the released model is the same as the model under test. z = (tested − released − curse)
    / √(s₁² + s₂²), where s₁ and s₂ are the standard errors of the two scores. For example, identical checkpoints that
    scored 1069 and 1052 had z = 0.9, which is no evidence.

    Args:
        tested: score of the model under test, points.
        se_tested: standard error of `tested`, points.
        released: score of the released model, points.
        se_released: standard error of `released`, points.
        curse: expected winner's curse in `tested`, points.

    Raises:
        BadCounts: a standard error is negative or infinite, or both are 0.
    """
    require_spread("se_tested", se_tested)
    require_spread("se_released", se_released)
    spread = sqrt(se_tested**2 + se_released**2)
    if spread == 0:
        raise BadCounts("expected a standard error above 0, got 0 for both scores")
    return (tested - released - curse) / spread


def require_tries(n: int) -> None:
    """Check that a number of variants is valid.

    Raises:
        BadCounts: `n` is not a whole number of at least 1.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise BadCounts(f"expected a whole number of variants from 1, got {n!r}")


def require_spread(what: str, value: float) -> None:
    """Check that a standard deviation in points is valid. `what` names it in the message.

    Raises:
        BadCounts: the value is negative or not finite.
    """
    if not (isfinite(value) and value >= 0):
        raise BadCounts(f"expected {what} to be a spread of at least 0 points, got {value}")
