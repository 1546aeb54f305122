"""Fits exact Bradley-Terry ratings to pair counts, with a sandwich covariance.

Model: P(i beats j) = 1 / (1 + exp(θ_j − θ_i)), a tie is half a win for each side (Bradley & Terry 1952, Biometrika 39).
The estimate maximises the likelihood without a ridge penalty. The covariance is V = H⁺ B H⁺ (Huber 1967; White 1982,
Econometrica 50). H is the information matrix, H⁺ its pseudo-inverse, and B = Σ over votes of
(y − p)² (e_i − e_j)(e_i − e_j)ᵀ. In B, y = 1, ½ or 0 is the score of i in the vote, p = P(i beats j), and e_i is the
unit vector of i. V is consistent even if ties make the votes less variable than the model assumes. A ridge in H would
lower the coverage of a 95% interval to 90.7% for models with few votes.

A fit that did not converge raises an error. Counts whose win digraph is not strongly connected raise an error
(Ford 1957).

Reweighting (optional): each vote of a pair gets the pair's weight w. H then contains w and B contains w². The function
`pair_weights` computes the published choice w = 1 / max(votes of the pair, least). Reweighting is off by default; it
moves ratings by up to 23.8 points.

Blind spots: votes of one voter are treated as independent (see `clustered_sandwich`). Two models that only tied have
residuals 0, so the formula gives them standard error 0, although their ratings are uncertain (see `tie_only_models`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import BadCounts, NotConverged
from ..vocabulary.arrays import Float64
from . import validation
from .blas_threads import single_blas_thread
from .newton import information, laplacian, maximise, solve_laplacian, win_probability
from .pair_counts import PairCounts
from .win_graph import require_strongly_connected


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A converged maximum-likelihood fit of K models; the strengths have mean zero.

    Attributes:
        theta: float64[K], strengths in logits.
        covariance: float64[K, K], sandwich covariance of `theta`, logits squared; rows sum to zero.
        hessian: float64[K, K], the observed information: the negative second derivative of the log-likelihood.
        iterations: Newton steps taken.
        gradient_norm: the largest absolute component of the gradient, in votes.
        converged: always true, since a fit that does not converge raises an error.
    """

    theta: Float64
    covariance: Float64
    hessian: Float64
    iterations: int
    gradient_norm: float
    converged: bool


def fit(counts: PairCounts, *, reweight: int | None = None, tolerance: float = 1e-10, max_iterations: int = 100) -> Fit:
    """Fit all votes by maximum likelihood; a tie is half a win for each side.

    Args:
        counts: the votes. Their win digraph must be strongly connected.
        reweight: None gives every vote weight 1; a number n gives each vote the weight `pair_weights(counts, n)`.
        tolerance: the fit has converged when the last step (in logits) and each model's gradient divided by its number
            of battles are at most this.
        max_iterations: number of Newton steps after which `NotConverged` is raised.

    Returns:
        The strengths with their covariance.

    Raises:
        BadCounts: fewer than two models, or no votes.
        Disconnected: no finite estimate exists; the error lists the components by name.
        NotConverged: the gradient or the step is still above `tolerance` after `max_iterations` steps.
    """
    return fit_matrix(
        counts.decisive_matrix(),
        counts.tie_matrix(),
        weights=None if reweight is None else pair_weights(counts, reweight),
        names=counts.models,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def pair_weights(counts: PairCounts, least: int = 50) -> Float64:
    """Return float64[K, K], symmetric: entry (i, j) is the weight of each vote between models i and j.

    The weight is 1 / max(number of votes of the pair, least).

    Args:
        counts: the votes.
        least: pairs with at most this many votes have the weight 1 / least.

    Raises:
        BadCounts: `least` is not a whole number of at least 1.
    """
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise BadCounts(f"expected the least number of votes of a pair to be a whole number from 1, got {least!r}")
    W = counts.win_matrix()
    result: Float64 = 1.0 / np.maximum(W + W.T, least)
    return result


def fit_decisive(counts: PairCounts, *, tolerance: float = 1e-10, max_iterations: int = 100) -> Fit:
    """Fit only the decisive votes, so that θ describes the probability of a win in votes that have a winner.

    A model whose votes are all ties has no estimate. Pass the counts of `select_rated_models(counts.decisive())` to
    leave such models out.

    Args:
        counts: the votes.
        tolerance: the fit has converged when the last step (in logits) and each model's gradient divided by its number
            of battles are at most this.
        max_iterations: number of Newton steps after which `NotConverged` is raised.

    Returns:
        The strengths with their covariance.

    Raises:
        BadCounts: there are fewer than two models, or no decisive votes.
        Disconnected: no finite estimate exists, for example because all votes on a model are ties.
        NotConverged: the fit does not converge in `max_iterations` steps.
    """
    return fit(counts.decisive(), tolerance=tolerance, max_iterations=max_iterations)


@single_blas_thread
def fit_matrix(
    wins: npt.ArrayLike,
    ties: npt.ArrayLike | None = None,
    *,
    weights: npt.ArrayLike | None = None,
    names: Sequence[str | int] | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 100,
) -> Fit:
    """Fit weighted counts given as matrices.

    Args:
        wins: [K, K], entry (i, j) is the number of votes for model i over model j.
        ties: [K, K], symmetric, number of votes without a winner; None if there are none. Do not add half of each tie
            to `wins`: θ would be the same, but the covariance would be too large.
        weights: [K, K], symmetric, above 0: the weight of each vote of a pair. Only the ratios of weights matter. None
            for equal weights.
        names: K model names for error messages; None for the numbers from 0.
        tolerance: the fit has converged when the last step (in logits) and each model's gradient divided by its number
            of battles are at most this.
        max_iterations: number of Newton steps after which `NotConverged` is raised.

    Returns:
        The strengths with their covariance.

    Raises:
        BadCounts: a matrix has a wrong shape, NaN, a negative number, or votes of a model against itself. The message
            names the pair.
        Disconnected, NotConverged: no finite estimate exists, or the fit does not converge.
    """
    decisive = validation.square_matrix(wins, "wins", names)
    tied = validation.square_matrix(np.zeros_like(decisive) if ties is None else ties, "ties", names)
    if tied.shape != decisive.shape or not np.array_equal(tied, tied.T):
        raise BadCounts(f"expected symmetric ties of shape {decisive.shape}, got shape {tied.shape}")
    W = decisive + tied / 2
    if len(W) < 2 or not W.any():
        raise BadCounts(f"expected two models and a vote, got {len(W)} models and {W.sum():g} votes")
    require_strongly_connected(W, names)
    scale = _scaled(weights, W, names)
    theta, iterations, norm = maximise(W * scale, tolerance, max_iterations)
    hessian = laplacian(information(W * scale, theta))
    covariance = sandwich_covariance(hessian, laplacian(score_variance(decisive, tied, theta) * scale**2))
    if covariance is None:
        raise NotConverged(iterations, norm)
    return Fit(theta, covariance, hessian, iterations, norm, converged=True)


def sandwich_covariance(hessian: Float64, scatter: Float64) -> Float64 | None:
    """Return the covariance H⁺ B H⁺, float64[K, K]; None if the information H is singular in float64.

    Args:
        hessian: float64[K, K], the information H. Its rows sum to zero.
        scatter: float64[K, K], the sum B of s sᵀ over votes, or over clusters of votes. s is the gradient of the
            log-likelihood of the vote or of the cluster.
    """
    half = solve_laplacian(hessian, scatter)
    full = None if half is None else solve_laplacian(hessian, half.T)
    return None if full is None else (full + full.T) / 2


def score_variance(decisive: Float64, tied: Float64, theta: Float64) -> Float64:
    """Return float64[K, K], symmetric: the sum of the squared residuals over the votes of each pair.

    Args:
        decisive: float64[K, K], number of votes for i over j.
        tied: float64[K, K], symmetric, number of votes of i and j without a winner.
        theta: float64[K], strengths of the models in logits.
    """
    P = win_probability(theta)
    lost = decisive * P.T**2
    result: Float64 = lost + lost.T + tied * (P - 0.5) ** 2
    return result


def _scaled(weights: npt.ArrayLike | None, W: Float64, names: Sequence[str | int] | None) -> Float64:
    """Return the weights scaled to mean 1 over the votes, so that tolerances keep their units; ones for None."""
    if weights is None:
        return np.ones_like(W)
    given = np.array(validation.square_matrix(_off_diagonal(weights, len(W)), "weights", names))
    if not np.array_equal(given, given.T):
        raise BadCounts(f"expected symmetric weights of shape {W.shape}, got shape {given.shape}")
    votes = W + W.T
    bad = np.argwhere((votes > 0) & (given <= 0))
    if bad.size:
        i, j = (int(k) for k in bad[0])
        pair = f"{names[i]} against {names[j]}" if names is not None else f"model {i} against model {j}"
        raise BadCounts(f"expected a weight above 0, got {given[i, j]} for {pair}")
    result: Float64 = given * (votes.sum() / (votes * given).sum())
    return result


def _off_diagonal(weights: npt.ArrayLike, size: int) -> Float64:
    array = np.array(weights, dtype=np.float64)
    if array.shape != (size, size):
        raise BadCounts(f"expected weights of shape {(size, size)}, got {array.shape}")
    np.fill_diagonal(array, 0.0)
    return array
