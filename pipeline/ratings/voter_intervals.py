"""Computes intervals of a board that allow for dependent votes of one voter, and the board's confidence sequences.

The published rows of a board have intervals from pair counts alone, which everybody can compute again. Those intervals
take all votes as independent. They are too short if voters with many votes have tastes of their own: on simulated
boards whose votes per voter follow a power law, they cover 80 to 92% instead of 95%. The intervals of this module cover
94 to 96%.

Ratings and ranks are those of the board. The intervals follow from the pair counts and the sums over voters
(`voter_scores`). A reader who has both can compute them again.

No interval is shorter than the one from pair counts alone.

Blind spot: a reader cannot check the sums over voters, since public votes do not name voters.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import BadCounts, NotConverged
from ..vocabulary.arrays import Float64, Int64
from . import validation
from .blas_threads import single_blas_thread
from .bradley_terry import Fit, sandwich_covariance
from .confidence_sequences import ConfidenceSequences, confidence_sequences
from .intervals import (
    POINTS_PER_LOGIT,
    RatingIntervals,
    few_voters_widening,
    marginal_ranks,
    standard_errors,
    wald_quantile,
)
from .leaderboard import Leaderboard
from .pair_counts import PairCounts
from .tie_only_models import with_tie_only_variance
from .voter_scores import VoterScores


@dataclass(frozen=True, slots=True, eq=False)
class VoterIntervals:
    """Intervals clustered by voter, and confidence sequences, for the R models of a board. Ratings are in points.

    Attributes:
        models: names of the models, best first.
        rating: float64[R], the ratings of the board.
        lower: float64[R], lower bound of the 95% interval.
        upper: float64[R], upper bound of the 95% interval.
        rank_best: int64[R], best rank that these intervals allow (`MarginalRanks.best`).
        rank_worst: int64[R], worst rank that these intervals allow.
        sequences: the confidence sequences.
    """

    models: tuple[str, ...]
    rating: Float64
    lower: Float64
    upper: Float64
    rank_best: Int64
    rank_worst: Int64
    sequences: ConfidenceSequences


@single_blas_thread
def voter_intervals(
    board: Leaderboard,
    fitted: Fit,
    counts: PairCounts,
    scores: VoterScores,
    *,
    level: float = 0.95,
    models_ever: int | None = None,
) -> VoterIntervals:
    """Compute a board's intervals clustered by voter, and its confidence sequences.

    The standard error of a rating is the larger of two. One is clustered by voter, and is increased if few voters have
    most of the votes. The other takes all votes as independent.

    Args:
        board: the board. Its ratings may be shifted by a constant, so that one model (the anchor) has a chosen rating.
        fitted: the fit of the board's models, with the covariance from counts.
        counts: the votes of the board's models, in the order of the fit.
        scores: the sums over voters, for the same models in the same order.
        level: coverage of the intervals at one snapshot, and of the sequences over all snapshots.
        models_ever: number of models that have had votes so far; None for the number of models of the board. This
            number decides how the error probability of ranks over all snapshots is divided among pairs
            (`confidence_sequences`).

    Raises:
        BadCounts: board, fit, counts and scores are not about the same models, or `level` is outside (0, 1).
        NotConverged: the information is singular in float64.
    """
    validation.require_level(level)
    if scores.models != counts.models or sorted(board.models) != sorted(counts.models):
        raise BadCounts(f"expected the sums of the {len(counts.models)} rated models, got {len(scores.models)} models")
    plain, clustered = _covariances(fitted, counts, scores)
    nu = scores.effective
    # Few effective voters: the variance itself is uncertain, and too small on average.
    widening = few_voters_widening(nu, level)
    clustered = clustered * np.outer(widening, widening)
    # The scores of all voters sum to zero, so a voter with most votes on a model hides that model's variance.
    se = np.maximum(standard_errors(clustered), standard_errors(plain)) * POINTS_PER_LOGIT
    place = {name: at for at, name in enumerate(counts.models)}
    order = np.array([place[name] for name in board.models], dtype=np.int64)
    se, grid = se[order], np.ix_(order, order)
    rating, margin = board.rating, wald_quantile(level) * se
    ranks = marginal_ranks(RatingIntervals(rating, se, rating - margin, rating + margin))
    sequences = confidence_sequences(rating, (plain[grid], clustered[grid]), level=level, models_ever=models_ever)
    return VoterIntervals(board.models, rating, rating - margin, rating + margin, ranks.best, ranks.worst, sequences)


def _covariances(fitted: Fit, counts: PairCounts, scores: VoterScores) -> tuple[Float64, Float64]:
    """Return the covariance of independent votes and the covariance clustered by voter, float64[K, K] each.

    Both include the additional variance of models that only tied (`with_tie_only_variance`).

    Raises:
        NotConverged: the information is singular in float64.
    """
    covariance = sandwich_covariance(fitted.hessian, scores.scatter)
    if covariance is None:
        raise NotConverged(fitted.iterations, fitted.gradient_norm)
    clustered = with_tie_only_variance(replace(fitted, covariance=covariance), counts)
    return with_tie_only_variance(fitted, counts).covariance, clustered.covariance
