"""Computes likelihood ratios of a count against its expected value: the alternative is a rate ρ times as high.

If the count has the null distribution, exp(log ratio) is an e-value. For ρ > 1 it is also an e-value if the true
mean is smaller than the mean that the caller passes. For ρ < 1 it is also an e-value if the true mean is larger. So for
an estimated mean, callers pass the upper confidence bound if ρ > 1, and the lower confidence bound if ρ < 1.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors" (New England Journal of Statistics in Data Science). Section 5 uses
such likelihood ratios as increments: of a binomial share given the total, and of a negative binomial.

Not handled: dependence between the counts of one window, other than the extra variance that these distributions have.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import xlog1py, xlogy

from pipeline.evidence.fixed_point import to_log_units
from pipeline.vocabulary.arrays import Float64, Int64

Array = npt.ArrayLike

RISE_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0)
"""The ratios ρ that are tested for a rise: from 1.25 times to 5 times the expected rate."""

FALL_RATIOS = (0.8, 2 / 3, 0.5, 1 / 3, 0.2)
"""The ratios ρ that are tested for a fall: from 0.8 times to 0.2 times the expected rate."""

# Cap of the share under the alternative: above it nearly every vote would be expected.
_MAX_SHARE = 0.95


def alternative_share(share: Array, ratio: Array) -> Float64:
    """Return the share under the alternative, in the broadcast shape: q = min(ρπ, 0.95), but at least π if ρ ≥ 1.

    Args:
        share: π, the expected share.
        ratio: ρ, the share under the alternative divided by π.
    """
    p = np.asarray(share, dtype=np.float64)
    q = np.minimum(np.asarray(ratio) * p, _MAX_SHARE)
    return np.where(np.asarray(ratio) >= 1, np.maximum(q, p), q)


def binomial(x: Array, n: Array, share: Array, ratio: Array) -> Int64:
    """Return the log-likelihood ratio of x successes in n trials, in units of 2⁻²⁰ nats.

    The alternative is the share q of successes, the null hypothesis the share π. The ratio is
    (q/π)^x ((1−q)/(1−π))^(n−x), with q from `alternative_share`. The arguments are broadcast, and the result has the
    shape to which they are broadcast.

    Args:
        x: number of successes.
        n: number of trials.
        share: π, the expected share, between 0 and 1.
        ratio: ρ, the share under the alternative divided by π.
    """
    x, n, p = (np.asarray(value, dtype=np.float64) for value in (x, n, share))
    q = alternative_share(p, ratio)
    return to_log_units(np.asarray(xlogy(x, q / p) + (n - x) * (np.log1p(-q) - np.log1p(-p))))


def overdispersed_binomial(x: Array, n: Array, share: Array, ratio: Array, concentration: Array) -> Int64:
    """Return the log-likelihood ratio of x successes in n trials whose share varies, in units of 2⁻²⁰ nats.

    L is the likelihood ratio of two negative binomials of size kπ: mean ρnπ against mean nπ. L is an e-value if x is
    beta-binomial, BetaBin(n, kπ, k(1−π)), and also if the share varies less or is smaller. Proof: L is proportional to
    ρ^x, a convex and increasing function of x. These distributions of x are below the negative binomial in the
    increasing convex order (Shaked & Shanthikumar 2007, chapter 4). A likelihood ratio of two beta-binomials would not
    be an e-value: if the share varies less than k allows, the expectation of that ratio reaches 3.6.

    Args:
        x: number of successes. All arguments broadcast.
        n: number of trials.
        share: π, the expected share, between 0 and 1.
        ratio: ρ, above 1, the share under the alternative divided by π.
        concentration: k. The variance of the share is π(1−π)/(1+k).
    """
    pi, k = np.asarray(share, dtype=np.float64), np.asarray(concentration, dtype=np.float64)
    return negative_binomial(x, np.asarray(n, dtype=np.float64) * pi, ratio, k * pi)


def negative_binomial(x: Array, mean: Array, ratio: Array, size: Array) -> Int64:
    """Return the log-likelihood ratio of a count x ~ NB(mean μ, size r), in units of 2⁻²⁰ nats.

    The ratio is ρ^x ((r+μ)/(r+ρμ))^(r+x).

    Args:
        x: the count. All arguments broadcast.
        mean: μ, the mean under the null hypothesis.
        ratio: ρ, the mean under the alternative divided by μ.
        size: r. The variance is μ + μ²/r.
    """
    x, mu, rho, r = (np.asarray(value, dtype=np.float64) for value in (x, mean, ratio, size))
    return to_log_units(np.asarray(xlogy(x, rho) - xlog1py(r + x, (rho - 1) * mu / (r + mu))))


def shifted_logit(wins: Array, n: Array, expected: Array, shift: Array, base: Array) -> Int64:
    """Return the log-likelihood ratio of the alternative that the logit of each win is δ higher than an honest one.

    A win in vote i of n is predicted with probability p_i. Under the null hypothesis, its logit is at most b higher
    than the logit of p_i; b is the band that counts as honest. The p_i may differ; only their sum must be known. Let p̄
    be their mean, and let p̄⁺ be the probability whose logit is b higher than the logit of p̄. Then
    e^(δ·wins) / (1 + p̄⁺(e^δ − 1))^n is an e-value, whatever the p_i are. Proof: p e^b/(1 + p(e^b − 1)) and
    ln(1 + p(e^δ − 1)) are concave in p, so by Jensen's inequality the mean may replace the single probabilities.

    Args:
        wins: number of wins.
        n: number of votes.
        expected: Σ p_i, the expected number of wins.
        shift: δ > 0, in logits.
        base: b ≥ 0, in logits.

    Returns:
        The logarithm in units of 2⁻²⁰ nats; 0 where n is 0.
    """
    wins, n, expected = (np.asarray(value, dtype=np.float64) for value in (wins, n, expected))
    delta, b = np.asarray(shift, dtype=np.float64), np.asarray(base, dtype=np.float64)
    mean = np.clip(np.divide(expected, n, out=np.zeros_like(n + expected), where=n > 0), 0, 1)
    honest = mean * np.exp(b) / (1 + mean * np.expm1(b))
    return to_log_units(np.asarray(delta * wins - n * np.log1p(honest * np.expm1(delta))))


def rare_events(events: Array, n: Array, share: Array, shift: Array) -> Int64:
    """Return the log-likelihood ratio of the alternative that an event's odds are e^δ times smaller than honest odds.

    The ratio is e^(−δ·events) / (1 + p⁻(e^(−δ) − 1))^n. The ratio is an e-value if the mean of the n honest
    probabilities is at least p⁻, however they differ. The reason is that ln(1 + p(e^(−δ) − 1)) is concave and
    decreasing in p.

    Args:
        events: number of trials with the event.
        n: number of trials.
        share: p⁻, the lower bound of the mean probability of the event.
        shift: δ > 0, in logits.

    Returns:
        The logarithm in units of 2⁻²⁰ nats; 0 where n is 0.
    """
    events, n, p = (np.asarray(value, dtype=np.float64) for value in (events, n, share))
    delta = np.asarray(shift, dtype=np.float64)
    return to_log_units(np.asarray(-delta * events - n * np.log1p(p * np.expm1(-delta))))
