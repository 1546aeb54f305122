"""Likelihood ratios of counts: is a rate ρ times its expected value?

Law: if the count has the null distribution, exp(log ratio) is an e-value: its expectation is at most 1. For ρ > 1 this
also holds for every smaller mean, for ρ < 1 for every larger mean. So an estimated baseline is passed as its upper
confidence bound if ρ > 1, and as its lower bound if ρ < 1.

Sources: the binomial share given the total, and the negative binomial, as in Shin, Ramdas & Rinaldo 2024, "E-detectors"
(New England Journal of Statistics in Data Science), section 5: likelihood ratios as increments.

Not handled: dependence between the counts of one window beyond the over-dispersion of these distributions.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import xlog1py, xlogy

from pipeline.evidence.fixed_point import to_log_units
from pipeline.vocabulary.arrays import Float64, Int64

Array = npt.ArrayLike

RISE_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0)
"""ρ of a rise: from a quarter more to five times as much."""

FALL_RATIOS = (0.8, 2 / 3, 0.5, 1 / 3, 0.2)
"""ρ of a fall: the inverse ratios."""

# Cap of the share under the alternative: above it nearly every vote would be expected.
_MAX_SHARE = 0.95


def alternative_share(share: Array, ratio: Array) -> Float64:
    """Return the share under the alternative: q = min(ρπ, .95), but at least π if ρ ≥ 1; π is the expected share."""
    p = np.asarray(share, dtype=np.float64)
    q = np.minimum(np.asarray(ratio) * p, _MAX_SHARE)
    return np.where(np.asarray(ratio) >= 1, np.maximum(q, p), q)


def binomial(x: Array, n: Array, share: Array, ratio: Array) -> Int64:
    """Return the log-likelihood ratio of x successes of n against Bin(n, π), in units of 2⁻²⁰ nats.

    The ratio is (q/π)^x ((1−q)/(1−π))^(n−x), with q from `alternative_share`.

    Args:
        x: successes of n; all arguments broadcast.
        n: the total.
        share: π, within (0, 1).
        ratio: ρ.
    """
    x, n, p = (np.asarray(value, dtype=np.float64) for value in (x, n, share))
    q = alternative_share(p, ratio)
    return to_log_units(np.asarray(xlogy(x, q / p) + (n - x) * (np.log1p(-q) - np.log1p(-p))))


def overdispersed_binomial(x: Array, n: Array, share: Array, ratio: Array, concentration: Array) -> Int64:
    """Return the log-likelihood ratio of x successes of n where the share itself varies, in units of 2⁻²⁰ nats.

    L is the ratio of a negative binomial with mean nπ and size kπ. L is an e-value for x ~ BetaBin(n, kπ, k(1−π)) and
    for every share that varies less: as a function of x, L is proportional to ρ^x, convex and rising, and the binomial,
    the beta-binomial and smaller shares lie below this negative binomial in the increasing convex order (Shaked &
    Shanthikumar 2007, chapter 4). The ratio of two beta-binomials is no e-value: if the share varies less than k says,
    its expectation reaches 3.6.

    Args:
        x, n, share, ratio: as in `binomial`; ρ > 1.
        concentration: k; the variance of the share is π(1−π)/(1+k).
    """
    pi, k = np.asarray(share, dtype=np.float64), np.asarray(concentration, dtype=np.float64)
    return negative_binomial(x, np.asarray(n, dtype=np.float64) * pi, ratio, k * pi)


def negative_binomial(x: Array, mean: Array, ratio: Array, size: Array) -> Int64:
    """Return the log-likelihood ratio of a count x ~ NB(mean μ, size r), in units of 2⁻²⁰ nats.

    The ratio is ρ^x ((r+μ)/(r+ρμ))^(r+x).

    Args:
        x: the count; all arguments broadcast.
        mean: μ, the mean under the null.
        ratio: ρ, the mean under the alternative divided by μ.
        size: r; the variance is μ + μ²/r.
    """
    x, mu, rho, r = (np.asarray(value, dtype=np.float64) for value in (x, mean, ratio, size))
    return to_log_units(np.asarray(xlogy(x, rho) - xlog1py(r + x, (rho - 1) * mu / (r + mu))))


def shifted_logit(wins: Array, n: Array, expected: Array, shift: Array, base: Array) -> Int64:
    """Return the log-likelihood ratio of "the logit of a win is δ higher" for n votes with unequal win chances p_i.

    Only the sum of the chances needs to be known. Each p_i is first raised by b logits (the band that is still honest).
    The raised chance p e^b/(1 + p(e^b − 1)) and ln(1 + p(e^δ − 1)) are concave in p, so by Jensen's inequality the mean
    p̄ may replace the single chances: with p̄⁺ the raised mean, e^(δ·wins) / (1 + p̄⁺(e^δ − 1))^n is an e-value for
    every set of chances with mean p̄, raised by at most b.

    Args:
        wins: number of wins.
        n: number of votes.
        expected: Σ p_i.
        shift: δ > 0.
        base: b ≥ 0.

    Returns:
        The logarithm in units of 2⁻²⁰ nats; 0 where n is 0.
    """
    wins, n, expected = (np.asarray(value, dtype=np.float64) for value in (wins, n, expected))
    delta, b = np.asarray(shift, dtype=np.float64), np.asarray(base, dtype=np.float64)
    mean = np.clip(np.divide(expected, n, out=np.zeros_like(n + expected), where=n > 0), 0, 1)
    honest = mean * np.exp(b) / (1 + mean * np.expm1(b))
    return to_log_units(np.asarray(delta * wins - n * np.log1p(honest * np.expm1(delta))))
