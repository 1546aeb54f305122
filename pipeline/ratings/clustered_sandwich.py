"""Computes a sandwich covariance clustered by voter, for votes of one voter that are not independent.

The covariance is V = H⁺ B H⁺, where H is the information matrix and B = Σ over voters of s sᵀ. The score vector of a
voter is s = Σ over the voter's votes of w (y − p)(e_a − e_b). Here w is the weight of the vote, y − p its residual, and
e_a the unit vector of model a (Liang & Zeger 1986, Biometrika 73; Cameron & Miller 2015, J. Human Resources 50). These
papers multiply V by G/(G − 1) for G voters. Here this factor is left out, since it is nearly 1 for many voters.

A vote without a voter is a cluster of its own. If no vote has a voter, the result is the sandwich covariance
without clusters.

With few voters the variance is too small. With a single voter it is 0, since the scores of all votes add up to 0.
`voter_covariance` corrects this if `effective_voters` is below LEAST_VOTERS.

Blind spots: with only a few dozen voters the variance is still too small. One person with many pseudonyms counts as
many voters.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array, vstack

from ..errors import BadCounts, NotConverged
from ..vocabulary.arrays import Float64, Int32, Int64
from ..vocabulary.large_arrays import keep, new_large, pieces
from ..vocabulary.outcomes import OUTCOMES
from . import validation
from .blas_threads import single_blas_thread
from .bradley_terry import Fit, sandwich_covariance
from .residuals import residuals

LEAST_VOTERS = 10
"""Least number of voters (`effective_voters`) with which a covariance clustered by voter is used as it is."""

# Voters whose scores are multiplied at a time: those of more do not fit into the cache, which takes twice as long.
_BLOCK = 16_384
# The numbers of voters are dense if they are less than so many times the number of votes.
_DENSE = 4


@single_blas_thread
def with_clustered_covariance(
    fitted: Fit,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    outcome: npt.ArrayLike,
    voter: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
) -> Fit:
    """Return the fit with its covariance clustered by voter.

    Args:
        fitted: the fit of these votes.
        a, b: the codes of the two models of each of N votes.
        outcome: the code of each vote's outcome.
        voter: N whole numbers, equal for votes of one voter; −1 for an unknown voter.
        weights: [K, K], the weight that the fit gave to each vote of a pair; None for weight 1.

    Raises:
        BadCounts: columns differ in length, or a code is out of range. The message names the row.
        NotConverged: the information is singular in float64.
    """
    size = len(fitted.theta)
    left, right = validation.codes(a, "a", size), validation.codes(b, "b", size)
    result, who = validation.codes(outcome, "outcome", len(OUTCOMES)), validation.whole_numbers(voter, "voter")
    lengths = [len(column) for column in (left, right, result, who)]
    if len(set(lengths)) != 1:
        raise BadCounts("expected one length, got {} a, {} b, {} outcome, {} voter".format(*lengths))
    residual = residuals(fitted.theta, left, right, result)
    if weights is not None:
        # Scaled to mean 1 over the votes, as in `fit_matrix`.
        each = np.asarray(weights, dtype=np.float64)[left, right]
        residual *= each / each.mean()
    covariance = sandwich_covariance(
        fitted.hessian, clustered_scatter(left, right, residual, voter_clusters(who)[0], size)
    )
    if covariance is None:
        raise NotConverged(fitted.iterations, fitted.gradient_norm)
    return replace(fitted, covariance=covariance)


def effective_voters(voter: Int64) -> float:
    """Return the effective number of voters: (Σ n)² / Σ n², where n is the number of votes of a voter; 0 without votes.

    The effective number equals the number of voters if all voters have the same number of votes, and is smaller
    otherwise.

    Args:
        voter: int64[N], the voter of each vote; −1 for an unknown voter. Each vote with −1 counts as a voter of its
            own.
    """
    known = voter[voter >= 0]
    dense = len(known) and int(known.max()) < 4 * len(known)  # a table takes less memory than sorting
    sizes = (np.bincount(known) if dense else np.unique(known, return_counts=True)[1]).astype(np.float64)
    squares = float((sizes**2).sum()) + int((voter < 0).sum())
    return len(voter) ** 2 / squares if squares else 0.0


def voter_clusters(voter: npt.NDArray[np.integer[Any]]) -> tuple[Int64, Int64]:
    """Number the clusters: first one for each known voter, then one for each vote without a voter (−1).

    Returns:
        Two arrays: int64[N], the cluster of each vote, counted from 0; and the known voters in the order of their
            clusters.
    """
    known = voter != -1
    if known.all():
        names, numbers = _distinct(voter)
        return numbers.astype(np.int64, copy=False), names
    names, numbers = _distinct(voter[known])
    result = np.empty(len(voter), dtype=np.int64)
    result[known] = numbers
    result[~known] = len(names) + np.arange(len(voter) - len(numbers))
    return result, names


def _distinct(voter: npt.NDArray[np.integer[Any]]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the distinct voters, ascending, and the position of each vote's voter among them."""
    if (voter[1:] >= voter[:-1]).all():  # sorted already
        first = np.append(np.ones(min(1, len(voter)), dtype=np.bool_), voter[1:] != voter[:-1])
        numbers = np.cumsum(first)
        numbers -= 1
        return voter[first], keep(numbers)
    if voter.dtype.kind == "i" and voter.min() >= 0 and voter.max() < _DENSE * len(voter):
        # A table takes less memory than sorting.
        present = np.zeros(int(voter.max()) + 1, dtype=np.bool_)
        present[voter] = True
        place, numbers = np.cumsum(present) - 1, new_large((len(voter),), np.int64)
        for piece in pieces(len(voter)):
            numbers[piece] = place[voter[piece]]
        return np.flatnonzero(present).astype(voter.dtype), numbers
    names, numbers = np.unique(voter, return_inverse=True)
    return names, numbers


def voter_scores(a: Int32, b: Int32, residual: Float64, cluster: Int64, size: int) -> csr_array:
    """Sum residual · (e_a − e_b) over the votes of each cluster, where e_a is the unit vector of model a.

    Args:
        a, b: int32[N], codes of the two models of each vote.
        residual: float64[N], the residual of each vote times its weight.
        cluster: int64[N], the cluster of each vote, counted from 0.
        size: K, the number of models.

    Returns:
        Sparse float64[clusters, K], one row for each cluster.
    """
    blocks = list(score_blocks(a, b, residual, cluster, size))
    return blocks[0] if len(blocks) == 1 else vstack(blocks, format="csr")


def score_blocks(a: Int32, b: Int32, residual: Float64, cluster: Int64, size: int) -> Iterator[csr_array]:
    """Yield the matrix that `voter_scores` returns for the same arguments, in blocks of at most _BLOCK rows.

    There is at least one block, also without votes.
    """
    order = None if (cluster[1:] >= cluster[:-1]).all() else keep(np.argsort(cluster, kind="stable"))
    clusters = int(cluster.max()) + 1 if len(cluster) else 0
    for first in range(0, max(clusters, 1), _BLOCK):
        height = min(_BLOCK, clusters - first)
        low, high = np.searchsorted(cluster, [first, first + height], sorter=order)
        some = slice(low, high) if order is None else order[low:high]
        rows, columns = np.tile(cluster[some] - first, 2), np.concatenate([a[some], b[some]])
        values = np.concatenate([residual[some], -residual[some]])
        yield coo_array((values, (rows, columns)), shape=(height, size)).tocsr()


def clustered_scatter(
    a: Int32, b: Int32, residual: Float64, cluster: Int64, size: int, z: Float64 | None = None
) -> Float64:
    """Return the matrix Σ s sᵀ over clusters, the middle part of a clustered sandwich covariance.

    s is the sum of residual · (e_a − e_b, z) over the votes of a cluster.

    Args:
        a, b: int32[N], codes of the two models of each vote; e_a is the unit vector of model a.
        residual: float64[N], the residual of each vote times its weight.
        cluster: int64[N], the cluster of each vote, counted from 0.
        size: K, the number of models.
        z: float64[N, F], the features of each vote; None if there are none.

    Returns:
        float64[K + F, K + F]; float64[K, K] without features.
    """
    clusters = int(cluster.max()) + 1 if len(cluster) else 0
    columns = [] if z is None else [_sums(cluster, residual, column, clusters) for column in z.T]
    models, cross, first = np.zeros((size, size)), np.zeros((size, len(columns))), 0
    for some in score_blocks(a, b, residual, cluster, size):
        models += (some.T @ some).toarray()
        row = first + np.repeat(np.arange(some.shape[0]), np.diff(some.indptr))
        for number, column in enumerate(columns):
            np.add.at(cross[:, number], some.indices, some.data * column[row])
        first += some.shape[0]
    if z is None:
        return models
    features = np.stack(columns, axis=1)
    result: Float64 = np.block([[models, cross], [cross.T, features.T @ features]])
    return result


def _sums(cluster: Int64, residual: Float64, feature: Float64, clusters: int) -> Float64:
    """Return Σ residual · feature over the votes of each cluster, float64[clusters]."""
    sums = np.zeros(clusters)
    for piece in pieces(len(cluster)):
        np.add.at(sums, cluster[piece], residual[piece] * feature[piece])
    return sums
