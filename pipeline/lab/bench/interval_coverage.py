"""Do 95% intervals hold the truth 95% of the time, for new models as well as for big ones?

The board is the real one: its 129 models, their exact ratings as the truth, its pairs and numbers of votes, and a
third of the votes ties. Every tenth model is made new: its votes are thinned to between 200 and 1,000. Each round
draws the votes anew and fits them. Beside the exact sandwich stands the one of a peer, which adds 1e-5 of all votes
to the diagonal of the information: its intervals are too short just where there are few votes.

A share over R rounds of m models has a Monte Carlo error of about √(.05 · .95 / (R m)): .2 points at 1,000 × 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.errors import RatingError
from pipeline.lab.bench.rating_tables import real_counts
from pipeline.ratings import PairCounts, fit
from pipeline.vocabulary.arrays import Float64
from pipeline.vocabulary.z_values import Z_95

# Votes of the new models, spread evenly from the first to the last.
_NEW = (200, 1000)
_EVERY = 10
_RIDGE = 1e-5
BANDS = ((0, 1_000), (1_000, 10_000), (10_000, 10**9))


@dataclass(frozen=True, slots=True)
class CoverageBand:
    """Models by number of votes.

    Attributes:
        low, high: votes, low included.
        models: how many.
        exact: share of our intervals that held the truth.
        ridge: share of a peer's.
    """

    low: int
    high: int
    models: int
    exact: float
    ridge: float

    @property
    def passed(self) -> bool:
        """Between 94% and 96%."""
        return 0.94 <= self.exact <= 0.96


def simulate_coverage(
    rounds: int = 1000, seed: int = 0, step: Callable[[], None] | None = None
) -> tuple[CoverageBand, ...]:
    """Simulate boards and count.

    Args:
        rounds: boards.
        seed: of the draws.
        step: called after each board.

    Returns:
        One band of models after the other, fewest votes first.
    """
    design, theta = _design()
    rng = np.random.default_rng(seed)
    shares = _shares(design, theta)
    votes = design.table().sum(axis=1)
    held, counted = np.zeros((2, len(theta))), 0
    for _ in range(rounds):
        drawn = rng.multinomial(votes, shares)
        counts = PairCounts.from_rows(design.models, design.a, design.b, np.c_[drawn, np.zeros_like(votes)])
        try:
            fitted = fit(counts)
        except RatingError:
            continue  # a new model that won nothing has no interval to judge; with 200 votes there is hardly one
        counted += 1
        off = np.abs(fitted.theta - theta)
        ridge = np.linalg.inv(fitted.hessian + _RIDGE * votes.sum() * np.eye(len(theta)))
        scatter = fitted.hessian @ fitted.covariance @ fitted.hessian
        for row, V in enumerate((fitted.covariance, ridge @ scatter @ ridge)):
            held[row] += off <= Z_95 * np.sqrt(np.maximum(np.diag(V), 0.0))
        if step is not None:
            step()
    return tuple(_band(design, held / max(counted, 1), low, high) for low, high in BANDS)


def _band(design: PairCounts, shares: Float64, low: int, high: int) -> CoverageBand:
    battles = design.battles_per_model()
    chosen = (battles >= low) & (battles < high)
    exact, ridge = (float(row[chosen].mean()) for row in shares)
    return CoverageBand(low, high, int(chosen.sum()), exact, ridge)


def _design() -> tuple[PairCounts, Float64]:
    """The pairs and their numbers of votes, and the true θ."""
    counts = real_counts()
    theta = fit(counts).theta
    battles = counts.battles_per_model()
    new = np.arange(0, len(theta), _EVERY)
    keep = np.ones(len(theta))
    keep[new] = np.linspace(*_NEW, len(new)) / battles[new]
    table = counts.table() * np.minimum(keep[counts.a], keep[counts.b])[:, None]
    return PairCounts.from_rows(counts.models, counts.a, counts.b, np.rint(table).astype(np.int64)), theta


def _shares(design: PairCounts, theta: Float64) -> Float64:
    """float64[P, 3]: a wins, b wins, tie; the expectation of a win is the model's."""
    p = 1 / (1 + np.exp(theta[design.b] - theta[design.a]))
    tie = 0.8 * np.minimum(p, 1 - p)
    return np.stack([p - tie / 2, 1 - p - tie / 2, tie], axis=1)
