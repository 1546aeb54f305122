"""Simultaneous rank sets: with 95% probability every model's set holds its true rank, all at once.

Marginal intervals promise each model its own 95%, and of 129 such promises about six fail. Here one critical value
c serves all pairs: the 95% quantile of max over pairs |d_i − d_j| / SE(θ_i − θ_j) over draws d of N(0, V). Model j
is above i only if (θ_j − θ_i) / SE > c, and i's set is 1 + #{j above i} … K − #{j below i} (Mogstad, Romano, Shaikh
& Wilhelm 2024, "Inference for Ranks", Review of Economic Studies 91; the one-step version).

Laws: the differences are tested, not the intervals compared, so correlation between models counts; the same seed
gives the same sets, and another order of the models moves c within its Monte Carlo error only.

Blind spots: as good as the covariance (give a clustered fit where voters are known); a pair whose SE is 0 (every
vote a tie, or no difference left) is never called apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int64
from .blas_threads import single_blas_thread
from .bradley_terry import Fit

_DRAWS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class RankSets:
    """Ranks that hold for all models at once.

    Attributes:
        best: int64[K], the best place of each model, 1 at the top.
        worst: int64[K], the worst.
        critical: the value of |t| above which two models are apart.
        level: the probability that every set holds its model's true rank.
    """

    best: Int64
    worst: Int64
    critical: float
    level: float


@single_blas_thread
def simultaneous_rank_sets(fitted: Fit, *, level: float = 0.95, draws: int = _DRAWS, seed: int = 0) -> RankSets:
    """Compute simultaneous rank sets from θ and its covariance.

    Args:
        fitted: θ and covariance.
        level: joint coverage, between 0 and 1.
        draws: of the limiting normal; 10,000 put c within ±.02.
        seed: of the draws.

    Raises:
        BadCounts: a level that is no probability, or too few draws to have that quantile.
    """
    if not 0 < level < 1:
        raise BadCounts(f"expected a level between 0 and 1, got {level}")
    if draws * (1 - level) < 1:
        raise BadCounts(f"expected at least {int(np.ceil(1 / (1 - level)))} draws for a level of {level}, got {draws}")
    V = fitted.covariance
    variance = np.diag(V)[:, None] + np.diag(V)[None, :] - 2 * V
    # Rounding leaves a variance of 0 a hair off it.
    se = np.sqrt(np.where(variance > 1e-12 * np.abs(np.diag(V)).max(), variance, 0.0))
    critical = float(np.quantile(_largest_t(V, se, draws, seed), level))
    difference = fitted.theta[:, None] - fitted.theta[None, :]
    above = (difference > critical * se) & (se > 0)
    return RankSets(1 + above.sum(axis=0), len(V) - above.sum(axis=1), critical, level)


def _largest_t(V: Float64, se: Float64, draws: int, seed: int) -> Float64:
    """The largest |t| over pairs of each draw: float64[draws]."""
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
