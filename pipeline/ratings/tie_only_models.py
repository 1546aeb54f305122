"""Computes the standard errors of models that only tied.

A tie between two models of equal strength has the residual 0. So for a model that only tied, the sandwich formula gives
a standard error that is too small: the standard error of the models that it tied with, or 0 if all votes are ties. This
module adds the variance p(1 − p) for each vote on such a model, as if each tie could have been a win.

Nothing is added for the votes between two models that each have a decisive vote.
"""

from dataclasses import replace

import numpy as np

from .blas_threads import single_blas_thread
from .bradley_terry import Fit, pair_weights, sandwich_covariance
from .newton import information, laplacian
from .pair_counts import PairCounts


@single_blas_thread
def with_tie_only_variance(fitted: Fit, counts: PairCounts, *, reweight: int | None = None) -> Fit:
    """Return the fit with a larger covariance for models that only tied.

    `fitted` itself is returned if there is no such model, or if the information matrix is singular in float64.

    Args:
        fitted: the fit of these counts, with a plain or a clustered covariance.
        counts: the votes.
        reweight: how the fit weighs votes: None for equal weights; n for the weights `pair_weights(counts, n)`.
    """
    decisive = counts.decisive_matrix()
    only_ties = np.asarray((decisive + decisive.T).sum(axis=1) == 0)
    if not only_ties.any():
        return fitted
    W = counts.win_matrix()
    scale = np.ones_like(W)
    if reweight is not None:
        votes, scale = W + W.T, pair_weights(counts, reweight)
        scale = scale * (votes.sum() / (votes * scale).sum())
    edges = information(W, fitted.theta) * scale**2 * (only_ties[:, None] | only_ties[None, :])
    more = sandwich_covariance(fitted.hessian, laplacian(edges))
    return fitted if more is None else replace(fitted, covariance=fitted.covariance + more)
