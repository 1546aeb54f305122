"""Exact Bradley-Terry ratings from pair counts, with a sandwich covariance.

Model: P(i beats j) = 1 / (1 + exp(θ_j − θ_i)), a tie is half a win for each side (Bradley & Terry 1952, Biometrika 39).
The estimate is the maximum of the likelihood without a ridge. The covariance is V = H⁺ B H⁺ with the information matrix
H, its pseudo-inverse H⁺, and B = Σ over votes of (y − p)² (e_i − e_j)(e_i − e_j)ᵀ, where y = 1, ½ or 0 is the score of
i in the vote, p = P(i beats j), and e_i the unit vector of i (Huber 1967; White 1982, Econometrica 50). V is consistent
even if ties make the votes less variable than the model. A ridge in H lowers the coverage for models with few votes to
90.7%.

Laws: an unconverged fit is never returned; counts that are not strongly connected are refused (Ford 1957).

Reweighting (optional): the weight w of a pair multiplies the score of each of its votes, so w enters H and w² enters B.
`pair_weights` gives 1 / max(votes of the pair, least), a published choice. It is off by default and moves ratings by up
to 23.8 points.

Blind spots: votes of one voter count as independent (see `clustered_sandwich`); two models that only tied have
residuals 0 and standard error 0, which is the value of the formula and not certainty (see `tie_only_models`).
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
        hessian: float64[K, K], the observed information, a Laplacian matrix.
        iterations: Newton steps taken.
        gradient_norm: the largest absolute component of the gradient, in votes.
        converged: always true, since an unconverged fit raises.
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
        counts: the votes, with a strongly connected win digraph.
        reweight: None counts every vote alike; a number n gives the votes of each pair the weights
            `pair_weights(counts, n)`.
        tolerance: limit of the last step, in logits, and of each model's gradient divided by its battles.
        max_iterations: Newton steps before giving up.

    Raises:
        BadCounts: fewer than two models, or no votes.
        Disconnected: no finite estimate exists; lists the components by name.
        NotConverged: the gradient or the step is still above `tolerance`.
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
    """Return the weight of each vote of a pair: 1 / max(votes of the pair, least), float64[K, K], symmetric.

    Raises:
        BadCounts: `least` is not a whole number of at least 1.
    """
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise BadCounts(f"expected the least number of votes of a pair to be a whole number from 1, got {least!r}")
    W = counts.win_matrix()
    result: Float64 = 1.0 / np.maximum(W + W.T, least)
    return result


def fit_decisive(counts: PairCounts, *, tolerance: float = 1e-10, max_iterations: int = 100) -> Fit:
    """Fit only the decisive votes: θ then models the probability of a win, given that the vote is no tie.

    Raises:
        BadCounts, Disconnected, NotConverged: as in `fit`. A model whose votes are all ties is disconnected here;
            `select_rated_models(counts.decisive())` leaves that model out.
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
        wins: [K, K], votes for i over j.
        ties: [K, K], symmetric, votes without a winner. None if `wins` holds decisive votes only. Do not add ties to
            `wins` as halves: θ would be the same, but the covariance too large.
        weights: [K, K], symmetric, above 0: the weight of each vote of a pair. Only their ratios matter.
        names: K names for messages.
        tolerance, max_iterations: as in `fit`.

    Raises:
        BadCounts: NaN, a negative number or votes of a model against itself, with the pair; or a wrong shape.
        Disconnected, NotConverged: as in `fit`.
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
    covariance = sandwich_covariance(hessian, laplacian(_score_variance(decisive, tied, theta) * scale**2))
    if covariance is None:
        raise NotConverged(iterations, norm)
    return Fit(theta, covariance, hessian, iterations, norm, converged=True)


def sandwich_covariance(hessian: Float64, scatter: Float64) -> Float64 | None:
    """Return H⁺ B H⁺ of the information H and the scatter B, whose rows sum to 0. None if H is singular in float64."""
    half = solve_laplacian(hessian, scatter)
    full = None if half is None else solve_laplacian(hessian, half.T)
    return None if full is None else (full + full.T) / 2


def _score_variance(decisive: Float64, tied: Float64, theta: Float64) -> Float64:
    """Return float64[K, K], symmetric: the squared residuals, summed over the votes of each pair."""
    P = win_probability(theta)
    lost = decisive * P.T**2
    result: Float64 = lost + lost.T + tied * (P - 0.5) ** 2
    return result


def _scaled(weights: npt.ArrayLike | None, W: Float64, names: Sequence[str | int] | None) -> Float64:
    """Scale the weights to mean 1 over the votes, so that tolerances keep their units."""
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
