"""Measures the coverage of intervals for the quality of the best of N variants, for several N.

The true qualities of N variants are normal with the standard deviation τ, one of several fixed values. The scores of
the variants have the standard error 6.3 points, and the variant with the best score is selected. Two kinds of 95%
intervals for the true quality of this variant are measured. `best_of_n_interval` uses its score and N,
`family_intervals` uses all N scores. Neither knows τ.

Two more figures are measured for comparison. The first is the coverage of the uncorrected interval, the score ± 1.96
standard errors. The second is the share of rounds in which the true quality lies between the bounds for an undisclosed
N (`undisclosed_bounds`), widened by 1.96 standard errors on both sides.

The coverage over R rounds has a Monte Carlo error of about √(0.05 · 0.95 / R). This is 0.3 percentage points for 5,000
rounds, and 0.7 for 1,000 rounds. For intervals from all scores, at most 1,000 rounds are run.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.ratings.selection_intervals import best_of_n_interval, family_intervals, undisclosed_bounds
from pipeline.vocabulary.arrays import Float64
from pipeline.vocabulary.z_values import Z_95

FAMILY_SIZES, SPREADS, SE = (3, 10, 27, 50), (0.0, 5.0, 10.0, 65.0), 6.3
LEAST_COVERAGE = 0.90
# Intervals from all scores are slower: a millisecond each.
_MOST_FAMILIES = 1_000


@dataclass(frozen=True, slots=True)
class SelectionCoverage:
    """The coverage of 95% intervals of the selected variant's true quality, for one N and one τ.

    A coverage is the share of rounds, from 0 to 1, in which the interval contains the true quality.

    Attributes:
        n: number of variants.
        tau: standard deviation of the true qualities, in points.
        uncorrected: coverage of the uncorrected interval, the score ± 1.96 standard errors.
        disclosed: coverage of `best_of_n_interval`.
        family: coverage of `family_intervals`.
        bounds: share of rounds in which the true quality lies between the bounds for an undisclosed N, widened by 1.96
            standard errors on both sides.
        width: width of `best_of_n_interval`, divided by the width of the uncorrected interval.
    """

    n: int
    tau: float
    uncorrected: float
    disclosed: float
    family: float
    bounds: float
    width: float

    @property
    def passed(self) -> bool:
        """Whether `disclosed` and `family` reach LEAST_COVERAGE."""
        return min(self.disclosed, self.family) >= LEAST_COVERAGE


def simulate_selection(
    rounds: int = 5_000, seed: int = 0, step: Callable[[], None] | None = None
) -> tuple[SelectionCoverage, ...]:
    """Simulate families for each N and τ, and return the coverage of each.

    Args:
        rounds: number of families for each N and τ.
        seed: seed of the simulation.
        step: called after each N and τ.
    """
    rng = np.random.default_rng(seed)
    found = []
    for n in FAMILY_SIZES:
        for tau in SPREADS:
            found.append(_coverage(rng, rounds, n, tau))
            if step is not None:
                step()
    return tuple(found)


def _coverage(rng: np.random.Generator, rounds: int, n: int, tau: float) -> SelectionCoverage:
    true = tau * rng.standard_normal((rounds, n))
    seen = true + SE * rng.standard_normal((rounds, n))
    rows, best = np.arange(rounds), seen.argmax(axis=1)
    quality, score = true[rows, best], seen[rows, best]
    one, (low, high) = best_of_n_interval(0.0, n, SE), undisclosed_bounds(0.0, n, SE)
    families = [family_intervals(row, np.full(n, SE)) for row in seen[:_MOST_FAMILIES]]
    lower = np.array([each.lower[k] for each, k in zip(families, best, strict=False)])
    upper = np.array([each.upper[k] for each, k in zip(families, best, strict=False)])
    half = Z_95 * SE
    return SelectionCoverage(
        n,
        tau,
        _share(score - half, quality, score + half),
        _share(score + one.lower, quality, score + one.upper),
        _share(lower, quality[: len(lower)], upper),
        _share(score + low - half, quality, score + high + half),
        (one.upper - one.lower) / (2 * half),
    )


def _share(lower: Float64, value: Float64, upper: Float64) -> float:
    return float(((lower <= value) & (value <= upper)).mean())
