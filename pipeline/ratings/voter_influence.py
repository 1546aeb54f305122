"""Computes the influence of each voter on the ratings.

To first order, dropping a voter's votes changes θ by −H⁺ s. H is the information matrix, and s is the sum of (y −
p)(e_a − e_b) over the voter's votes (Cook & Weisberg 1982). Here y − p is the residual of a vote, and e_a is the unit
vector of model a. For each voter that is reported, the ratings are also refitted exactly without the voter's votes.

Votes without a voter are not reported.

Blind spot: each of many coordinated voters has little influence. Detectors search for such groups.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import inv
from scipy.sparse import csr_array

from ..errors import BadCounts, RatingError
from ..vocabulary.arrays import Float64, Int32, Int64
from ..vocabulary.large_arrays import keep
from ..vocabulary.outcomes import OUTCOMES
from . import validation
from .blas_threads import single_blas_thread
from .bradley_terry import Fit, fit
from .clustered_sandwich import score_blocks, voter_clusters
from .intervals import POINTS_PER_LOGIT
from .pair_counts import PairCounts
from .residuals import residuals

# Voters computed at a time: 16,384 × 243 numbers are 32 MB.
_BATCH = 16_384


@dataclass(frozen=True, slots=True)
class VoterInfluence:
    """A voter and the model whose rating the voter's votes change most.

    Attributes:
        voter: number of the voter in the argument `voter` of `most_influential_voters`.
        votes: number of the voter's votes.
        model: the model whose rating changes most.
        points: rating with the voter's votes minus rating without them, in points, to first order.
        exact: the same difference from an exact refit; None if the other voters' votes have no estimate.
    """

    voter: int
    votes: int
    model: str
    points: float
    exact: float | None


@single_blas_thread
def most_influential_voters(
    counts: PairCounts,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    outcome: npt.ArrayLike,
    voter: npt.ArrayLike,
    *,
    top: int = 10,
    fitted: Fit | None = None,
) -> tuple[VoterInfluence, ...]:
    """Find the voters with the largest influence.

    The influence of a voter is the largest change of any model's rating if the voter's votes are dropped, to first
    order.

    Args:
        counts: all N votes as pair counts.
        a, b: N codes each, the two models of each vote, as positions in `counts.models`.
        outcome: N codes, the outcome of each vote.
        voter: N whole numbers, equal for votes of one voter; −1 for an unknown voter.
        top: largest number of voters to return, at least 1.
        fitted: the fit of the votes; None to compute it here.

    Returns:
        The voters, sorted by absolute influence, the largest first. Voters of equal influence are sorted by number.

    Raises:
        BadCounts: columns differ in length, a code is out of range, or `top` is less than 1.
        Disconnected, NotConverged: the votes have no finite estimate, or the fit does not converge.
    """
    size = len(counts.models)
    left, right = keep(validation.codes(a, "a", size)), keep(validation.codes(b, "b", size))
    result, who = keep(validation.codes(outcome, "outcome", len(OUTCOMES))), validation.whole_numbers(voter, "voter")
    if len({len(column) for column in (left, right, result, who)}) != 1 or top < 1:
        raise BadCounts(f"expected four columns of one length and a top from 1, got {len(left)} a and top {top}")
    start = fit(counts) if fitted is None else fitted
    known = who != -1
    if not known.all():
        left, right, result, who = (column[known] for column in (left, right, result, who))
    cluster, numbers = voter_clusters(who)
    blocks = score_blocks(left, right, residuals(start.theta, left, right, result), cluster, size)
    model, points = _largest_shifts(blocks, len(numbers), start.hessian)
    chosen = np.lexsort((numbers, -np.abs(points)))[:top]
    return tuple(
        VoterInfluence(
            voter=int(numbers[k]),
            votes=int((rows := np.flatnonzero(cluster == k)).size),
            model=counts.models[int(model[k])],
            points=float(points[k]),
            exact=_exact(counts, start, (left[rows], right[rows], result[rows]), int(model[k])),
        )
        for k in chosen.tolist()
    )


def _largest_shifts(blocks: Iterable[csr_array], voters: int, hessian: Float64) -> tuple[Int64, Float64]:
    """Return for each voter the model whose rating changes most, and that change in points.

    Args:
        blocks: the scores of the voters, one block of voters after another.
        voters: number of voters.
        hessian: float64[K, K], the information of all votes.
    """
    size = len(hessian)
    inverse = inv(hessian + np.trace(hessian) / size**2)
    model, points, first = np.zeros(voters, dtype=np.int64), np.zeros(voters), 0
    for scores in blocks:
        for start in range(0, min(scores.shape[0], voters - first), _BATCH):
            shift = scores[start : start + _BATCH] @ inverse * POINTS_PER_LOGIT
            rows = slice(first + start, first + start + len(shift))
            model[rows] = np.abs(shift).argmax(axis=1)
            points[rows] = shift[np.arange(len(shift)), model[rows]]
        first += scores.shape[0]
    return model, points


def _exact(counts: PairCounts, start: Fit, votes: tuple[Int32, Int32, Int32], model: int) -> float | None:
    try:
        without = fit(counts.minus(PairCounts.from_codes(counts.models, *votes)))
    except RatingError:
        return None
    return float(start.theta[model] - without.theta[model]) * POINTS_PER_LOGIT
