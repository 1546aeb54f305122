"""Ratings: arrays in, frozen results out; no clock, no files, no store.

Where is what:
    counts          PairCounts: votes by pair and outcome, made, merged, subtracted and checked
    encode          OUTCOMES, and columns of text to codes
    graph           strongly connected components of the win digraph (Ford 1957)
    admission       rate_component: which models a refresh can rate, and why the others wait
    bradley_terry   fit, fit_decisive, fit_matrix: exact maximum likelihood, sandwich covariance
    intervals       points, standard errors, intervals, rank sets
    board           leaderboard: the rows that people see
    checks          what counts must be (BadCounts names the culprit and its place)

All of it is strict: no estimate, no answer. The one lenient rule is `rate_component`, and `leaderboard` when
`least_share` is given.
"""

from pipeline.ratings.admission import Unrated, rate_component
from pipeline.ratings.board import Board, leaderboard
from pipeline.ratings.bradley_terry import Fit, fit, fit_decisive, fit_matrix
from pipeline.ratings.counts import PairCounts
from pipeline.ratings.encode import OUTCOMES
from pipeline.ratings.graph import components, largest_component
from pipeline.ratings.intervals import POINTS_PER_LOGIT, Intervals, Ranks, intervals, ranks

__all__ = [
    "OUTCOMES",
    "POINTS_PER_LOGIT",
    "Board",
    "Fit",
    "Intervals",
    "PairCounts",
    "Ranks",
    "Unrated",
    "components",
    "fit",
    "fit_decisive",
    "fit_matrix",
    "intervals",
    "largest_component",
    "leaderboard",
    "ranks",
    "rate_component",
]
