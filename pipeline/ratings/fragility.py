"""Searches for the fewest votes without which two models swap ranks.

The influence of a vote of models a and b is the first-order change of θ_i − θ_j when the vote is dropped:
−(y − p)(u_a − u_b). Here u = H⁺(e_i − e_j), H is the information matrix and y − p the residual of the vote (Cook &
Weisberg 1982; Broderick, Giordano & Meager 2020, "An automatic finite-sample robustness metric"). All votes of one cell
(a pair of models and an outcome) have the same influence.

The search sorts the cells by influence, drops the most influential votes, refits exactly, and bisects to the smallest
number of votes that swaps the two models. It then sorts again by the influence at that refit, and repeats this, at most
eight times, until the number no longer falls. One pass is not enough: a smallest set consists of the votes with the
most influence *after* the set is dropped (the Karush-Kuhn-Tucker conditions of the relaxation to fractions of votes).

A result contains the votes that were dropped. An exact refit without these votes swaps the two models, and the
win digraph of the other votes is strongly connected.

Blind spot: the number is an upper bound; a smaller set may exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np
from scipy.special import expit

from ..errors import BadCounts, NotConverged
from ..vocabulary.arrays import Float64, Int64
from .blas_threads import single_blas_thread
from .bradley_terry import Fit, fit
from .intervals import POINTS_PER_LOGIT
from .newton import information, laplacian, maximise, solve_laplacian
from .pair_counts import PairCounts
from .win_graph import is_strongly_connected

# Passes with the influence after dropping; on real votes the second gains most and the fourth nothing.
_PASSES = 8
_TOLERANCE = 1e-10
# Difference in logits that counts as a swap: ten times the tolerance of a fit.
_MARGIN = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RankSwap:
    """A set of votes without which two models swap ranks.

    Attributes:
        above: the model that is rated higher with all votes.
        below: the model that is rated higher without the set.
        votes: size of the set.
        share: the size as a share of all votes.
        dropped: the votes of the set, as pair counts with the `models` of all votes.
        gap: rating of `above` minus rating of `below` with all votes, in points; positive.
        gap_after: rating of `above` minus rating of `below` without the set, in points; negative.
    """

    above: str
    below: str
    votes: int
    share: float
    dropped: PairCounts
    gap: float
    gap_after: float


@single_blas_thread
def fewest_votes_to_swap(counts: PairCounts, above: str, below: str, *, fitted: Fit | None = None) -> RankSwap | None:
    """Search for the fewest votes without which `below` is rated higher than `above`.

    Args:
        counts: the votes.
        above: the model that is rated higher with all votes.
        below: the model that is rated lower with all votes.
        fitted: the fit of the votes; None to compute it here.

    Returns:
        The smallest set found; None if no set was found that swaps the two models and keeps all models comparable.

    Raises:
        BadCounts: a model is not in `counts.models`, or `above` is not rated higher.
        Disconnected, NotConverged: the votes have no finite estimate, or the fit does not converge.
    """
    places = [_place(counts, name) for name in (above, below)]
    start = fit(counts) if fitted is None else fitted
    gap = float(start.theta[places[0]] - start.theta[places[1]])
    if places[0] == places[1] or gap <= _MARGIN:
        raise BadCounts(f"expected a model rated above {below}, got {above}, {gap * POINTS_PER_LOGIT:.3f} points above")
    return _Search(counts, start, *places).smallest()


@single_blas_thread
def fewest_votes_to_replace_first(counts: PairCounts, *, fitted: Fit | None = None) -> RankSwap | None:
    """Search for the fewest votes without which another model is rated first.

    Args:
        counts: the votes.
        fitted: the fit of the votes; None to compute it here.

    Returns:
        The swap of the first model with another model that needs the fewest votes. None if no swap was found.

    Raises:
        Disconnected, NotConverged: the votes have no finite estimate, or the fit does not converge.
    """
    start = fit(counts) if fitted is None else fitted
    first = int(np.argmax(start.theta))
    # Best-first search over the other models. Each has four estimates of the votes needed, each at least the one before
    # and slower to compute: two lower bounds, the linear estimate, the search.
    potentials = _potentials(start, first)
    gap = start.theta[first] - start.theta
    queue = [(float(gap[k] / (potentials[first, k] - potentials[k, k])), 0, k) for k in range(len(gap)) if k != first]
    heapify(queue)
    best: RankSwap | None = None
    searches: dict[int, _Search] = {}
    while queue:
        votes, step, k = heappop(queue)
        # The linear estimate errs by a few per cent, so a model at twice the best number cannot win.
        if best is not None and votes > 2 * best.votes:
            break
        if step == 0:
            heappush(queue, (_lower_bound(counts, start, potentials[:, k], float(gap[k])), 1, k))
        elif step == 1:
            searches[k] = _Search(counts, start, first, k)
            heappush(queue, (searches[k].linear_estimate(), 2, k))
        else:
            found = searches.pop(k).smallest()
            if found is not None and (best is None or found.votes < best.votes):
                best = found
    return best


def _potentials(start: Fit, first: int) -> Float64:
    """Return float64[K, K] whose column k is H⁺(e_first − e_k), with H the information and e_k the unit vector of k.

    The largest value of column k is at `first`, and the smallest at k. So the influence of a vote on the gap between
    `first` and k is at most the difference of these two values, which is called the effective resistance.
    """
    units = np.eye(len(start.theta))
    potentials = solve_laplacian(start.hessian, units[:, [first]] - units)
    if potentials is None:
        raise NotConverged(0, float("inf"))
    return potentials


def _lower_bound(counts: PairCounts, start: Fit, potential: Float64, gap: float) -> float:
    """Return a lower bound of `_Search.linear_estimate`: the gap divided by the largest influence of a vote."""
    p, drop = expit(start.theta[counts.a] - start.theta[counts.b]), potential[counts.a] - potential[counts.b]
    occurs = np.stack([counts.wins_a, counts.wins_b, counts.ties + counts.both_bad]) > 0
    largest = float(np.where(occurs, np.stack([1 - p, -p, 0.5 - p]) * drop, 0.0).max(initial=0.0))
    return gap / largest if largest > 0 else float("inf")


def neighbour_swaps(counts: PairCounts, top: int, *, fitted: Fit | None = None) -> Iterator[RankSwap | None]:
    """Yield the fewest votes without which two neighbouring ranks swap: 1 and 2, 2 and 3, …, `top` and `top` + 1.

    None is yielded for two ranks if their models have equal ratings, or if no set of votes was found that swaps them. A
    board with fewer models yields fewer results.

    Args:
        counts: the votes.
        top: number of pairs of neighbouring ranks.
        fitted: the fit of the votes; None to compute it here.

    Raises:
        BadCounts: there are fewer than two models.
        Disconnected, NotConverged: the votes have no finite estimate, or the fit does not converge.
    """
    start = fit(counts) if fitted is None else fitted
    order = np.argsort(-start.theta, kind="stable").tolist()
    for i, j in pairwise(order[: top + 1]):
        tied = start.theta[i] <= start.theta[j] + _MARGIN
        yield None if tied else _Search(counts, start, i, j).smallest()


@dataclass(frozen=True, slots=True, eq=False)
class _Refit:
    """A fit without some votes: int64[3P] votes dropped from each cell, their number, and θ without them."""

    dropped: Int64
    votes: int
    theta: Float64


class _Search:
    """Searches for the fewest votes without which model `below` is rated higher than model `above`."""

    def __init__(self, counts: PairCounts, start: Fit, above: int, below: int) -> None:
        self._counts, self._start = counts, start
        self._above, self._below = above, below
        self._votes = np.concatenate([counts.wins_a, counts.wins_b, counts.ties + counts.both_bad])
        self._W = counts.win_matrix()
        self._at_start = self._order(start.theta, start.hessian)

    def linear_estimate(self) -> float:
        """Return how many dropped votes close the gap at constant influence, infinite if no number of votes does."""
        order, influence = self._at_start
        votes = self._votes[order]
        closed, gap = np.cumsum(votes * influence[order]), self._gap(self._start.theta)
        if not len(closed) or closed[-1] <= gap:
            return float("inf")
        cell = int(np.searchsorted(closed, gap, side="right"))
        left = gap - (float(closed[cell - 1]) if cell else 0.0)
        return float(votes[:cell].sum()) + left / float(influence[order[cell]])

    @single_blas_thread
    def smallest(self) -> RankSwap | None:
        """Return the smallest set of votes found whose removal swaps the models; None if no set was found."""
        best: _Refit | None = None
        order = self._at_start[0]
        for _ in range(_PASSES):
            found = self._bisect(order, best)
            if found is None:
                break
            best = found
            left = self._W - self._matrix(best.dropped)
            order = self._order(best.theta, laplacian(information(left, best.theta)))[0]
        return None if best is None else self._swap(best)

    def _order(self, theta: Float64, hessian: Float64) -> tuple[Int64, Float64]:
        """Return the cells that widen the gap, most influential first, and the influence of a vote of every cell."""
        a, b = self._counts.a, self._counts.b
        e = np.zeros(len(theta))
        e[self._above], e[self._below] = 1.0, -1.0
        u = solve_laplacian(hessian, e)
        if u is None:
            raise NotConverged(0, float("inf"))
        p = expit(theta[a] - theta[b])
        influence = np.concatenate([1 - p, -p, 0.5 - p]) * np.tile(u[a] - u[b], 3)
        order = np.argsort(-influence, kind="stable")
        return order[(influence[order] > 0) & (self._votes[order] > 0)], influence

    def _bisect(self, order: Int64, best: _Refit | None) -> _Refit | None:
        """Return the refit without the fewest votes of `order` that swap the models; None without one below `best`."""
        ends = np.cumsum(self._votes[order])
        low, top = 0, (int(ends[-1]) if len(ends) else 0) + 1
        guess = self.linear_estimate()
        if best is not None:
            top, guess = min(top, best.votes), best.votes - 1
        found: _Refit | None = None
        # Upwards from the guess in growing strides, so that sets without an estimate are rarely tried.
        k, stride, bounded = int(min(max(guess, 1), top - 1)), max(1, int(min(guess, top)) // 16), False
        while low + 1 < top:
            refit = self._refit(order, ends, k)
            swapped = refit is not None and self._gap(refit.theta) < -_MARGIN
            if swapped:
                found = refit
            if swapped or refit is None:
                top, bounded = k, True
            else:
                low = k
            k, stride = ((low + top) // 2, stride) if bounded else (min(low + stride, top - 1), 2 * stride)
        return found

    def _refit(self, order: Int64, ends: Int64, votes: int) -> _Refit | None:
        """Refit without the first `votes` votes of `order` (cumulative votes: `ends`); None without an estimate."""
        dropped = np.zeros_like(self._votes)
        cell = int(np.searchsorted(ends, votes))
        dropped[order[:cell]] = self._votes[order[:cell]]
        dropped[order[cell]] = votes - (int(ends[cell - 1]) if cell else 0)
        W = self._W - self._matrix(dropped)
        if not is_strongly_connected(W):
            return None
        try:
            theta, _, _ = maximise(W, _TOLERANCE, 100, self._start.theta)
        except NotConverged:
            return None
        return _Refit(dropped, votes, theta)

    def _matrix(self, dropped: Int64) -> Float64:
        """Return float64[K, K], the dropped votes as wins of i over j; a tie is half a win for each side."""
        a, b = self._counts.a, self._counts.b
        won, lost, none = dropped.reshape(3, -1)
        W = np.zeros_like(self._W)
        W[a, b], W[b, a] = won + none / 2, lost + none / 2
        return W

    def _gap(self, theta: Float64) -> float:
        return float(theta[self._above] - theta[self._below])

    def _swap(self, best: _Refit) -> RankSwap:
        counts = self._counts
        won, lost, none = best.dropped.reshape(3, -1)
        ties = np.minimum(none, counts.ties)
        table = np.stack([won, lost, ties, none - ties], axis=1)
        return RankSwap(
            above=counts.models[self._above],
            below=counts.models[self._below],
            votes=best.votes,
            share=best.votes / counts.total,
            dropped=PairCounts.from_rows(counts.models, counts.a, counts.b, table),
            gap=self._gap(self._start.theta) * POINTS_PER_LOGIT,
            gap_after=self._gap(best.theta) * POINTS_PER_LOGIT,
        )


def _place(counts: PairCounts, model: str) -> int:
    if model not in counts.models:
        raise BadCounts(f"expected one of {len(counts.models)} models, got {model!r}")
    return counts.models.index(model)
