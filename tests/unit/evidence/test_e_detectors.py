"""E-detectors: the recursion against its definition, and how long they stay silent."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evidence import LOG_UNIT, count_likelihoods, e_detectors, to_log_units
from pipeline.evidence.fixed_point import from_log_units

steps = st.lists(st.floats(-4, 4), min_size=1, max_size=30)


def follow(ratios: list[float]) -> list[int]:
    state, path = np.array([e_detectors.LOG_ZERO]), []
    for ratio in ratios:
        state = e_detectors.shiryaev_roberts(state, to_log_units(np.array([ratio])))
        path.append(int(state[0]))
    return path


def ratios_of(x: object) -> np.ndarray:
    """Log-ratios of counts that have mean 8."""
    return count_likelihoods.negative_binomial(x, 8.0, count_likelihoods.RISE_RATIOS, 20.0)  # type: ignore[arg-type]


@given(steps)
@settings(deadline=None)
def test_shiryaev_roberts_is_the_sum_over_all_starts(ratios: list[float]) -> None:
    for t, found in enumerate(follow(ratios), start=1):
        slow = math.log(sum(math.exp(math.fsum(ratios[s:t])) for s in range(t)))
        # A step rounds down by less than two units, and errors shrink or stay.
        assert slow - 2 * t * LOG_UNIT - 1e-9 <= found * LOG_UNIT <= slow + 1e-9


def test_the_expectation_of_shiryaev_roberts_after_t_steps_is_t() -> None:
    # Exactly, over every path of four windows of three votes (Shin, Ramdas & Rinaldo 2024: E M_t = t).
    share, n = 0.3, 3
    probability = np.array([math.comb(n, x) * share**x * (1 - share) ** (n - x) for x in range(n + 1)])
    ratio = count_likelihoods.binomial(np.arange(n + 1), n, share, 2.0)
    state, weight = np.array([e_detectors.LOG_ZERO]), np.ones(1)
    for t in range(1, 5):
        state = e_detectors.shiryaev_roberts(state[:, None], ratio[None, :]).ravel()
        weight = (weight[:, None] * probability).ravel()
        mean = float((np.exp(state * LOG_UNIT) * weight).sum())
        assert t - 1e-4 < mean <= t


def test_the_average_time_to_a_false_alarm_is_at_least_the_threshold() -> None:
    # 400 keys, M ≥ 50: an alarm in 50 steps at most, on average. Three standard errors of 400 runs are .15.
    rng = np.random.default_rng(4)
    state, alarm = np.full((400, 5), e_detectors.LOG_ZERO), np.zeros(400)
    for t in range(1, 2001):
        x = rng.negative_binomial(20, 20 / 28, 400)  # mean 8
        state = e_detectors.shiryaev_roberts(state, ratios_of(x[:, None]))
        over = e_detectors.log_mixture(state, np.full(5, 0.2)) * LOG_UNIT >= math.log(50)
        alarm[(alarm == 0) & over] = t
    assert np.where(alarm == 0, 2001, alarm).mean() >= 50 * 0.85


def test_a_change_is_found_soon_and_forgotten_after_it_ends() -> None:
    state = np.full((1, 5), e_detectors.LOG_ZERO)
    path = []
    for t in range(400):
        x = 24 if 100 <= t < 130 else 8
        state = e_detectors.shiryaev_roberts(state, ratios_of(x).reshape(1, 5))
        path.append(from_log_units(int(e_detectors.log_mixture(state, np.full(5, 0.2))[0])))
    assert max(path[:100]) < 20
    assert path[101] > 1e4
    assert max(path) <= 1e18
    assert path[-1] < 20


@given(st.lists(st.integers(e_detectors.LOG_ZERO, e_detectors.MAX_LOG_M), min_size=1, max_size=6))
def test_a_mixture_lies_below_its_largest_part_and_is_rounded_down(parts: list[int]) -> None:
    weights = np.full(len(parts), 1 / len(parts))
    mixed = int(e_detectors.log_mixture(np.array(parts), weights))
    assert mixed <= max(parts)
    assert mixed >= max(e_detectors.LOG_ZERO, max(parts) - math.ceil(math.log(len(parts)) / LOG_UNIT) - 1)


def test_evidence_never_grows_beyond_its_cap() -> None:
    state = np.array([e_detectors.LOG_ZERO])
    for _ in range(100):
        state = e_detectors.shiryaev_roberts(state, to_log_units(np.array([5.0])))
    assert int(state[0]) == e_detectors.MAX_LOG_M
    assert from_log_units(e_detectors.LOG_ZERO) == 0
