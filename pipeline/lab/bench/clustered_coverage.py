"""Measures the coverage of 95% intervals of ratings on simulated votes of voters with tastes.

In these votes (`taste_boards`), the number of votes of a voter follows a power law. Two kinds of intervals are
compared. Intervals from pair counts treat the votes of a voter as independent; clustered intervals do not. The coverage
over R boards of K models has a Monte Carlo error of about √(0.05 · 0.95 / (R K)): 0.3 percentage points for 400 boards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.lab.bench.taste_boards import draw_votes, true_strengths
from pipeline.ratings import PairCounts, compute_leaderboard, fit
from pipeline.ratings.intervals import MEAN_RATING, POINTS_PER_LOGIT
from pipeline.ratings.voter_intervals import voter_intervals
from pipeline.ratings.voter_score_sums import VoterBattles, sum_voter_scores

TASTES = (0.0, 0.5, 1.0)
LEAST, MOST = 0.94, 0.96
_MODELS, _VOTES = 12, 8_000
_NAMES = tuple(f"m{i:02}" for i in range(_MODELS))


@dataclass(frozen=True, slots=True)
class ClusteredCoverage:
    """Coverage of 95% intervals at one spread of taste.

    Attributes:
        taste: standard deviation of a voter's taste for a model, in logits.
        counted: coverage of the intervals from counts, from 0 to 1.
        clustered: coverage of the clustered intervals, from 0 to 1.
        width: width of a clustered interval divided by the width of the interval from counts, as a mean over models and
            boards.
    """

    taste: float
    counted: float
    clustered: float
    width: float

    @property
    def passed(self) -> bool:
        """Whether the coverage of the clustered intervals is between 94% and 96%."""
        return LEAST <= self.clustered <= MOST


def simulate_clustered(
    boards: int = 400, seed: int = 0, step: Callable[[], None] | None = None
) -> tuple[ClusteredCoverage, ...]:
    """Simulate boards for each spread of taste in TASTES, and return the coverage of the intervals for each.

    Args:
        boards: number of boards for each spread.
        seed: seed of the simulation.
        step: called without arguments after each board, to show progress.
    """
    found = []
    for taste in TASTES:
        rng, sums = np.random.default_rng([seed, round(10 * taste)]), np.zeros(3)
        truth = MEAN_RATING + true_strengths(_MODELS, taste) * POINTS_PER_LOGIT
        for _ in range(boards):
            sums += _one_board(rng, taste, truth)
            if step is not None:
                step()
        found.append(ClusteredCoverage(taste, *(sums / boards).tolist()))
    return tuple(found)


def _one_board(rng: np.random.Generator, taste: float, truth: np.ndarray) -> np.ndarray:
    votes = draw_votes(rng, _MODELS, _VOTES, taste)
    counts = PairCounts.from_codes(_NAMES, votes.a, votes.b, votes.outcome)
    board, fitted = compute_leaderboard(counts), fit(counts)
    scores = sum_voter_scores(fitted, _NAMES, VoterBattles(votes.voter + 1, votes.a, votes.b, votes.outcome))
    found = voter_intervals(board, fitted, counts, scores)
    true = truth[[_NAMES.index(name) for name in board.models]]
    counted, clustered = (((one.lower <= true) & (true <= one.upper)).mean() for one in (board, found))
    return np.array([counted, clustered, ((found.upper - found.lower) / (board.upper - board.lower)).mean()])
