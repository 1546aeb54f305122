"""Ratings: arrays in, frozen results out; no clock, no files, no store.

Where is what:
    encode          columns of text to codes
    counts          PairCounts: votes by pair and outcome, made, merged, subtracted and checked
    groups          the same by category or language, and a board for each
    graph           strongly connected components of the win digraph (Ford 1957)
    admission       rate_component: which models a refresh can rate, and why the others wait
    bradley_terry   fit, fit_decisive, fit_matrix, pair_weights: exact maximum likelihood, sandwich covariance
    style           fit_style: the same with style control, and coefficients with intervals
    clusters        clustered: the covariance when votes of one voter are not independent
    resampling      bootstrap: ratings of resampled votes
    intervals       points, standard errors, intervals, rank sets
    ranksets        rank_sets: ranks that hold for all models at once
    board           leaderboard: the rows that people see
    selection       best of N: the winner's curse, and scores without it
    fragility       the fewest votes that swap two models or dethrone the first
    influence       what each voter moves
    checks          what counts must be (BadCounts names the culprit and its place)
    newton, rows, style_newton, tally, votes, blas      inside: steps, sums, threads

All of it is strict: no estimate, no answer. The one lenient rule is `rate_component`, and `leaderboard` when
`least_share` is given.
"""

from .admission import Unrated, rate_component
from .board import Board, board_of, leaderboard
from .bradley_terry import Fit, fit, fit_decisive, fit_matrix, pair_weights
from .clusters import clustered
from .counts import PairCounts
from .encode import encode_battles, encode_groups
from .fragility import Swap, fewest_to_dethrone, fewest_to_swap, neighbours
from .graph import components, largest_component
from .groups import GroupBoard, GroupedCounts, count_groups, group_boards
from .influence import VoterInfluence, voter_influence
from .intervals import POINTS_PER_LOGIT, Intervals, Ranks, intervals, ranks
from .ranksets import RankSets, rank_sets
from .resampling import Bootstrap, bootstrap
from .style import STYLE_FEATURES, fit_style, style_contrast
from .style_newton import StyleFit

__all__ = [
    "POINTS_PER_LOGIT",
    "STYLE_FEATURES",
    "Board",
    "Bootstrap",
    "Fit",
    "GroupBoard",
    "GroupedCounts",
    "Intervals",
    "PairCounts",
    "RankSets",
    "Ranks",
    "StyleFit",
    "Swap",
    "Unrated",
    "VoterInfluence",
    "board_of",
    "bootstrap",
    "clustered",
    "components",
    "count_groups",
    "encode_battles",
    "encode_groups",
    "fewest_to_dethrone",
    "fewest_to_swap",
    "fit",
    "fit_decisive",
    "fit_matrix",
    "fit_style",
    "group_boards",
    "intervals",
    "largest_component",
    "leaderboard",
    "neighbours",
    "pair_weights",
    "rank_sets",
    "ranks",
    "rate_component",
    "style_contrast",
    "voter_influence",
]
