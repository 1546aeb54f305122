"""Estimates ratings from multinomial resamples of the votes (bootstrap).

Let N be the number of votes. Each round draws N votes with replacement and fits them exactly (Efron 1979, Annals of
Statistics 7). Votes of one cell (a pair of models and an outcome) are interchangeable. So a round draws the count of
each cell from a multinomial distribution with the observed shares. A round starts at the fit of all votes. The round
then iterates with the information matrix of that fit (chord Newton) until the step is below 1e-7 logits (2e-5 points).
A round that does not converge in this way is fitted by full Newton. A single Newton step, a common shortcut, is up to
5.4 points off.

The same seed gives the same rounds on every machine. The strengths θ of each round have mean zero, so the anchor
model has an interval too. A round without an estimate (for example, because a model lost its only win) is drawn again
and counted. If more than 5% of the rounds have no estimate, an error names the models.

With `clusters`, a round draws whole voters with replacement instead of votes (Field & Welsh 2007, JRSS B 69). So votes
of one voter need not be independent. Without `clusters`, all votes are treated as independent.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from ..errors import BadCounts, Disconnected
from ..vocabulary.arrays import Float64
from . import validation
from .blas_threads import single_blas_thread
from .bradley_terry import Fit, fit_matrix, pair_weights
from .cluster_votes import ClusterVotes
from .pair_counts import PairCounts
from .win_graph import is_strongly_connected, strong_components

# Rounds drawn and fitted at a time; memory is 32 × pairs × 5 numbers.
_BATCH = 32
# Each draws its share of a batch: a thread for every single draw takes longer to start than the draw.
_THREADS = 2
_TOLERANCE = 1e-7
_CHORD_STEPS = 25
# Largest share of rounds without an estimate that can be left out of a 95% interval.
_MAX_REDRAWN = 0.05
# The votes of a draw, and for each failed draw some of its disconnected models.
_Draw = tuple[Float64, list[tuple[str, ...]]]
# Draws of one round before the bootstrap is given up.
_MAX_DRAWS = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapRatings:
    """Strengths of K models, estimated from each of R resamples of the votes.

    Attributes:
        theta: float64[R, K], strengths in logits; the mean of each round is zero.
        seed: seed of the draws.
        redrawn: number of draws without an estimate, which were drawn again.
        newton_rounds: number of rounds that were fitted by full Newton, because the faster fit did not converge.
    """

    theta: Float64
    seed: int
    redrawn: int
    newton_rounds: int

    def percentile_bounds(self, level: float = 0.95) -> tuple[Float64, Float64]:
        """Return the lower and the upper bounds of the percentile intervals (Efron 1979): float64[K] each, in logits.

        Args:
            level: coverage of the intervals.

        Raises:
            BadCounts: `level` is not between 0 and 1.
        """
        validation.require_level(level)
        low, high = np.quantile(self.theta, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def covariance(self) -> Float64:
        """Return the sample covariance of θ over the rounds: float64[K, K], in logits squared. Its rows sum to zero."""
        result: Float64 = np.cov(self.theta, rowvar=False)
        return result


@single_blas_thread
def bootstrap_ratings(
    counts: PairCounts,
    fitted: Fit,
    rounds: int = 100,
    *,
    seed: int = 0,
    reweight: int | None = None,
    progress: Callable[[int], None] | None = None,
    clusters: ClusterVotes | None = None,
) -> BootstrapRatings:
    """Draw `rounds` resamples of the votes and fit each of them.

    Args:
        counts: the votes.
        fitted: the fit of these votes, with the same `reweight`.
        rounds: number R of resamples. 100 rounds give a standard error within 7%. 1,000 rounds give a bound of a 95%
            interval within 10% of the standard error.
        seed: seed of the draws.
        reweight: None for equal weights; n for the weights `pair_weights(counts, n)`, which are the same in all rounds.
        progress: called with the number of rounds done since the last call.
        clusters: the same votes by cluster, to draw clusters; None to draw votes.

    Returns:
        The strengths in every round.

    Raises:
        BadCounts: `rounds` is below 2, or `fitted` has other models than `counts`.
        Disconnected: more than 5% of the draws have no estimate; the error names the disconnected models.
        NotConverged: the fit of a round did not converge.
    """
    if rounds < 2:
        raise BadCounts(f"expected at least 2 rounds, got {rounds}")
    if len(fitted.theta) != len(counts.models):
        raise BadCounts(f"expected a fit of {len(counts.models)} models, got one of {len(fitted.theta)}")
    cells = _Cells(counts, fitted, reweight, clusters)
    streams = np.random.SeedSequence(seed).spawn(rounds)
    theta = np.empty((rounds, len(counts.models)))
    redrawn: Counter[tuple[str, ...]] = Counter()
    newton_rounds = 0
    with ThreadPoolExecutor(_THREADS) as threads:
        # The next batch is drawn while this one is fitted.
        ahead = _draw_ahead(threads, cells, streams[:_BATCH])
        for start in range(0, rounds, _BATCH):
            draws = _interleaved([share.result() for share in ahead])
            ahead = _draw_ahead(threads, cells, streams[start + _BATCH : start + 2 * _BATCH])
            redrawn.update(apart for _, failed in draws for apart in failed)
            _require_few(redrawn, rounds, given_up=any(len(failed) >= _MAX_DRAWS for _, failed in draws))
            votes = np.stack([accepted for accepted, _ in draws])
            fitted_batch, unconverged = cells.chord_newton(votes)
            for row in unconverged:
                fitted_batch[row] = cells.full_newton(votes[row])
            newton_rounds += len(unconverged)
            theta[start : start + len(draws)] = fitted_batch
            if progress is not None:
                progress(len(draws))
    return BootstrapRatings(theta, seed, sum(redrawn.values()), newton_rounds)


def _draw_ahead(
    threads: ThreadPoolExecutor, cells: "_Cells", batch: Sequence[np.random.SeedSequence]
) -> list[Future[list[_Draw]]]:
    """Start to draw a batch in several threads, one share of the batch in each. Returns the shares as futures."""
    shares = [batch[k::_THREADS] for k in range(_THREADS)]
    return [threads.submit(lambda share: [cells.draw(one) for one in share], share) for share in shares]


def _interleaved(shares: Sequence[Sequence[_Draw]]) -> list[_Draw]:
    """Return the draws of all shares in the order of the batch: the first of each share, then the second of each."""
    return [shares[k % len(shares)][k // len(shares)] for k in range(sum(map(len, shares)))]


def _require_few(redrawn: Counter[tuple[str, ...]], rounds: int, *, given_up: bool) -> None:
    """Raise `Disconnected` if so many draws had no estimate that intervals would be biased, or a round was given up."""
    total = sum(redrawn.values())
    if given_up or total > max(1.0, _MAX_REDRAWN * rounds):
        apart, times = redrawn.most_common(1)[0]
        raise Disconnected(
            f"expected at most {_MAX_REDRAWN:.0%} of {rounds} rounds without an estimate, got {total} so far: "
            f"{', '.join(apart)} had no win or no loss against the rest {times} times; use the sandwich intervals",
            [apart],
        )


class _Cells:
    """The votes counted in 3 P cells. A cell is one of P pairs of models with one of: a wins, b wins, no winner."""

    def __init__(
        self, counts: PairCounts, fitted: Fit, reweight: int | None, clusters: ClusterVotes | None = None
    ) -> None:
        self._counts, self._theta, self._clusters = counts, fitted.theta, clusters
        size = len(counts.models)
        self._a, self._b, self._size = counts.a, counts.b, size
        self._votes = np.concatenate([counts.wins_a, counts.wins_b, counts.ties + counts.both_bad])
        self._total = int(self._votes.sum())
        self._shares = self._votes / self._total
        self._weights = None if reweight is None else pair_weights(counts, reweight)
        self._weight = np.ones(len(counts.a)) if self._weights is None else self._weights[counts.a, counts.b]
        if self._weights is not None:
            # Scaled to mean 1 over the votes, as in `fit_matrix`, so that the information has the same scale.
            each = counts.table().sum(axis=1)
            self._weight = self._weight * (each.sum() / (each * self._weight).sum())
        rows = np.arange(len(counts.a))
        self._incidence = csr_array(
            (np.repeat([1.0, -1.0], len(rows)), (np.concatenate([self._a, self._b]), np.tile(rows, 2))),
            shape=(size, len(rows)),
        )
        gauge = np.trace(fitted.hessian) / size**2
        self._factor = cho_factor(fitted.hessian + gauge, check_finite=False)

    def draw(self, stream: np.random.SeedSequence) -> tuple[Float64, list[tuple[str, ...]]]:
        """Draw votes with replacement until the wins connect all models in both directions, at most `_MAX_DRAWS` times.

        Returns:
            The number of votes drawn from each cell in the last draw; and for each failed draw the names of some
            disconnected models. If `_MAX_DRAWS` draws failed, the last draw is one of them.
        """
        rng = np.random.default_rng(stream)
        failed: list[tuple[str, ...]] = []
        while len(failed) < _MAX_DRAWS:
            if self._clusters is None:
                votes = rng.multinomial(self._total, self._shares).astype(np.float64)
            else:
                votes = self._clusters.draw(rng)
            W = self._wins(votes)
            if is_strongly_connected(W):
                return votes, failed
            failed.append(tuple(self._counts.models[int(part[0])] for part in strong_components(W)[1:4]))
        return votes, failed

    def chord_newton(self, votes: Float64) -> tuple[Float64, list[int]]:
        """Fit R draws of votes at once. Every step uses the information matrix of the fit of all votes.

        Args:
            votes: float64[R, 3P], one row for each draw, as `draw` returns them.

        Returns:
            Two values: float64[R, K], θ of each draw; and the rows that did not converge.
        """
        won, lost, tied = (votes[:, k * len(self._a) : (k + 1) * len(self._a)] for k in range(3))
        score, met = (won + tied / 2) * self._weight, (won + lost + tied) * self._weight
        theta = np.tile(self._theta, (len(votes), 1))
        moving = np.arange(len(votes))
        for _ in range(_CHORD_STEPS):
            now = theta[moving]
            expected = met[moving] * _logistic(now[:, self._a] - now[:, self._b])
            gradient = self._incidence @ (score[moving] - expected).T
            step = cho_solve(self._factor, gradient, check_finite=False).T
            theta[moving] = now + step - step.mean(axis=1, keepdims=True)
            moving = moving[np.abs(step).max(axis=1) > _TOLERANCE]
            if not len(moving):
                break
        return theta, moving.tolist()

    def full_newton(self, votes: Float64) -> Float64:
        """Fit one draw of votes by full Newton and return θ, float64[K].

        Args:
            votes: float64[3P], the votes of one draw, as `draw` returns them.
        """
        won, lost, tied = votes.reshape(3, -1)
        shape = (self._size, self._size)
        decisive, ties = np.zeros(shape), np.zeros(shape)
        decisive[self._a, self._b], decisive[self._b, self._a] = won, lost
        ties[self._a, self._b] = ties[self._b, self._a] = tied
        return fit_matrix(decisive, ties, weights=self._weights, names=self._counts.models).theta

    def _wins(self, votes: Float64) -> Float64:
        won, lost, tied = votes.reshape(3, -1)
        W = np.zeros((self._size, self._size))
        W[self._a, self._b], W[self._b, self._a] = won + tied / 2, lost + tied / 2
        return W


def _logistic(x: Float64) -> Float64:
    # numpy's exp is four times as fast as scipy's expit; it overflows above 709.
    result: Float64 = 1.0 / (1.0 + np.exp(np.minimum(-x, 700.0)))
    return result
