"""Computes the leaderboard, with one row for each rated model, best first.

Every model has a row or is in `unrated`. Ranks are computed from unrounded ratings; only `Leaderboard.rounded` rounds.

Not handled: which votes count (the caller's choice), and names for display.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int64
from .bradley_terry import Fit, fit
from .intervals import RatingIntervals, marginal_ranks, wald_intervals
from .pair_counts import PairCounts
from .rank_sets import RankSets, simultaneous_rank_sets
from .rated_models import UnratedModel, select_rated_models
from .tie_only_models import with_tie_only_variance

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, eq=False)
class Leaderboard:
    """The rated models as columns with one row for each model, sorted by rating from high to low, then by name.

    Attributes:
        models: names of the R rated models.
        rating: float64[R], points.
        se: float64[R], points, standard errors of the ratings when the mean of all ratings is fixed.
        lower: float64[R], points, lower bound of the interval.
        upper: float64[R], points, upper bound of the interval.
        rank: int64[R], 1 is the best.
        rank_best: int64[R], best rank: 1 + number of models whose lower bound is above this model's upper bound.
        rank_worst: int64[R], worst rank: 1 + number of other models whose upper bound is above this model's lower
            bound.
        votes: int64[R], number of votes on each model, ties included.
        unrated: models without a rating, each with the reason.
        gradient_norm: the largest absolute component of the gradient of the fit, in votes.
        converged: always true, since a fit that does not converge raises an error.
        iterations: Newton steps of the fit.
        joint: simultaneous rank sets, in the order of `models`; None if not computed.
    """

    models: tuple[str, ...]
    rating: Float64
    se: Float64
    lower: Float64
    upper: Float64
    rank: Int64
    rank_best: Int64
    rank_worst: Int64
    votes: Int64
    unrated: tuple[UnratedModel, ...]
    gradient_norm: float
    converged: bool
    iterations: int
    joint: RankSets | None = None

    def shifted(self, points: float) -> Leaderboard:
        """Return a copy with `points` added to the ratings and bounds. Standard errors and ranks are unchanged."""
        return replace(self, rating=self.rating + points, lower=self.lower + points, upper=self.upper + points)

    def rounded(self) -> Leaderboard:
        """Return a copy in which `rating`, `se`, `lower` and `upper` are rounded to 0.01 points.

        Halves are rounded to even, in decimal arithmetic.
        """
        return replace(
            self,
            rating=_cents(self.rating),
            se=_cents(self.se),
            lower=_cents(self.lower),
            upper=_cents(self.upper),
        )


def compute_leaderboard(
    counts: PairCounts,
    *,
    anchor: tuple[str, float] | None = None,
    level: float = 0.95,
    least_share: float | None = None,
    reweight: int | None = None,
    joint: bool = False,
    tie_only: bool = True,
) -> Leaderboard:
    """Rate the models by some votes and sort them by rating.

    Args:
        counts: the votes that the board counts.
        anchor: a model and the points that its rating is shifted to; None for a mean of 1000 over the rated models.
        level: coverage of the intervals.
        least_share: None to require that all models are in one connected component. With a number, only the models of
            the largest component are rated; it must have at least this share of the votes.
        reweight: None for equal weights of all votes; n for the weights `pair_weights(counts, n)`.
        joint: whether to compute simultaneous rank sets too.
        tie_only: whether to widen the standard errors of models that only tied (`with_tie_only_variance`).

    Returns:
        The rated models, best first, and the models without a rating.

    Raises:
        BadCounts: there are no votes or fewer than two models, or the anchor model is not rated.
        Disconnected: no finite estimate exists, or the largest component has less than `least_share` of the votes.
        NotConverged: the fit does not converge.
    """
    rated, unrated = (counts, ()) if least_share is None else select_rated_models(counts, least_share=least_share)
    fitted = fit(rated, reweight=reweight)
    if tie_only:
        fitted = with_tie_only_variance(fitted, rated, reweight=reweight)
    # A model's votes include its battles with unrated models.
    votes = dict(zip(counts.models, counts.battles_per_model().tolist(), strict=True))
    return assemble_leaderboard(
        rated.models,
        fitted,
        wald_intervals(fitted, level=level),
        votes=np.array([votes[name] for name in rated.models], dtype=np.int64),
        anchor=anchor,
        unrated=unrated,
        joint=simultaneous_rank_sets(fitted, level=level) if joint else None,
    )


def assemble_leaderboard(
    models: tuple[str, ...],
    fitted: Fit,
    shown: RatingIntervals,
    *,
    votes: Int64,
    anchor: tuple[str, float] | None = None,
    unrated: tuple[UnratedModel, ...] = (),
    joint: RankSets | None = None,
) -> Leaderboard:
    """Build the sorted leaderboard from a fit and its intervals.

    Args:
        models: names of the K models, in the order of the arrays in the other arguments.
        fitted: the fit of these models.
        shown: ratings and intervals in points, before the shift by the anchor.
        votes: int64[K], number of votes on each model.
        anchor: a model and the points that its rating is shifted to; None for a mean of 1000 points.
        unrated: the models that are not rated, with reasons.
        joint: simultaneous rank sets; None if not computed.

    Returns:
        The rated models, best first, and the models without a rating.

    Raises:
        BadCounts: the anchor model is not among the models.
    """
    shown = _anchored(models, shown, anchor)
    places = marginal_ranks(shown)
    order = np.array(sorted(range(len(models)), key=lambda i: (-shown.rating[i], models[i])), dtype=np.int64)
    return Leaderboard(
        models=tuple(models[i] for i in order),
        rating=shown.rating[order],
        se=shown.se[order],
        lower=shown.lower[order],
        upper=shown.upper[order],
        rank=places.rank[order],
        rank_best=places.best[order],
        rank_worst=places.worst[order],
        votes=votes[order],
        unrated=unrated,
        gradient_norm=fitted.gradient_norm,
        converged=fitted.converged,
        iterations=fitted.iterations,
        joint=joint and replace(joint, best=joint.best[order], worst=joint.worst[order]),
    )


def _anchored(models: tuple[str, ...], shown: RatingIntervals, anchor: tuple[str, float] | None) -> RatingIntervals:
    if anchor is None:
        return shown
    name, points = anchor
    if name not in models:
        raise BadCounts(f"expected the anchor among the {len(models)} rated models, got {name!r}")
    return shown.shifted(points - float(shown.rating[models.index(name)]))


def _cents(column: Float64) -> Float64:
    # The shortest decimal form: 1.005 is rounded as it is written, not as the binary 1.00499999…
    return np.array([float(Decimal(repr(x)).quantize(_CENT, ROUND_HALF_EVEN)) for x in column.tolist()])
