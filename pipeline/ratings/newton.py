"""Maximises the Bradley-Terry likelihood by a damped Newton method.

Let W_ij be the wins of i over j, N = W + Wᵀ, and p_ij = 1 / (1 + exp(θ_j − θ_i)). The gradient is
g_i = Σ_j (W_ij − N_ij p_ij). The information H is the Laplacian matrix with weights N_ij p_ij (1 − p_ij).

No step decreases the likelihood. A result is returned when both the step and the gradient are within tolerance;
otherwise `NotConverged` is raised. Callers must pass a checked W whose win digraph is strongly connected.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import expit

from ..errors import NotConverged
from ..vocabulary.arrays import Float64

# Steps below 2⁻³⁰ of a Newton step no longer change the likelihood of any board.
_HALVINGS = 30
# Relative rounding of a sum of K² terms, by which the likelihood may seem to decrease at its maximum.
_ROUNDING = 1e-12


def maximise(
    W: Float64, tolerance: float, max_iterations: int, start: Float64 | None = None
) -> tuple[Float64, int, float]:
    """Find the strengths θ that maximise the likelihood.

    Args:
        W: float64[K, K], wins of i over j. Its win digraph must be strongly connected.
        tolerance: the search ends when the last step (in logits) and each model's gradient divided by its number of
            battles are at most this.
        max_iterations: number of Newton steps after which `NotConverged` is raised.
        start: float64[K] with mean zero, the strengths to start from; None to start from zero.

    Returns:
        Three values: θ, float64[K] with mean zero; the number of steps; and the largest absolute component of the
            gradient, in votes.

    Raises:
        NotConverged: `max_iterations` is reached, no step increases the likelihood, or the linear equations of a Newton
            step cannot be solved in float64.
    """
    theta, norm, iteration = np.zeros(len(W)) if start is None else start, float("inf"), 0
    # The rounding of the gradient grows with the votes, so the tolerance is per battle.
    battles = np.maximum((W + W.T).sum(axis=1), 1.0)
    for iteration in range(max_iterations + 1):
        gradient = _gradient(W, theta)
        norm = float(np.abs(gradient).max())
        step = solve_laplacian(laplacian(information(W, theta)), gradient)
        if step is None:
            break
        if np.abs(step).max() <= tolerance and (np.abs(gradient) / battles).max() <= tolerance:
            return theta, iteration, norm
        moved = _climb(W, theta, step)
        if moved is None:
            break
        theta = moved
    raise NotConverged(iteration, norm)


def win_probability(theta: Float64) -> Float64:
    """Return float64[K, K], the probability that model i beats model j, accurate also near 0 and 1.

    Args:
        theta: float64[K], strengths of the models in logits.
    """
    result: Float64 = expit(theta[:, None] - theta[None, :])
    return result


def information(W: Float64, theta: Float64) -> Float64:
    """Return float64[K, K], the weights N_ij p_ij (1 − p_ij) of the information matrix.

    Args:
        W: float64[K, K], wins of i over j. N_ij = W_ij + W_ji is the number of votes of i and j.
        theta: float64[K], strengths of the models in logits.
    """
    P = win_probability(theta)
    result: Float64 = (W + W.T) * P * P.T
    return result


def laplacian(edges: Float64) -> Float64:
    """Return the Laplacian matrix of a weighted graph, float64[K, K].

    Entries off the diagonal are the negative weights. The diagonal makes each row sum to zero.

    Args:
        edges: float64[K, K], symmetric, the weight of the edge between i and j; 0 on the diagonal.
    """
    result: Float64 = np.diag(edges.sum(axis=1)) - edges
    return result


def solve_laplacian(hessian: Float64, right: Float64) -> Float64 | None:
    """Solve H x = right, where H is a Laplacian.

    H maps the vector 1 = (1, …, 1) to zero, since a shift of all strengths changes no probability. Adding c·11ᵀ makes
    the matrix regular. c is the average curvature of H, so that the condition number stays the same.

    Args:
        hessian: float64[K, K], H.
        right: float64[K] or float64[K, n]. Each column must sum to zero.

    Returns:
        x, in the shape of `right`; each column sums to zero. None if H + c·11ᵀ is singular in float64.
    """
    gauge = np.trace(hessian) / len(hessian) ** 2
    try:
        factor = cho_factor(hessian + gauge, check_finite=False)
    except LinAlgError:
        return None
    result: Float64 = cho_solve(factor, right, check_finite=False)
    return result if np.isfinite(result).all() else None


def _gradient(W: Float64, theta: Float64) -> Float64:
    # W_ij − N_ij p_ij = W_ij p_ji − W_ji p_ij, without the cancellation when p is close to 0 or 1.
    flow = W * win_probability(theta).T
    result: Float64 = (flow - flow.T).sum(axis=1)
    return result


def _log_likelihood(W: Float64, theta: Float64) -> float:
    return -float((W * np.logaddexp(0.0, theta[None, :] - theta[:, None])).sum())


def _climb(W: Float64, theta: Float64, step: Float64) -> Float64 | None:
    """Return θ after the step, which is halved until the likelihood does not decrease. None if no length works."""
    before = _log_likelihood(W, theta)
    floor = before - _ROUNDING * abs(before)
    for halving in range(_HALVINGS):
        candidate: Float64 = theta + step * 0.5**halving
        if _log_likelihood(W, candidate) >= floor:
            centred: Float64 = candidate - candidate.mean()
            return centred
    return None
