"""Measures how well a board's models are connected by battles, and finds the weakest cut between them.

If the win digraph is not strongly connected, there is no rating (Ford 1957), and the audit raises an error. Otherwise
let N_ij be the number of votes of i and j, and p_ij the probability that i wins. H is the Laplacian matrix with weights
N_ij p_ij (1 − p_ij). The audit computes:
    λ₂             second smallest eigenvalue of H (algebraic connectivity, Fiedler 1973); 0 for a split board
    resistance     R_ij = (e_i − e_j)ᵀ H⁺ (e_i − e_j), which is the variance of θ_i − θ_j. The pair with the largest
                   resistance has the least certain comparison
    conductance    votes across a cut divided by votes of the smaller side. The cut is the one with the smallest
                   conductance along the order of the Fiedler vector. By Cheeger's inequality the conductance is small
                   exactly if the normalised λ₂ is small

A cut is weak if fewer than one in eight votes of the smaller side cross it. These few votes decide all comparisons
between the two sides. For comparison: a board sampled at random has a conductance of 0.5, and the weakest cut of a real
board of 129 models has 0.27. A board of two halves has a conductance of 0.07 to 0.11 if a pair across the cut has 1/33
of the votes of other pairs.

>>> from pipeline.ratings import PairCounts
>>> pairs = [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]
>>> rows = [[a, b, 500, 500, 0, 0] for a, b in pairs] + [[2, 3, 15, 15, 0, 0]]
>>> import numpy as np
>>> a, b, *counts = np.array(rows).T
>>> health = graph_health(PairCounts.from_rows(tuple("abcdef"), a, b, np.stack(counts, axis=1)))
>>> round(health.lambda2, 1), round(health.worst_se), health.weak, health.side
(4.9, 65, True, ('d', 'e', 'f'))
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.linalg import eigh

from pipeline.audits.finding import Finding
from pipeline.errors import Disconnected
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, fit
from pipeline.ratings.blas_threads import single_blas_thread
from pipeline.ratings.win_graph import components_of_pairs, disconnected_error
from pipeline.vocabulary.arrays import Float64

AUDIT = "graph_health"
# Components that a finding lists, and models of each.
_NAMED = 100
_WEAK = 0.125
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class GraphHealth:
    """Measures of how well the models of a board are connected by battles.

    Attributes:
        models: number of rated models.
        lambda2: algebraic connectivity λ₂ of the information matrix, in votes.
        worst: the two models with the least certain comparison.
        worst_se: standard error of the difference of these two models' ratings, in points.
        median_se: median over all pairs of the standard error of the difference, in points.
        conductance: conductance of the weakest cut found, from 0 to 1.
        side: the models on the smaller side of that cut.
        crossing: number of votes across the cut.
        crossing_pairs: number of pairs of models with at least one vote across the cut.
    """

    models: int
    lambda2: float
    worst: tuple[str, str]
    worst_se: float
    median_se: float
    conductance: float
    side: tuple[str, ...]
    crossing: int
    crossing_pairs: int

    @property
    def weak(self) -> bool:
        """Whether fewer than one in eight votes of the smaller side cross the cut."""
        return self.conductance < _WEAK


@single_blas_thread
def graph_health(counts: PairCounts) -> GraphHealth:
    """Measure how well the models of a board are connected by battles.

    Args:
        counts: the votes of the board.

    Returns:
        The connectivity of the board, with its weakest cut.

    Raises:
        Disconnected: the win digraph is not strongly connected; the error lists the components by name.
        BadCounts, NotConverged: there are fewer than two models or no votes, or the fit does not converge.
    """
    # Before any table of all pairs is made: a board may have many names that met nobody else.
    parts, _ = components_of_pairs(len(counts.models), counts.a, counts.b, counts.table())
    if len(parts) != 1:
        raise disconnected_error(parts, counts.models, "expected one strongly connected component")
    W = counts.win_matrix()
    fitted = fit(counts)
    values, vectors = eigh(fitted.hessian)
    # R = diag + diagᵀ − 2 H⁺, without the null direction of H.
    inverse = (vectors[:, 1:] / values[1:]) @ vectors[:, 1:].T
    R = np.add.outer(np.diag(inverse), np.diag(inverse)) - 2 * inverse
    i, j = (int(k) for k in np.unravel_index(int(R.argmax()), R.shape))
    pairs = R[np.triu_indices(len(R), 1)]
    conductance, side = _weakest_cut(W + W.T)
    away = np.setdiff1d(np.arange(len(W)), side)
    across = (W + W.T)[np.ix_(np.array(side), away)]
    return GraphHealth(
        len(W), float(values[1]), (counts.models[min(i, j)], counts.models[max(i, j)]),
        sqrt(float(R.max())) * POINTS_PER_LOGIT, sqrt(float(np.median(pairs))) * POINTS_PER_LOGIT, conductance,
        tuple(counts.models[k] for k in side), round(float(across.sum())), int((across > 0).sum()),
    )  # fmt: skip


def graph_findings(counts: PairCounts) -> tuple[Finding, ...]:
    """Return the finding that a board is split into components, or that few votes connect two sides of the board.

    Args:
        counts: the votes of the board.

    Returns:
        A tuple with one finding; an empty tuple if the board is well connected.

    Raises:
        BadCounts, NotConverged: there are fewer than two models or no votes, or the fit does not converge.
    """
    try:
        health = graph_health(counts)
    except Disconnected as error:
        what = f"ratings are not comparable: {error}"
        parts = [list(map(str, part[:_NAMED])) for part in error.components[:_NAMED]]
        return (Finding(AUDIT, "board", "board", "split", "critical", what, None, {"components": parts}),)
    if not health.weak:
        return ()
    listed = ", ".join(health.side[:_SHOWN]) + (", …" if len(health.side) > _SHOWN else "")
    what = (
        f"{len(health.side)} models ({listed}) are compared with the others by {health.crossing:,} votes only, "
        f"{health.conductance:.1%} of theirs; {health.worst[0]} against {health.worst[1]} is known to "
        f"{health.worst_se:.0f} points (standard error), the median pair to {health.median_se:.0f}"
    )
    figures = {
        "side": list(health.side), "crossing": health.crossing, "conductance": health.conductance,
        "lambda2": health.lambda2, "worst": list(health.worst), "worst_se": health.worst_se,
        "median_se": health.median_se,
    }  # fmt: skip
    return (Finding(AUDIT, "board", "board", "weak bridge", "warning", what, None, figures),)


def _weakest_cut(N: Float64) -> tuple[float, list[int]]:
    """Find the weakest cut along the order of the Fiedler vector: the cut with the smallest conductance.

    `N`, float64[K, K], has the number of votes of each pair of models.

    Returns:
        The conductance of the cut, and the codes of the models on its smaller side.
    """
    volume = N.sum(axis=1)
    scale = 1 / np.sqrt(volume)
    normal = np.eye(len(N)) - scale[:, None] * N * scale[None, :]
    order = np.argsort(eigh(normal, subset_by_index=[1, 1])[1][:, 0] * scale, kind="stable")
    sorted_N = N[np.ix_(order, order)]
    inside = 2 * np.cumsum(np.tril(sorted_N, -1).sum(axis=1))
    left = np.cumsum(volume[order])
    cut = left - inside
    phi = cut[:-1] / np.minimum(left[:-1], left[-1] - left[:-1])
    k = int(phi.argmin()) + 1
    smaller = order[:k] if left[k - 1] <= left[-1] / 2 else order[k:]
    return float(phi[k - 1]), sorted(int(code) for code in smaller)
