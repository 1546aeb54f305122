"""Computes rank sets with simultaneous coverage: with probability 95% every model's set contains its true rank.

Of 129 intervals that each have 95% coverage, about six miss the true value. Here all pairs of models are compared with
one critical value c. Let V be the covariance of the strengths θ, and d a random draw from N(0, V). c is the 95%
quantile, over draws, of the maximum over pairs of |d_i − d_j| / SE(θ_i − θ_j). Model j is above i if
(θ_j − θ_i) / SE > c. The rank set of i is 1 + #{j above i} … K − #{j below i} (Mogstad, Romano, Shaikh & Wilhelm 2024,
"Inference for Ranks", Review of Economic Studies 91, the one-step version).

The standard error of a difference includes the correlation between the two models. The same seed gives the same
sets. The order of the models changes c only within its Monte Carlo error.

Blind spots: the coverage assumes a normal θ with covariance V; where voters are known, use a fit that is clustered by
voter. A pair with SE 0 (all its votes are ties) is never separated.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int64
from . import validation
from .blas_threads import single_blas_thread
from .bradley_terry import Fit

_DRAWS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class RankSets:
    """Rank sets of K models, from `best` to `worst`, with simultaneous coverage.

    Attributes:
        best: int64[K], best rank in the set of each model; 1 is the top.
        worst: int64[K], worst rank in the set of each model.
        critical: two models are separated if their difference exceeds this number of standard errors.
        level: the joint coverage.
    """

    best: Int64
    worst: Int64
    critical: float
    level: float


@single_blas_thread
def simultaneous_rank_sets(fitted: Fit, *, level: float = 0.95, draws: int = _DRAWS, seed: int = 0) -> RankSets:
    """Compute rank sets that contain the true ranks of all models together with probability `level`.

    Args:
        fitted: the fit of the models.
        level: joint coverage, between 0 and 1.
        draws: number of random draws; 10,000 draws give the critical value to within ±0.02.
        seed: seed of the draws.

    Returns:
        The best and the worst rank in each model's set.

    Raises:
        BadCounts: `level` is not between 0 and 1, or there are too few draws for it.
    """
    validation.require_level(level)
    if draws * (1 - level) < 1:
        raise BadCounts(f"expected at least {int(np.ceil(1 / (1 - level)))} draws for a level of {level}, got {draws}")
    V = fitted.covariance
    variance = np.diag(V)[:, None] + np.diag(V)[None, :] - 2 * V
    # Rounding can make a variance of 0 slightly positive or negative.
    se = np.sqrt(np.where(variance > 1e-12 * np.abs(np.diag(V)).max(), variance, 0.0))
    critical = float(np.quantile(_largest_t(V, se, draws, seed), level))
    difference = fitted.theta[:, None] - fitted.theta[None, :]
    above = (difference > critical * se) & (se > 0)
    return RankSets(1 + above.sum(axis=0), len(V) - above.sum(axis=1), critical, level)


def _largest_t(V: Float64, se: Float64, draws: int, seed: int) -> Float64:
    """Return for each draw d from N(0, V) the largest |d_i − d_j| / se_ij over all pairs, float64[draws].

    Args:
        V: float64[K, K], covariance of the strengths.
        se: float64[K, K], standard error of the difference of each pair. Pairs with 0 are left out.
        draws: number of random draws.
        seed: seed of the draws.
    """
    values, vectors = eigh(V)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = np.random.default_rng(seed).standard_normal((len(V), draws))
    drawn = root @ normal
    inverse = np.divide(1.0, se, out=np.zeros_like(se), where=se > 0)
    largest = np.zeros(draws)
    for i in range(len(V) - 1):
        t = drawn[i + 1 :] - drawn[i]
        np.abs(t, out=t)
        t *= inverse[i + 1 :, i, None]
        np.maximum(largest, t.max(axis=0), out=largest)
    return largest
