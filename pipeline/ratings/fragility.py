"""How few votes a place on the board hangs on.

Dropping one vote moves θ_i − θ_j by −(y − p)(u_a − u_b), u = H⁺(e_i − e_j): its influence (Cook & Weisberg 1982;
Broderick, Giordano & Meager 2020, "An automatic finite-sample robustness metric"). Votes of one cell (pair,
outcome) share it. So: sort the cells, drop the most influential votes, refit exactly, bisect to the smallest
number that swaps the two. Then sort again by the influence at that refit and try to need fewer, until nothing is
gained: at a smallest set the votes dropped are those of most influence *after* dropping (the Karush-Kuhn-Tucker
conditions of the problem with fractions of votes allowed), which one look at the full board does not give.

Laws: a number is reported only with the votes that were dropped, and these do swap the two on an exact refit; the
votes left still allow a comparison of all models.

Blind spot: an upper bound of the fewest. No smaller set is proved not to exist.
"""

from __future__ import annotations

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

# Looks at the influence after dropping; on real votes the second gains the most, the fourth nothing.
_LOOKS = 8
_TOLERANCE = 1e-10
# Logits by which two models must be apart to have changed places: ten times what a fit leaves open.
_MARGIN = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RankSwap:
    """A set of votes without which two models change places.

    Attributes:
        above: the model that is rated higher with all votes.
        below: the model that is rated higher without these.
        votes: how many are dropped.
        share: of all votes.
        dropped: the votes themselves, as counts on the same axis.
        gap: points between the two with all votes, above 0.
        gap_after: points between them after dropping, below 0.
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
    """Find few votes without which `below` is rated higher than `above`.

    Args:
        counts: the votes.
        above, below: two models, the first one rated higher.
        fitted: their fit, if it is at hand.

    Returns:
        The smallest set found, or None if no set that leaves all models comparable swaps them.

    Raises:
        BadCounts: a model that is not on the axis, or `above` is not rated higher.
        Disconnected, NotConverged: as `fit`.
    """
    places = [_place(counts, name) for name in (above, below)]
    start = fit(counts) if fitted is None else fitted
    gap = float(start.theta[places[0]] - start.theta[places[1]])
    if places[0] == places[1] or gap <= _MARGIN:
        raise BadCounts(f"expected a model rated above {below}, got {above}, {gap * POINTS_PER_LOGIT:.3f} points above")
    return _Search(counts, start, *places).smallest()


@single_blas_thread
def fewest_votes_to_replace_first(counts: PairCounts, *, fitted: Fit | None = None) -> RankSwap | None:
    """Find few votes without which the first model is not first: the cheapest swap with any other.

    Returns:
        The swap, or None if no challenger can be lifted above it by dropping votes.

    Raises:
        Disconnected, NotConverged: as `fit`.
    """
    start = fit(counts) if fitted is None else fitted
    first = int(np.argmax(start.theta))
    # Four prices of a challenger, each at least the one before and dearer to work out: two bounds, a guess, the search.
    lifts = _lifts(start, first)
    gap = start.theta[first] - start.theta
    waiting = [(float(gap[k] / (lifts[first, k] - lifts[k, k])), 0, k) for k in range(len(gap)) if k != first]
    heapify(waiting)
    best: RankSwap | None = None
    searches: dict[int, _Search] = {}
    while waiting:
        votes, step, k = heappop(waiting)
        # The linear guess errs by some per cent; a challenger at twice the price is out of the race.
        if best is not None and votes > 2 * best.votes:
            break
        if step == 0:
            heappush(waiting, (_least(counts, start, lifts[:, k], float(gap[k])), 1, k))
        elif step == 1:
            searches[k] = _Search(counts, start, first, k)
            heappush(waiting, (searches[k].linear(), 2, k))
        else:
            found = searches.pop(k).smallest()
            if found is not None and (best is None or found.votes < best.votes):
                best = found
    return best


def _lifts(start: Fit, first: int) -> Float64:
    """float64[K, K], column k is H⁺(e_first − e_k).

    As a potential it is highest at `first` and lowest at k, so no vote has more influence on their gap than the
    difference of these two: the effective resistance.
    """
    units = np.eye(len(start.theta))
    lifts = solve_laplacian(start.hessian, units[:, [first]] - units)
    if lifts is None:
        raise NotConverged(0, float("inf"))
    return lifts


def _least(counts: PairCounts, start: Fit, lift: Float64, gap: float) -> float:
    """No more votes than the linear guess asks for: the gap over the influence of the best vote."""
    p, steep = expit(start.theta[counts.a] - start.theta[counts.b]), lift[counts.a] - lift[counts.b]
    there = np.stack([counts.wins_a, counts.wins_b, counts.ties + counts.both_bad]) > 0
    most = float(np.where(there, np.stack([1 - p, -p, 0.5 - p]) * steep, 0.0).max(initial=0.0))
    return gap / most if most > 0 else float("inf")


def neighbour_swaps(counts: PairCounts, top: int, *, fitted: Fit | None = None) -> Iterator[RankSwap | None]:
    """Go down the board: the swap of #1 and #2, of #2 and #3, … of #top and the next.

    Raises:
        BadCounts: there are no two models to compare.
        Disconnected, NotConverged: as `fit`.
    """
    start = fit(counts) if fitted is None else fitted
    order = np.argsort(-start.theta, kind="stable").tolist()
    for i, j in pairwise(order[: top + 1]):
        tied = start.theta[i] <= start.theta[j] + _MARGIN
        yield None if tied else _Search(counts, start, i, j).smallest()


@dataclass(frozen=True, slots=True, eq=False)
class _Refit:
    """The board without some votes: int64[3P] dropped of each cell, how many, and θ without them."""

    dropped: Int64
    votes: int
    theta: Float64


class _Search:
    """One pair of models; cells are P pairs times (a wins, b wins, neither)."""

    def __init__(self, counts: PairCounts, start: Fit, above: int, below: int) -> None:
        self._counts, self._start = counts, start
        self._above, self._below = above, below
        self._votes = np.concatenate([counts.wins_a, counts.wins_b, counts.ties + counts.both_bad])
        self._W = counts.win_matrix()
        self._at_start = self._order(start.theta, start.hessian)

    def linear(self) -> float:
        """How many votes the influence alone asks for; infinite if all of them are too few."""
        order, influence = self._at_start
        votes = self._votes[order]
        moved, gap = np.cumsum(votes * influence[order]), self._gap(self._start.theta)
        if not len(moved) or moved[-1] <= gap:
            return float("inf")
        cell = int(np.searchsorted(moved, gap, side="right"))
        short = gap - (float(moved[cell - 1]) if cell else 0.0)
        return float(votes[:cell].sum()) + short / float(influence[order[cell]])

    @single_blas_thread
    def smallest(self) -> RankSwap | None:
        """The smallest set that some look finds."""
        best: _Refit | None = None
        order = self._at_start[0]
        for _ in range(_LOOKS):
            found = self._bisect(order, best)
            if found is None:
                break
            best = found
            left = self._W - self._matrix(best.dropped)
            order = self._order(best.theta, laplacian(information(left, best.theta)))[0]
        return None if best is None else self._swap(best)

    def _order(self, theta: Float64, hessian: Float64) -> tuple[Int64, Float64]:
        """Cells whose votes hold `above` up, the most influential first, and the influence of every cell."""
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
        """The fewest votes from the front of the order that swap the two, if fewer than the best known."""
        ends = np.cumsum(self._votes[order])
        low, top = 0, (int(ends[-1]) if len(ends) else 0) + 1
        guess = self.linear()
        if best is not None:
            top, guess = min(top, best.votes), best.votes - 1
        found: _Refit | None = None
        # Up from the guess in growing strides: sets so large that nothing can be compared are not asked for.
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
        """The exact fit without the first `votes` votes of the order; None if it has none."""
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
        """float64[K, K], the dropped votes as wins of i over j."""
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
