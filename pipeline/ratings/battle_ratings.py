"""Computes everything that can be estimated from one table of votes.

If no finite ratings can be estimated from the votes, an error is raised. The result states what was left out: the
number of votes without style counts, the style features that never vary, and the groups whose votes allow no
comparison.

Not handled: reading files (`pipeline.formats.battle_tables`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from ..errors import BadCounts
from ..vocabulary.arrays import Float64, Int64
from .battle_columns import BattleColumns
from .bootstrap import BootstrapRatings, bootstrap_ratings
from .bradley_terry import Fit, fit, pair_weights
from .clustered_sandwich import LEAST_VOTERS, effective_voters
from .fragility import RankSwap, fewest_votes_to_replace_first, neighbour_swaps
from .grouped_ratings import GroupLeaderboard, count_groups, rate_groups
from .intervals import MEAN_RATING, POINTS_PER_LOGIT, RatingIntervals, wald_intervals
from .leaderboard import Leaderboard, assemble_leaderboard
from .pair_counts import PairCounts
from .rank_sets import simultaneous_rank_sets
from .style_control import fit_style, style_contrast
from .style_features import STYLE_FEATURES
from .style_newton import StyleFit
from .tie_only_models import with_tie_only_variance
from .voter_covariance import combined_covariance, is_by_voter, with_voter_covariance
from .voter_influence import VoterInfluence, most_influential_voters

# Opens a step of known length in a progress display; what it yields is called with the number of units done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingOptions:
    """Options of `rate_battles`: what to compute, and how.

    Attributes:
        style: whether to adjust the ratings for the style of the answers.
        bootstrap: number of bootstrap rounds; with 0, intervals come from the sandwich covariance. Ignored with
            `style`.
        by_voter: whether to cluster the covariance by voter. With few voters, no interval is narrower than that of
            independent votes (`voter_covariance`).
        reweight: weigh each vote of a pair by 1 / max(votes of the pair, reweight); 0 gives every vote the same weight.
        level: coverage of the intervals.
        anchor: a model and the rating in points that it is shifted to; None for a mean of 1000 points.
        group: a name in GROUPS, to compute one board for each of its labels, without style; "" for no group boards.
        fragility: number of top places, 0 for none. For each place, a search finds the fewest votes whose removal swaps
            its model with the next one.
        influence: number of most influential voters to list, by ratings without style; 0 for none.
        seed: seed of all random draws.
    """

    style: bool = False
    bootstrap: int = 0
    by_voter: bool = False
    reweight: int = 0
    level: float = 0.95
    anchor: tuple[str, float] | None = None
    group: str = ""
    fragility: int = 0
    influence: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class BattleRatings:
    """The ratings of a table of votes.

    Attributes:
        board: the leaderboard, rounded to 0.01, with simultaneous rank sets.
        votes: number of votes rated.
        without_style: number of votes left out because an answer has no style counts.
        clustered: whether the covariance of `board` is by voter. With a single voter it is not, because one voter says
            nothing about others. The boards in `groups` never have a covariance by voter.
        effective_voters: the effective number of voters of the rated votes (`clustered_sandwich.effective_voters`).
            None if the options do not ask for intervals by voter.
        constant: style features left out because they are equal on both sides of every vote.
        style: the fit with style coefficients; None if the options do not ask for style.
        resampled: the bootstrap; None if the options do not ask for it, or ask for style.
        groups: one board for each group; empty if the options do not ask for group boards.
        swaps: the fewest votes that swap #1 and #2, then #2 and #3, and so on. An entry is None if no such set of votes
            was found.
        dethroned: the fewest votes without which another model is first; None if no such set was found, or if the
            options do not ask for such sets.
        voters: pairs of a voter's name and influence, for the voters whose votes change a rating most, the largest
            change first.
    """

    board: Leaderboard
    votes: int
    without_style: int = 0
    clustered: bool = False
    effective_voters: float | None = None
    constant: tuple[str, ...] = ()
    style: StyleFit | None = None
    resampled: BootstrapRatings | None = None
    groups: tuple[GroupLeaderboard, ...] = ()
    swaps: tuple[RankSwap | None, ...] = ()
    dethroned: RankSwap | None = None
    voters: tuple[tuple[str, VoterInfluence], ...] = ()


def rate_battles(battles: BattleColumns, options: RatingOptions, progress: Progress) -> BattleRatings:
    """Rate N votes, and compute everything else that the options ask for.

    Args:
        battles: the votes.
        options: what to compute.
        progress: receives the name and the progress of each step.

    Returns:
        The board, and the other estimates that the options ask for.

    Raises:
        BadCounts: the options ask for style and no style feature varies, or for voters and no vote has a voter.
        RatingError: the votes have no estimate (`Disconnected`, `Collinear`, …).
    """
    if (options.by_voter or options.influence) and not battles.has_voters:
        raise BadCounts("expected votes with voters (voter_id), got none")
    rated, counts = (_rate_with_style if options.style else _rate)(battles, options, progress)
    if options.group:
        rated = replace(rated, groups=_groups(battles, options))
    if options.fragility:
        with progress("fragility", options.fragility + 1) as step:
            swaps = []
            for swap in neighbour_swaps(counts, options.fragility):
                swaps.append(swap)
                step(1)
            rated = replace(rated, swaps=tuple(swaps), dethroned=fewest_votes_to_replace_first(counts))
            step(1)
    if options.influence:
        found = most_influential_voters(battles.pair_counts(), *battles.codes, battles.voter, top=options.influence)
        rated = replace(rated, voters=tuple((battles.voters[one.voter], one) for one in found))
    return rated


def _rate(battles: BattleColumns, options: RatingOptions, progress: Progress) -> tuple[BattleRatings, PairCounts]:
    counts, reweight = battles.pair_counts(), options.reweight or None
    fitted, resampled = fit(counts, reweight=reweight), None
    effective = effective_voters(battles.voter) if options.by_voter else None
    clustered = False
    if effective is not None:
        weights = None if reweight is None else pair_weights(counts, reweight)
        by_voter = with_voter_covariance(fitted, battles.codes, battles.voter, weights=weights)
        clustered = is_by_voter(fitted.covariance, by_voter.covariance, effective)
        fitted = by_voter if clustered else fitted
    fitted = with_tie_only_variance(fitted, counts, reweight=reweight)
    shown = wald_intervals(fitted, level=options.level)
    if options.bootstrap:
        with progress("bootstrap", options.bootstrap) as step:
            resampled = bootstrap_ratings(
                counts, fitted, options.bootstrap, seed=options.seed, reweight=reweight, progress=step
            )
        fitted, shown = _bootstrap_intervals(fitted, counts, resampled, options)
    board = _board(counts, fitted, shown, options)
    return (
        BattleRatings(board, counts.total, clustered=clustered, effective_voters=effective, resampled=resampled),
        counts,
    )


def _rate_with_style(
    battles: BattleColumns, options: RatingOptions, progress: Progress
) -> tuple[BattleRatings, PairCounts]:
    rows = np.flatnonzero(battles.has_style)
    if not len(rows):
        raise BadCounts("expected votes with style counts (style_a and style_b), got none")
    of_a, of_b = (side[rows] for side in battles.style)
    z = style_contrast(list(of_a.T), list(of_b.T), STYLE_FEATURES)
    varies = (z != 0).any(axis=0)
    if not varies.any():
        raise BadCounts("expected a style feature that varies, got the same counts on both sides of every vote")
    names = tuple(np.array(STYLE_FEATURES)[varies].tolist())
    a, b, outcome = (column[rows] for column in battles.codes)
    effective = effective_voters(battles.voter[rows]) if options.by_voter else None

    def fit_with(voter: Int64 | None) -> StyleFit:
        chosen = z[:, varies]
        return fit_style(
            battles.models, a, b, outcome, chosen, features=names, voter=voter, reweight=options.reweight or None
        )

    with progress("style", 1) as step:
        found = fit_with(battles.voter[rows] if options.by_voter else None)
        clustered = options.by_voter
        if effective is not None and effective < LEAST_VOTERS:
            plain = fit_with(None)
            found = _wider_style(plain, found, effective)
            clustered = is_by_voter(plain.ratings.covariance, found.ratings.covariance, effective)
        step(1)
    counts = PairCounts.from_codes(battles.models, a, b, outcome)
    ratings = with_tie_only_variance(found.ratings, counts, reweight=options.reweight or None)
    board = _board(counts, ratings, wald_intervals(ratings, level=options.level), options)
    constant = tuple(name for name in STYLE_FEATURES if name not in names)
    left_out = len(battles) - len(rows)
    return BattleRatings(board, counts.total, left_out, clustered, effective, constant, style=found), counts


def _wider_style(plain: StyleFit, by_voter: StyleFit, voters: float) -> StyleFit:
    """Return the fit `plain` with the combined covariances of both fits (`voter_covariance.combined_covariance`)."""
    ratings = combined_covariance(plain.ratings.covariance, by_voter.ratings.covariance, voters)
    coefficients = combined_covariance(plain.covariance, by_voter.covariance, voters)
    return replace(plain, ratings=replace(plain.ratings, covariance=ratings), covariance=coefficients)


def _groups(battles: BattleColumns, options: RatingOptions) -> tuple[GroupLeaderboard, ...]:
    grouped = count_groups(battles.models, *battles.codes, *battles.groups[options.group])
    labels, bits = battles.categories
    if options.group == "category" and labels:
        parts = {label: battles.select_counts((bits >> place) & 1 == 1) for place, label in enumerate(labels)}
        grouped = replace(
            grouped, groups={**grouped.groups, **{label: one for label, one in parts.items() if one.total}}
        )
    boards = rate_groups(grouped, anchor=options.anchor, level=options.level)
    return tuple(replace(group, board=group.board and group.board.rounded()) for group in boards)


def _board(counts: PairCounts, fitted: Fit, shown: RatingIntervals, options: RatingOptions) -> Leaderboard:
    return assemble_leaderboard(
        counts.models,
        fitted,
        shown,
        votes=counts.battles_per_model(),
        anchor=options.anchor,
        joint=simultaneous_rank_sets(fitted, level=options.level, seed=options.seed),
    ).rounded()


def _bootstrap_intervals(
    fitted: Fit, counts: PairCounts, resampled: BootstrapRatings, options: RatingOptions
) -> tuple[Fit, RatingIntervals]:
    """Return the fit with the covariance of the bootstrap rounds, and intervals from the rounds' percentiles.

    A model that only tied has the same strength in every round, so its interval comes from its standard error.
    """
    drawn = replace(fitted, covariance=resampled.covariance())
    widened = with_tie_only_variance(drawn, counts, reweight=options.reweight or None)
    low, high = (MEAN_RATING + bound * POINTS_PER_LOGIT for bound in resampled.percentile_bounds(options.level))
    if widened is not drawn:
        wald = wald_intervals(widened, level=options.level)
        decisive = counts.decisive_matrix()
        decided = (decisive + decisive.T).any(axis=1)
        low, high = np.where(decided, low, wald.lower), np.where(decided, high, wald.upper)
    se: Float64 = np.sqrt(np.diag(widened.covariance)) * POINTS_PER_LOGIT
    rating = MEAN_RATING + fitted.theta * POINTS_PER_LOGIT
    return widened, RatingIntervals(rating, se, low, high)
