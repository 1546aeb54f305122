"""Rates by maximum likelihood those models of a report that can be rated together."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from pipeline.ratings import (
    Fit,
    Leaderboard,
    PairCounts,
    RankSets,
    UnratedModel,
    assemble_leaderboard,
    fit,
    select_rated_models,
    simultaneous_rank_sets,
    wald_intervals,
    with_tie_only_variance,
)
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.arrays import Int64

# Draws of the largest difference of all pairs. A draw compares all pairs, so that many models get fewer draws, which
# move the critical value of about 5 by less than 0.1.
_DRAWS, _LEAST_DRAWS, _MOST_COMPARED = 10_000, 500, 10_000 * 500**2


@dataclass(frozen=True, slots=True, eq=False)
class ReportBoard:
    """The rated models of a report. Arrays of models are in the order of `counts.models`, not of the ranks.

    Attributes:
        votes: the votes between the R rated models. Its `models` are `counts.models`.
        counts: these votes by pair and outcome.
        fitted: the fit of these votes. Its covariance takes votes as independent.
        clustered: the fit with the covariance of dependent votes of one voter (`voter_covariance`); `fitted` itself if
            no voter is known.
        leaderboard: the board, best first, with intervals from `clustered` and joint rank sets.
        level: coverage of the intervals.
        unrated: the models without a rating, with reasons.
    """

    votes: ReportVotes
    counts: PairCounts
    fitted: Fit
    clustered: Fit
    leaderboard: Leaderboard
    level: float
    unrated: tuple[UnratedModel, ...]

    @property
    def order(self) -> Int64:
        """int64[R], the models as positions in `counts.models`, best first."""
        place = {name: code for code, name in enumerate(self.counts.models)}
        return np.array([place[name] for name in self.leaderboard.models], dtype=np.int64)


def joint_rank_sets(fitted: Fit, level: float, seed: int = 0) -> RankSets:
    """Return the simultaneous rank sets of the models of a fit.

    A board with many models gets fewer random draws, since the time of a draw grows with the square of the number of
    models.

    Args:
        fitted: the fit of the models.
        level: joint coverage, between 0 and 1.
        seed: seed of the draws.

    Raises:
        BadCounts: the level needs more than 10,000 draws.
    """
    draws = max(_LEAST_DRAWS, _MOST_COMPARED // len(fitted.theta) ** 2, ceil(1 / (1 - level)) + 1)
    return simultaneous_rank_sets(fitted, level=level, draws=min(_DRAWS, draws), seed=seed)


def rate_report_votes(votes: ReportVotes, *, level: float = 0.95, least_share: float = 0.0) -> ReportBoard:
    """Rate the models of the largest group of models that can be compared.

    Args:
        votes: all votes of the file that count.
        level: coverage of the intervals.
        least_share: the least share of the votes that the group must have.

    Raises:
        RatingError: there are no votes, the largest group has fewer than `least_share` of the votes or only one model,
            or the fit does not converge.
    """
    counts, unrated = select_rated_models(PairCounts.from_codes(votes.models, *votes.codes), least_share=least_share)
    fitted = fit(counts)
    rated = votes.between(counts.models)
    shown = with_tie_only_variance(rated.by_voter(fitted), counts)
    board = assemble_leaderboard(
        counts.models,
        shown,
        wald_intervals(shown, level=level),
        votes=counts.battles_per_model(),
        unrated=unrated,
        joint=joint_rank_sets(shown, level),
    )
    return ReportBoard(rated, counts, with_tie_only_variance(fitted, counts), shown, board, level, unrated)
