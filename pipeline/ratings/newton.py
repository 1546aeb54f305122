"""Newton on the Bradley-Terry likelihood: matrices in, θ out.

Laws: the likelihood never falls from step to step; the end is reached only when the step and the gradient are
both within tolerance; anything else raises `NotConverged`. Every W here is strongly connected and checked.

With W_ij the wins of i over j and N = W + Wᵀ: gradient g_i = Σ_j (W_ij − N_ij p_ij), information H = the
Laplacian with weights N_ij p_ij (1 − p_ij).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import expit

from ..errors import NotConverged
from ..vocabulary.arrays import Float64

# 2⁻³⁰ of a Newton step: shorter ones no longer change the likelihood of any board.
_HALVINGS = 30
# Sums of K² terms are this exact; a likelihood may seem to fall by so much at the maximum.
_ROUNDING = 1e-12


def maximise(
    W: Float64, tolerance: float, max_iterations: int, start: Float64 | None = None
) -> tuple[Float64, int, float]:
    """Climb from 0, or from `start`, until both the step and the gradient are within tolerance.

    Args:
        W: float64[K, K], strongly connected.
        tolerance: on the step in logits, and on the gradient per battle of the model.
        max_iterations: Newton steps before giving up.
        start: float64[K], mean zero: θ of votes much like these.

    Returns:
        θ (mean zero), the steps taken, and the largest absolute component of the gradient at θ, in votes.

    Raises:
        NotConverged: out of steps, no step raises the likelihood, or H has no inverse in this arithmetic.
    """
    theta, norm, iteration = np.zeros(len(W)) if start is None else start, float("inf"), 0
    # The gradient's own rounding grows with the votes, so it is measured per battle.
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
    """Return float64[K, K], P(i beats j), exact at both ends."""
    result: Float64 = expit(theta[:, None] - theta[None, :])
    return result


def information(W: Float64, theta: Float64) -> Float64:
    """Return float64[K, K], N_ij p_ij (1 − p_ij)."""
    P = win_probability(theta)
    result: Float64 = (W + W.T) * P * P.T
    return result


def laplacian(edges: Float64) -> Float64:
    """Return float64[K, K] whose rows sum to zero, −weight off the diagonal."""
    result: Float64 = np.diag(edges.sum(axis=1)) - edges
    return result


def solve_laplacian(hessian: Float64, right: Float64) -> Float64 | None:
    """Solve in the gauge H + c·11ᵀ; None if rounding has left H without an inverse there.

    H is blind to a common shift. c gives that direction the curvature of an average model, so it never
    decides the condition number; right sides sum to zero, hence so do the solutions, whatever c is.
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
    """Halve the step until the likelihood does not fall; None if no length will do."""
    before = _log_likelihood(W, theta)
    floor = before - _ROUNDING * abs(before)
    for halving in range(_HALVINGS):
        candidate: Float64 = theta + step * 0.5**halving
        if _log_likelihood(W, candidate) >= floor:
            centred: Float64 = candidate - candidate.mean()
            return centred
    return None
