"""Swapped outcomes: exact without taste, a slow loop, a golden value, and honest voters with tastes."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipeline.evidence import Reference
from pipeline.evidence.cell_counts import VoterCells, count_cells
from pipeline.evidence.swapped_outcomes import MOST_SWAPPED, swapped_bounds, swapped_log_ratio
from pipeline.evidence.taste import Taste


def board(theta: list[float] | np.ndarray, taste: float = 0.0, error: float = 0.0) -> Reference:
    """A board whose ratings have independent errors."""
    k = len(theta)
    spread = Taste(taste, 0.0, 0.3, k)
    return Reference(1, np.arange(k), np.array(theta), np.eye(k) * error**2, 0.3, (3.0, 7.0), spread)


def cells_of(a: np.ndarray, b: np.ndarray, outcome: np.ndarray, reference: Reference) -> VoterCells:
    return count_cells(np.zeros(len(a), dtype=np.int64), a, b, outcome.astype(np.int8), reference)


def slow_swapped(cells: VoterCells, reference: Reference) -> float:
    """The logarithm, one model at a time."""
    mean = sum(reference.theta.tolist()) / len(reference.theta)
    models = []
    for c, place in enumerate(cells.key.tolist()):
        wins, losses, high, against = (
            int(getattr(cells.counts, name)[c]) for name in ("wins", "losses", "high", "against")
        )
        n = wins + losses
        if not n:
            continue
        largest = high / 65536 / n
        smallest = min(max(1 - against / 65536 / n, 1e-9), 1 - 1e-9)
        largest = min(max(largest, smallest), 1 - 1e-9)
        logit = (math.log(largest / (1 - largest)) + math.log(smallest / (1 - smallest))) / 2
        more = n - 2 * n / (1 + math.exp(-logit))
        models.append((place, float(reference.theta[place]) - mean, losses - wins, more))
    usual = -sum(theta * more for _, theta, _, more in models)
    if usual <= 0:
        return -math.inf
    swapped = sum(theta * found for _, theta, found, _ in models)
    variance = 0.0
    for one, _, _, more in models:
        for other, _, _, much in models:
            same = reference.taste.upper**2 if one == other else 0.0
            variance += more * much * (same + float(reference.covariance[one, other]))
    return float(min(usual / (usual + variance / 2) * swapped, MOST_SWAPPED))


def test_without_taste_it_is_the_likelihood_ratio_of_swapped_outcomes_whose_expectation_is_one() -> None:
    reference = board([1.2, 0.4, -0.5, -1.1])
    a, b = np.array([0, 1, 2, 0, 1]), np.array([1, 2, 3, 3, 3])
    difference = reference.theta[a] - reference.theta[b]
    total = 0.0
    for wins in product((0, 1), repeat=len(a)):
        won = np.array(wins) == 1
        chance = float(np.where(won, expit(difference), expit(-difference)).prod())
        found = cells_of(a, b, np.where(won, 0, 1), reference)
        log = swapped_log_ratio(found.key, found.counts, reference)
        assert log == pytest.approx(float(np.where(won, -difference, difference).sum()), abs=1e-3)
        total += chance * math.exp(log)
    assert total == pytest.approx(1, abs=2e-3)


def test_a_golden_value_and_the_reference_that_lacks_a_model() -> None:
    reference = board([1.0, 0.0, -1.0], taste=0.3, error=0.1)
    a, b = np.tile([0, 0, 1], 8), np.tile([1, 2, 2], 8)
    found = cells_of(a, b, np.ones(24), reference)
    assert swapped_log_ratio(found.key, found.counts, reference) == MOST_SWAPPED  # T = 8 · (1 + 2 + 1) = 32
    few = cells_of(a[:6], b[:6], np.ones(6), reference)
    log = swapped_log_ratio(few.key, few.counts, reference)
    # By hand: T = 8, G = ∓2 (tanh ½ + tanh 1) = 2.4474 for the outer models, D = 2 · 2.4474, Q = 2 · 2.4474² · .1.
    assert log == pytest.approx(8 / (1 + 2 * 2.4474**2 * 0.1 / (2 * 2 * 2.4474)), abs=0.02)
    assert log == pytest.approx(7.1274087, abs=1e-6)
    lacking = np.where(few.key == 2, -1, few.key)
    assert swapped_log_ratio(lacking, few.counts, reference) == -math.inf
    assert swapped_log_ratio(few.key, few.counts, board([0.0, 0.0, 0.0])) == -math.inf


@given(st.integers(0, 10**6), st.integers(1, 60), st.floats(0, 1.2), st.floats(0, 0.6))
@settings(max_examples=60, deadline=None)
def test_it_is_what_a_slow_loop_finds_and_the_bound_is_above_it(seed: int, n: int, taste: float, error: float) -> None:
    rng = np.random.default_rng(seed)
    reference = board(rng.normal(0, 0.7, 7), taste, error)
    a = rng.integers(0, 7, n)
    b = (a + rng.integers(1, 7, n)) % 7
    found = cells_of(a, b, rng.integers(0, 3, n), reference)
    log = swapped_log_ratio(found.key, found.counts, reference)
    assert log == pytest.approx(slow_swapped(found, reference), rel=1e-9, abs=1e-9)
    group = np.zeros(len(found.key), dtype=np.int64)
    (bound,) = swapped_bounds(group, found.key, found.counts, reference, 1)
    assert log <= bound + 1e-9
    assert 0 <= bound <= MOST_SWAPPED


@pytest.mark.parametrize(("models", "votes"), [(8, 60), (20, 200)])
@pytest.mark.parametrize(("taste", "error"), [(0.15, 0.1), (0.4, 0.2), (1.0, 0.1)])
def test_honest_voters_with_tastes_and_rating_errors_stay_below_the_levels(
    models: int, votes: int, taste: float, error: float
) -> None:
    rng = np.random.default_rng(5)
    theta = rng.normal(0, 0.4, models)
    reference = board(theta, taste, error)
    logs = np.empty(1500)
    for v in range(len(logs)):
        a = rng.integers(0, models, votes)
        b = (a + rng.integers(1, models, votes)) % models
        own = theta + rng.normal(0, math.hypot(taste, error), models)
        won = rng.random(votes) < expit(own[a] - own[b])
        found = cells_of(a, b, np.where(won, 0, 1), reference)
        logs[v] = swapped_log_ratio(found.key, found.counts, reference)
    e = np.exp(logs)
    assert e.mean() <= 1 + 3 * e.std() / math.sqrt(len(e))
    for level in (1.0, 3.0):
        assert (logs >= level).mean() <= math.exp(-level)


def test_a_voter_who_swaps_honest_outcomes_is_found() -> None:
    rng = np.random.default_rng(3)
    theta = rng.normal(0, 0.6, 12)
    reference = board(theta, 0.25, 0.1)
    a = rng.integers(0, 12, 100)
    b = (a + rng.integers(1, 12, 100)) % 12
    honest = rng.random(100) < expit(theta[a] - theta[b])
    for won, low, high in ((~honest, 7.0, MOST_SWAPPED), (honest, -math.inf, 0.0)):
        found = cells_of(a, b, np.where(won, 0, 1), reference)
        assert low <= swapped_log_ratio(found.key, found.counts, reference) <= high
