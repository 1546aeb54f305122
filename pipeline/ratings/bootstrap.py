"""Multinomial bootstrap: what other votes the same voters might have cast.

Each round draws as many votes as there are, from the cells (pair, outcome) with the shares observed, and fits
them exactly (Efron 1979, Annals of Statistics 7). Votes in one cell are alike, so drawing cells is drawing votes.
Rounds start from the fit of all votes and step with its information (chord Newton) until the step is below
1e-7 logits, 2e-5 points; what has not settled by then is fitted by full Newton. One single Newton step, the
usual shortcut, is up to 5.4 points off.

Laws: the same seed gives the same rounds, whatever the machine; θ of each round has mean zero, so the anchor of
a board has an interval like everybody else; a round without an estimate (a model lost its only win) is drawn
again and counted, and more than 5% of them are an error that names the models.

Not handled: votes of one voter count as independent, as in the sandwich.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from ..errors import BadCounts, Disconnected
from ..vocabulary.arrays import Float64
from .blas_threads import single_blas_thread
from .bradley_terry import Fit, fit_matrix, pair_weights
from .pair_counts import PairCounts
from .win_graph import is_strongly_connected, strong_components

# Rounds that are drawn and fitted together: bounds the memory to 32 × pairs × 5 numbers.
_TOGETHER = 32
_STEP = 1e-7
_CHORDS = 25
# Share of rounds without an estimate up to which leaving them out is harmless to a 95% interval.
_LOST = 0.05
# Draws of one round before it counts as hopeless, whatever the number of rounds.
_TRIES = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapRatings:
    """Ratings of resampled votes.

    Attributes:
        theta: float64[R, K], logits, each round in the mean-zero gauge.
        seed: of the draws.
        redrawn: rounds that had no estimate and were drawn again.
        newton: rounds that chord steps did not settle.
    """

    theta: Float64
    seed: int
    redrawn: int
    newton: int

    def bounds(self, level: float = 0.95) -> tuple[Float64, Float64]:
        """Percentile bounds: two float64[K], logits.

        Raises:
            BadCounts: `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise BadCounts(f"expected a level between 0 and 1, got {level}")
        low, high = np.quantile(self.theta, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def covariance(self) -> Float64:
        """float64[K, K], logits squared; rows sum to zero."""
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
    step: Callable[[int], None] | None = None,
) -> BootstrapRatings:
    """Rate `rounds` resamples of the votes.

    Args:
        counts: the votes.
        fitted: their fit, of the same `reweight`.
        rounds: R; 100 give the standard error to 7%, 1,000 the 95% bounds to a tenth of it.
        seed: of the draws.
        reweight: as `fit`; the weights of the votes at hand are kept for every round.
        step: called with the number of rounds done since the last call.

    Raises:
        BadCounts: fewer than two rounds, or a fit of other models.
        Disconnected: over 5% of the rounds have no estimate; names the models that come apart.
        NotConverged: a round's fit did not converge.
    """
    if rounds < 2:
        raise BadCounts(f"expected at least 2 rounds, got {rounds}")
    if len(fitted.theta) != len(counts.models):
        raise BadCounts(f"expected a fit of {len(counts.models)} models, got one of {len(fitted.theta)}")
    cells = _Cells(counts, fitted, reweight)
    streams = np.random.SeedSequence(seed).spawn(rounds)
    drawn = np.empty((rounds, len(counts.models)))
    lost: Counter[tuple[str, ...]] = Counter()
    newton = 0
    with ThreadPoolExecutor() as threads:
        for start in range(0, rounds, _TOGETHER):
            some = streams[start : start + _TOGETHER]
            found = list(threads.map(cells.draw, some))
            lost.update(apart for _, failed in found for apart in failed)
            _require_few(lost, rounds, hopeless=any(len(failed) >= _TRIES for _, failed in found))
            votes = np.stack([one for one, _ in found])
            theta, restless = cells.settle(votes)
            for row in restless:
                theta[row] = cells.exact(votes[row])
            newton += len(restless)
            drawn[start : start + len(some)] = theta
            if step is not None:
                step(len(some))
    return BootstrapRatings(drawn, seed, sum(lost.values()), newton)


def _require_few(lost: Counter[tuple[str, ...]], rounds: int, *, hopeless: bool) -> None:
    """Few enough rounds without an estimate: leaving them out must not colour the interval."""
    total = sum(lost.values())
    if hopeless or total > max(1.0, _LOST * rounds):
        apart, times = lost.most_common(1)[0]
        raise Disconnected(
            f"expected at most {_LOST:.0%} of {rounds} rounds without an estimate, got {total} so far: "
            f"{', '.join(apart)} came apart {times} times, for want of wins or losses; use the sandwich",
            [apart],
        )


class _Cells:
    """The votes as cells: P pairs times (a wins, b wins, neither)."""

    def __init__(self, counts: PairCounts, fitted: Fit, reweight: int | None) -> None:
        self._counts, self._theta = counts, fitted.theta
        size = len(counts.models)
        self._a, self._b, self._size = counts.a, counts.b, size
        self._votes = np.concatenate([counts.wins_a, counts.wins_b, counts.ties + counts.both_bad])
        self._total = int(self._votes.sum())
        self._shares = self._votes / self._total
        self._weights = None if reweight is None else pair_weights(counts, reweight)
        self._weight = np.ones(len(counts.a)) if self._weights is None else self._weights[counts.a, counts.b]
        if self._weights is not None:
            # As in `fit`: a mean of 1 over the votes, so that the information is on the same scale.
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
        """One round of votes that has an estimate, and who came apart in those before it that had none."""
        rng = np.random.default_rng(stream)
        failed: list[tuple[str, ...]] = []
        while len(failed) < _TRIES:
            votes = rng.multinomial(self._total, self._shares).astype(np.float64)
            W = self._wins(votes)
            if is_strongly_connected(W):
                return votes, failed
            failed.append(tuple(self._counts.models[int(part[0])] for part in strong_components(W)[1:4]))
        return votes, failed

    def settle(self, votes: Float64) -> tuple[Float64, list[int]]:
        """Chord Newton for R rounds at once; the rows that did not settle."""
        won, lost, tied = (votes[:, k * len(self._a) : (k + 1) * len(self._a)] for k in range(3))
        score, met = (won + tied / 2) * self._weight, (won + lost + tied) * self._weight
        theta = np.tile(self._theta, (len(votes), 1))
        moving = np.arange(len(votes))
        for _ in range(_CHORDS):
            now = theta[moving]
            expected = met[moving] * _logistic(now[:, self._a] - now[:, self._b])
            gradient = self._incidence @ (score[moving] - expected).T
            step = cho_solve(self._factor, gradient, check_finite=False).T
            theta[moving] = now + step - step.mean(axis=1, keepdims=True)
            moving = moving[np.abs(step).max(axis=1) > _STEP]
            if not len(moving):
                break
        return theta, moving.tolist()

    def exact(self, votes: Float64) -> Float64:
        """Full Newton for one round."""
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
    # numpy's exp is four times as fast as scipy's expit; 700 is where it ends.
    result: Float64 = 1.0 / (1.0 + np.exp(np.minimum(-x, 700.0)))
    return result
