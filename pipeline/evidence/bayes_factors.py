"""Computes Bayes factors that test whether observed counts follow the shares that a sampling policy declares.

Null hypothesis: the shares are the declared shares θ. Alternative: the shares have a Dirichlet distribution around θ
(for two shares, a beta distribution). Such a Bayes factor is an e-process: if the null hypothesis holds, the
probability that the factor ever reaches 1/α is at most α.

The only state is the counts. When a policy ends, its factor no longer changes, and it multiplies the factor of the next
policy.

Source: Dirichlet-multinomial Bayes factor, Good 1967 (J. Royal Statistical Society B 29(3)); as an e-process, Lindon &
Malek 2022, "Anytime-valid inference for multinomial count data" (NeurIPS), equation 4.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln, xlogy

from pipeline.evidence.fixed_point import to_log_units
from pipeline.vocabulary.arrays import Float64, Int64

CONCENTRATION = 1000.0
"""The concentration k of the Dirichlet distribution of the shares under the alternative. With k = 1000, the Bayes
factor grows for a share that differs by a few per cent from the declared share, and also for a share twice as large.
With 40 models the median number of votes to an alert is 4,400 for a model with twice its share, 36,100 for 1.5 times
its share, and 2,000 for a model that does not appear."""


def dirichlet_multinomial(
    counts: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: float = CONCENTRATION,
    bounds: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> Int64:
    """Return the log Bayes factor of counts against declared shares, in 2⁻²⁰ nats, rounded down.

    The factor is Γ(k)/Γ(k+n) · Π Γ(kθ_i+S_i)/Γ(kθ_i) / Π q_i^{S_i}, where n = Σ S_i. Without bounds, the q_i are the
    declared shares θ_i. With bounds, the q_i are the shares within the bounds that make the factor smallest. Their sum
    is 1. The factor is then an e-process for all shares within the bounds.

    Args:
        counts: [..., m], the counts S_i of the m categories on the last axis; with bounds, [m].
        theta: float[m], the declared shares θ_i, positive, with sum 1.
        k: concentration of the alternative.
        bounds: the least and the largest share of each category, float[m] each. The least shares sum to at most 1, the
            largest shares to at least 1.

    Returns:
        int64[...], the shape of `counts` without its last axis.
    """
    s, t = np.asarray(counts, dtype=np.float64), np.asarray(theta, dtype=np.float64)
    n = s.sum(axis=-1)
    terms = gammaln(k * t + s) - gammaln(k * t) - xlogy(s, t if bounds is None else _likeliest(s, *bounds))
    return to_log_units(np.asarray(gammaln(k) - gammaln(k + n) + terms.sum(axis=-1)))


def _likeliest(counts: Float64, least: npt.ArrayLike, most: npt.ArrayLike) -> Float64:
    """Return the shares within bounds, with sum 1, that give the counts the highest probability, float[m]."""
    low, high = np.asarray(least, dtype=np.float64), np.asarray(most, dtype=np.float64)
    # The shares are clip(S_i · x, low, high); their sum rises with x, so x is found by halving its logarithm's range.
    bottom, top = -70.0, 10.0
    for _ in range(60):
        middle = (bottom + top) / 2
        if np.clip(counts * np.exp(middle), low, high).sum() < 1:
            bottom = middle
        else:
            top = middle
    return np.asarray(np.clip(counts * np.exp(top), low, high))


def beta_binomial(
    successes: npt.ArrayLike,
    n: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: float = CONCENTRATION,
    bounds: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> Int64:
    """Return the log Bayes factor of successes against a declared share, in 2⁻²⁰ nats, rounded down.

    The factor is B(kθ+S, k(1−θ)+n−S) / (B(kθ, k(1−θ)) q^S (1−q)^{n−S}), where B is the beta function. Without bounds, q
    is the declared share θ. With bounds, q is the share within the bounds that makes the factor smallest. The factor is
    then an e-process for every share within the bounds.

    Args:
        successes: S, the number of successes of each key. Arrays broadcast.
        n: number of trials of each key.
        theta: θ, the declared share of each key, between 0 and 1.
        k: concentration of the alternative.
        bounds: the least and the largest share of each key, between 0 and 1.

    Returns:
        int64 of the broadcast shape; 0 where n is 0.
    """
    s, n, t = (np.asarray(value, dtype=np.float64) for value in (successes, n, theta))
    null = t
    if bounds is not None:
        null = np.clip(np.divide(s, n, out=np.zeros_like(s + n), where=n > 0), *bounds)
    spread = betaln(k * t + s, k * (1 - t) + n - s) - betaln(k * t, k * (1 - t))
    return to_log_units(np.asarray(spread - xlogy(s, null) - xlogy(n - s, 1 - null)))
