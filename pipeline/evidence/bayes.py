"""Bayes factors of declared shares: is the sampling what the policy says?

The alternative spreads the shares by a Dirichlet (beta) distribution around the declared ones, θ. A Bayes factor
against a point null is a likelihood-ratio e-process: whenever somebody looks, P(ever ≥ 1/α) ≤ α.

State: counts alone. A policy that ends closes its factor, and the next one's is multiplied with it.

Source: Dirichlet-multinomial Bayes factor, Good 1967 (J. Royal Statistical Society B 29(3)); as an e-process,
Lindon & Malek 2022, "Anytime-valid inference for multinomial count data" (NeurIPS), equation 4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln, xlogy

from pipeline.evidence.fixed import log_units
from pipeline.vocabulary.arrays import Int64

CONCENTRATION = 1000.0
"""k: alternatives within a few per cent (relative) of the declared shares up to twice as much. Of 40 models a
doubling is told within 4,400 votes, a half more within 36,100, a silence within 2,000 (medians)."""


def dirichlet_multinomial(counts: npt.ArrayLike, theta: npt.ArrayLike, k: float = CONCENTRATION) -> Int64:
    """The logarithm of Γ(k)/Γ(k+n) · Π Γ(kθ_i + S_i)/Γ(kθ_i) / Π θ_i^{S_i}, in units of 2⁻²⁰ nats, rounded down.

    Args:
        counts: S, float or int [..., m].
        theta: θ, float[m], positive, sums to 1.
        k: concentration of the alternative.
    """
    s, t = np.asarray(counts, dtype=np.float64), np.asarray(theta, dtype=np.float64)
    n = s.sum(axis=-1)
    terms = gammaln(k * t + s) - gammaln(k * t) - xlogy(s, t)
    return log_units(np.asarray(gammaln(k) - gammaln(k + n) + terms.sum(axis=-1)))


def beta_binomial(successes: npt.ArrayLike, n: npt.ArrayLike, theta: npt.ArrayLike, k: float = CONCENTRATION) -> Int64:
    """The logarithm of B(kθ + S, k(1−θ) + n − S)/B(kθ, k(1−θ)) / θ^S (1−θ)^{n−S}, in units of 2⁻²⁰ nats, rounded down.

    Args:
        successes: S of each of the keys.
        n: trials; broadcast.
        theta: θ, the declared share of each key, within (0, 1).
        k: concentration of the alternative.
    """
    s, n, t = (np.asarray(value, dtype=np.float64) for value in (successes, n, theta))
    spread = betaln(k * t + s, k * (1 - t) + n - s) - betaln(k * t, k * (1 - t))
    return log_units(np.asarray(spread - xlogy(s, t) - xlogy(n - s, 1 - t)))
