"""Searches for the fewest votes to flip, or to add, so that two models swap ranks.

A flipped vote of models a and b has the other winner. A tie can be flipped to a win of a or to a win of b.

Let i and j be the two models. The influence of a change is its first-order effect on the gap θ_i − θ_j. Let
u = H⁺(e_i − e_j), where H is the information matrix. A vote of models a and b whose score changes by s moves the gap by
s (u_a − u_b). An added vote moves it by (y − p)(u_a − u_b), where y − p is the residual of the vote (Cook & Weisberg
1982; Broderick, Giordano & Meager 2020, "An automatic finite-sample robustness metric").

Search for flips: all votes of one cell (a pair of models and an outcome) have the same influence. The search sorts the
cells by influence and flips the most influential votes. It fits the changed votes exactly, and finds by bisection the
smallest number of flips that swaps the two models. It then computes the influence at this fit and searches again.

Search for additions: the search adds copies of the most influential vote, about a sixteenth of the estimated number at
a time. After each addition it fits the votes exactly, and finds the vote that is now most influential. When the two
models have swapped, bisection finds how many votes of the last addition are needed.

Every result is confirmed by an exact fit.

Blind spot: the numbers are upper bounds; smaller sets may exist. An attacker who flips votes needs access to votes of
others; one who adds votes does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..errors import BadCounts, NotConverged
from ..vocabulary.arrays import Float64, Int64
from .blas_threads import single_blas_thread
from .bradley_terry import Fit
from .newton import information, laplacian, maximise, solve_laplacian, win_probability
from .pair_counts import PairCounts
from .win_graph import is_strongly_connected

_PASSES = 4
_PORTIONS = 16
_TOLERANCE = 1e-10
_MARGIN = 1e-9
# Votes that are added at most, as a multiple of all votes.
_MOST_ADDED = 10


@dataclass(frozen=True, slots=True, eq=False)
class VoteChange:
    """The fewest changes of votes found that swap the ranks of two models.

    Attributes:
        above: the model that is rated higher before the change.
        below: the model that is rated higher after the change.
        votes: number of votes flipped or added.
        share: `votes` divided by the number of all votes before the change.
        theta: float64[K], strengths of the models after the change, in logits.
    """

    above: str
    below: str
    votes: int
    share: float
    theta: Float64


@single_blas_thread
def fewest_flips(counts: PairCounts, fitted: Fit, above: int, below: int) -> VoteChange | None:
    """Search for the fewest votes to flip so that `below` is rated higher than `above`.

    Args:
        counts: the votes.
        fitted: the fit of the votes.
        above, below: codes of the two models.

    Returns:
        The smallest set found. None if no set was found after which the win digraph is strongly connected, so that all
            models can be rated together.

    Raises:
        BadCounts: `above` is not rated higher.
    """
    _require_gap(counts, fitted, above, below)
    W, pair = counts.win_matrix(), (above, below)
    cells = _FlipCells.of(counts)
    best: tuple[int, Float64] | None = None
    after, theta = W, fitted.theta
    for _ in range(_PASSES):
        influence = cells.influence(_potential(after, theta, pair))
        order = np.argsort(-influence, kind="stable")
        order = order[(influence[order] > 0) & (cells.votes[order] > 0)]
        found = _bisect(partial(cells.flip, W, order), fitted.theta, pair, _limit(cells.votes[order], best))
        if found is None:
            break
        best, theta, after = found, found[1], cells.flip(W, order, found[0])
    return _result(counts, pair, best)


@single_blas_thread
def fewest_additions(counts: PairCounts, fitted: Fit, above: int, below: int) -> VoteChange | None:
    """Search for the fewest votes to add so that `below` is rated higher than `above`.

    Args:
        counts: the votes.
        fitted: the fit of the votes.
        above, below: codes of the two models.

    Returns:
        The smallest set found; None if adding ten times as many votes as there are does not swap the two models.

    Raises:
        BadCounts: `above` is not rated higher.
    """
    _require_gap(counts, fitted, above, below)
    W, pair, theta, added = counts.win_matrix(), (above, below), fitted.theta, 0
    portion = 1
    while added < _MOST_ADDED * counts.total:
        winner, loser, influence = _best_vote(W, theta, pair)
        gap = float(theta[above] - theta[below])
        portion = max(portion, int(gap / influence) // _PORTIONS)
        vote = np.zeros_like(W)
        vote[winner, loser] = 1.0
        after = maximise(W + portion * vote, _TOLERANCE, 100, theta)[0]
        if after[above] - after[below] < -_MARGIN:
            found = _bisect(partial(_add, W, vote), theta, pair, portion + 1)
            return None if found is None else _result(counts, pair, (added + found[0], found[1]))
        W, theta, added = W + portion * vote, after, added + portion
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _FlipCells:
    """The votes that can be flipped, by pair of models (a, b) and by kind of flip.

    A cell is one pair with one kind of flip, so P pairs have 4P cells: P cells for wins of a that become wins of b,
    then P for wins of b that become wins of a, P for ties that become wins of a, and P for ties that become wins of b.
    "Both bad" votes are ties here.

    Attributes:
        a, b: int64[P], codes of the two models of each pair.
        votes: int64[4P], number of votes in each cell.
        size: number of models.
    """

    a: Int64
    b: Int64
    votes: Int64
    size: int

    @classmethod
    def of(cls, counts: PairCounts) -> _FlipCells:
        none = counts.ties + counts.both_bad
        votes = np.concatenate([counts.wins_a, counts.wins_b, none, none])
        return cls(counts.a.astype(np.int64), counts.b.astype(np.int64), votes, len(counts.models))

    def influence(self, u: Float64) -> Float64:
        """Return by how much flipping one vote of each cell closes the gap, float64[4P], to first order.

        Args:
            u: float64[K], the vector u of the module's description.
        """
        drop = u[self.a] - u[self.b]
        return np.concatenate([drop, -drop, -drop / 2, drop / 2])

    def flip(self, W: Float64, order: Int64, votes: int) -> Float64:
        """Return the wins, float64[K, K], after some votes are flipped.

        Args:
            W: float64[K, K], the wins before, with half a win for each side of a tie.
            order: positions of cells, in the order in which their votes are flipped.
            votes: number of votes to flip.
        """
        ends = np.cumsum(self.votes[order])
        flipped = np.zeros(len(self.votes))
        cell = int(np.searchsorted(ends, votes))
        flipped[order[:cell]] = self.votes[order[:cell]]
        flipped[order[cell]] = votes - (int(ends[cell - 1]) if cell else 0)
        a_won, b_won, to_a, to_b = flipped.reshape(4, -1)
        gained = b_won - a_won + (to_a - to_b) / 2
        result = W.copy()
        result[self.a, self.b] += gained
        result[self.b, self.a] -= gained
        return result


def _add(W: Float64, vote: Float64, times: int) -> Float64:
    return W + times * vote


def _require_gap(counts: PairCounts, fitted: Fit, above: int, below: int) -> None:
    gap = float(fitted.theta[above] - fitted.theta[below])
    if gap <= _MARGIN:
        raise BadCounts(f"expected {counts.models[above]} above {counts.models[below]}, got a gap of {gap:.3g} logits")


def _potential(W: Float64, theta: Float64, pair: tuple[int, int]) -> Float64:
    unit = np.zeros(len(theta))
    unit[pair[0]], unit[pair[1]] = 1.0, -1.0
    u = solve_laplacian(laplacian(information(W, theta)), unit)
    if u is None:
        raise NotConverged(0, float("inf"))
    return u


def _best_vote(W: Float64, theta: Float64, pair: tuple[int, int]) -> tuple[int, int, float]:
    """Find the added vote that closes the gap of a pair most. Return its winner, its loser, and the change of the gap.

    The change is positive, in logits, and computed to first order.
    """
    u = _potential(W, theta, pair)
    closes = (1 - win_probability(theta)) * (u[None, :] - u[:, None])
    winner, loser = (int(k) for k in np.unravel_index(int(closes.argmax()), closes.shape))
    return winner, loser, float(closes[winner, loser])


def _limit(votes: Int64, best: tuple[int, Float64] | None) -> int:
    """Return the exclusive upper bound of the number of flips that the search tries.

    The search flips at most all votes that can be flipped, and fewer votes than the best result so far.
    """
    most = int(votes.sum()) + 1
    return most if best is None else min(most, best[0])


def _bisect(
    wins: Callable[[int], Float64], start: Float64, pair: tuple[int, int], limit: int
) -> tuple[int, Float64] | None:
    """Find the fewest changed votes, below `limit`, that swap a pair of models.

    Args:
        wins: returns the wins, float64[K, K], after a given number of votes is changed.
        start: float64[K], strengths from which each fit starts.
        pair: codes of the two models; the first has the higher rating before the changes.
        limit: exclusive upper bound of the number of votes.

    Returns:
        The number of votes, and the strengths after the changes; None if no tried number swaps the pair.
    """

    def refit(votes: int) -> Float64 | None:
        W = wins(votes)
        if not is_strongly_connected(W):
            return None
        try:
            return maximise(W, _TOLERANCE, 100, start)[0]
        except NotConverged:
            return None

    def swaps(theta: Float64) -> bool:
        return bool(theta[pair[0]] - theta[pair[1]] < -_MARGIN)

    low, top, found = 0, limit, None
    votes, bounded = 1, False
    while low + 1 < top:
        theta = refit(min(votes, top - 1))
        tried = min(votes, top - 1)
        if theta is not None and swaps(theta):
            found = (tried, theta)
        if theta is None or swaps(theta):
            top, bounded = tried, True
        else:
            low = tried
        votes = (low + top) // 2 if bounded else 2 * tried
    return found


def _result(counts: PairCounts, pair: tuple[int, int], best: tuple[int, Float64] | None) -> VoteChange | None:
    if best is None:
        return None
    return VoteChange(counts.models[pair[0]], counts.models[pair[1]], best[0], best[0] / counts.total, best[1])
