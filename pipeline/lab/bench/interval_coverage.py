"""Measures the coverage of 95% intervals of ratings by simulation, for models with few and with many votes.

The simulated board has the real board's 129 models, pairs and numbers of votes, with its ratings as true strengths. A
third of the votes are ties. Every tenth model is treated as new: only 200 to 1,000 of its votes are kept. Each round
draws all votes and fits them. Two kinds of intervals are compared: this project's sandwich intervals, and those of a
package that adds 1e-5 of all votes to the diagonal of the information matrix. The latter are too short for models with
few votes.

The coverage over R rounds of m models has a Monte Carlo error of about √(0.05 · 0.95 / (R m)): 0.2 percentage points
for 1,000 rounds of 13 models.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.errors import RatingError
from pipeline.lab.simulate.pair_rates import real_counts
from pipeline.ratings import PairCounts, fit
from pipeline.vocabulary.arrays import Float64
from pipeline.vocabulary.z_values import Z_95

# Votes of the new models, evenly spaced between these.
_NEW = (200, 1000)
_EVERY = 10
_RIDGE = 1e-5
BANDS = ((0, 1_000), (1_000, 10_000), (10_000, 10**9))


@dataclass(frozen=True, slots=True)
class CoverageBand:
    """The coverage of 95% intervals for the models whose numbers of votes lie in one range.

    Attributes:
        low: least number of votes of these models.
        high: upper end of the range; these models have fewer votes.
        models: number of these models.
        exact: coverage of this project's intervals, from 0 to 1.
        ridge: coverage of the other package's intervals, from 0 to 1.
    """

    low: int
    high: int
    models: int
    exact: float
    ridge: float

    @property
    def passed(self) -> bool:
        """Whether the coverage of this project's intervals is between 94% and 96%."""
        return 0.94 <= self.exact <= 0.96


def simulate_coverage(
    rounds: int = 1000, seed: int = 0, step: Callable[[], None] | None = None
) -> tuple[CoverageBand, ...]:
    """Simulate boards, and return the coverage by number of votes, fewest votes first.

    Args:
        rounds: number of boards.
        seed: seed of the simulation.
        step: called without arguments after each board, to show progress.
    """
    design, theta = _design()
    rng = np.random.default_rng(seed)
    shares = _shares(design, theta)
    votes = design.table().sum(axis=1)
    covered, counted = np.zeros((2, len(theta))), 0
    for _ in range(rounds):
        drawn = rng.multinomial(votes, shares)
        counts = PairCounts.from_rows(design.models, design.a, design.b, np.c_[drawn, np.zeros_like(votes)])
        try:
            fitted = fit(counts)
        except RatingError:
            continue  # a new model without a win has no interval; rare with 200 votes
        counted += 1
        off = np.abs(fitted.theta - theta)
        ridge = np.linalg.inv(fitted.hessian + _RIDGE * votes.sum() * np.eye(len(theta)))
        scatter = fitted.hessian @ fitted.covariance @ fitted.hessian
        for row, V in enumerate((fitted.covariance, ridge @ scatter @ ridge)):
            covered[row] += off <= Z_95 * np.sqrt(np.maximum(np.diag(V), 0.0))
        if step is not None:
            step()
    return tuple(_band(design, covered / max(counted, 1), low, high) for low, high in BANDS)


def _band(design: PairCounts, shares: Float64, low: int, high: int) -> CoverageBand:
    battles = design.battles_per_model()
    chosen = (battles >= low) & (battles < high)
    exact, ridge = (float(row[chosen].mean()) for row in shares)
    return CoverageBand(low, high, int(chosen.sum()), exact, ridge)


def _design() -> tuple[PairCounts, Float64]:
    """Return the board that is simulated: the real pair counts, with fewer votes on new models, and the true strengths.

    The strengths, float64[K] in logits, are those of the real board.
    """
    counts = real_counts()
    theta = fit(counts).theta
    battles = counts.battles_per_model()
    new = np.arange(0, len(theta), _EVERY)
    keep = np.ones(len(theta))
    keep[new] = np.linspace(*_NEW, len(new)) / battles[new]
    table = counts.table() * np.minimum(keep[counts.a], keep[counts.b])[:, None]
    return PairCounts.from_rows(counts.models, counts.a, counts.b, np.rint(table).astype(np.int64)), theta


def _shares(design: PairCounts, theta: Float64) -> Float64:
    """Return P(a wins), P(b wins) and P(tie) for each of the P pairs in `design`, float64[P, 3].

    `theta`, float64[K], are the true strengths. The simulation counts a tie as half a win.
    """
    p = 1 / (1 + np.exp(theta[design.b] - theta[design.a]))
    tie = 0.8 * np.minimum(p, 1 - p)
    return np.stack([p - tie / 2, 1 - p - tie / 2, tie], axis=1)
