"""Computes Bradley-Terry ratings from votes.

The functions take arrays and return frozen results. They use no clock, no files and no store.

Modules:
    validation          checks inputs; an error names the wrong value and its row
    encoding            encodes columns of text as a model axis and integer codes
    pair_counts         counts votes by pair and outcome, the sufficient statistic
    pair_sums           computes the sums for pair_counts
    win_graph           finds the strongly connected components of the win digraph (Ford 1957)
    rated_models        selects the models that can be rated, and says why the others cannot
    newton              maximises the Bradley-Terry likelihood by damped Newton
    bradley_terry       fits ratings by exact maximum likelihood, with pair weights and a sandwich covariance
    tie_only_models     computes standard errors of models that only tied
    clustered_sandwich  computes a covariance clustered by voter
    voter_covariance    computes such a covariance also with few voters
    prompt_samples      decides which votes on frequent prompts are left out of a rating
    voter_scores        holds the sums of the scores of voters, and updates them for a log that has grown
    voter_score_sums    computes these sums from votes
    voter_intervals     computes a board's intervals clustered by voter, with confidence sequences
    confidence_sequences computes intervals that contain the true value at every snapshot of a board, and sure ranks
    cluster_votes       counts the votes of clusters, and draws whole clusters for the bootstrap
    bootstrap           estimates ratings from multinomial resamples of the votes
    intervals           converts strengths to points with standard errors, Wald intervals and marginal ranks
    rank_sets           computes rank sets with simultaneous coverage
    leaderboard         sorts rated models into rows, best first
    grouped_ratings     computes leaderboards by category or language
    style_features      names the counts of an answer for which style control adjusts ratings
    style_control       fits ratings and style coefficients together
    style_newton        maximises the likelihood with style coefficients
    vote_rows           computes the sums over votes that a fit with style needs
    pair_parameter      maximises a likelihood of strengths and one more parameter
    tie_models          fits the tie models of Rao & Kupper and of Davidson
    pair_covariate      fits ratings together with the effect of one covariate, such as the position of a model
    residuals           computes score minus win probability of each vote
    winners_curse       computes the selection bias of the best of N variants, and estimates without it
    selection_intervals computes intervals for the best of N variants when the spread of their quality is unknown
    fragility           searches for the fewest votes without which two models swap ranks
    vote_changes        searches for the fewest votes to flip, or to add, so that two models swap ranks
    voter_influence     finds the voters whose votes move a rating most
    battle_columns      represents votes as columns
    battle_ratings      computes every estimate above from such columns
    method              defines the named rules by which votes are left out of a board
    blas_threads        limits BLAS to one thread for small matrices

Every function returns an estimate of all models or raises an error. Two functions leave models out, and their results
name each model left out: `select_rated_models`, and `compute_leaderboard` with `least_share`.
"""

from typing import TYPE_CHECKING

from ..vocabulary.lazy_names import lazy_names

if TYPE_CHECKING:
    from .bootstrap import BootstrapRatings, bootstrap_ratings
    from .bradley_terry import Fit, fit, fit_decisive, fit_matrix, pair_weights
    from .clustered_sandwich import with_clustered_covariance
    from .encoding import encode_battles, encode_groups
    from .fragility import RankSwap, fewest_votes_to_replace_first, fewest_votes_to_swap, neighbour_swaps
    from .grouped_ratings import GroupedCounts, GroupLeaderboard, count_groups, rate_groups
    from .intervals import POINTS_PER_LOGIT, MarginalRanks, RatingIntervals, marginal_ranks, wald_intervals
    from .leaderboard import Leaderboard, assemble_leaderboard, compute_leaderboard
    from .pair_counts import PairCounts
    from .rank_sets import RankSets, simultaneous_rank_sets
    from .rated_models import UnratedModel, select_rated_models
    from .style_control import fit_style, style_contrast
    from .style_features import STYLE_FEATURES
    from .style_newton import StyleFit
    from .tie_only_models import with_tie_only_variance
    from .voter_influence import VoterInfluence, most_influential_voters
    from .win_graph import largest_component, strong_components
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "bootstrap": "BootstrapRatings bootstrap_ratings",
            "bradley_terry": "Fit fit fit_decisive fit_matrix pair_weights",
            "clustered_sandwich": "with_clustered_covariance",
            "encoding": "encode_battles encode_groups",
            "fragility": "RankSwap fewest_votes_to_replace_first fewest_votes_to_swap neighbour_swaps",
            "grouped_ratings": "GroupedCounts GroupLeaderboard count_groups rate_groups",
            "intervals": "POINTS_PER_LOGIT MarginalRanks RatingIntervals marginal_ranks wald_intervals",
            "leaderboard": "Leaderboard assemble_leaderboard compute_leaderboard",
            "pair_counts": "PairCounts",
            "rank_sets": "RankSets simultaneous_rank_sets",
            "rated_models": "UnratedModel select_rated_models",
            "style_control": "fit_style style_contrast",
            "style_features": "STYLE_FEATURES",
            "style_newton": "StyleFit",
            "tie_only_models": "with_tie_only_variance",
            "voter_influence": "VoterInfluence most_influential_voters",
            "win_graph": "largest_component strong_components",
        },
    )

__all__ = [
    "POINTS_PER_LOGIT",
    "STYLE_FEATURES",
    "BootstrapRatings",
    "Fit",
    "GroupLeaderboard",
    "GroupedCounts",
    "Leaderboard",
    "MarginalRanks",
    "PairCounts",
    "RankSets",
    "RankSwap",
    "RatingIntervals",
    "StyleFit",
    "UnratedModel",
    "VoterInfluence",
    "assemble_leaderboard",
    "bootstrap_ratings",
    "compute_leaderboard",
    "count_groups",
    "encode_battles",
    "encode_groups",
    "fewest_votes_to_replace_first",
    "fewest_votes_to_swap",
    "fit",
    "fit_decisive",
    "fit_matrix",
    "fit_style",
    "largest_component",
    "marginal_ranks",
    "most_influential_voters",
    "neighbour_swaps",
    "pair_weights",
    "rate_groups",
    "select_rated_models",
    "simultaneous_rank_sets",
    "strong_components",
    "style_contrast",
    "wald_intervals",
    "with_clustered_covariance",
    "with_tie_only_variance",
]
