"""E-detectors: the recursion against its definition, and how long they stay silent."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evidence import LOG_UNIT, changes, counts, log_units

steps = st.lists(st.floats(-4, 4), min_size=1, max_size=30)


def follow(step: object, ratios: list[float]) -> list[int]:
    state, path = np.array([changes.NOTHING]), []
    for ratio in ratios:
        state = step(state, log_units(np.array([ratio])))  # type: ignore[operator]
        path.append(int(state[0]))
    return path


@given(steps)
@settings(deadline=None)
def test_shiryaev_roberts_is_the_sum_over_all_starts_and_cusum_the_largest(ratios: list[float]) -> None:
    summed, largest = follow(changes.shiryaev_roberts, ratios), follow(changes.cusum, ratios)
    for t in range(1, len(ratios) + 1):
        starts = [math.fsum(ratios[s:t]) for s in range(t)]
        slow_sum, slow_max = math.log(sum(math.exp(s) for s in starts)), max(starts)
        for found, slow in ((summed[t - 1], slow_sum), (largest[t - 1], slow_max)):
            # A step rounds down by less than two units, and errors shrink or stay.
            assert slow - 2 * t * LOG_UNIT - 1e-9 <= found * LOG_UNIT <= slow + 1e-9
        assert largest[t - 1] <= summed[t - 1] + 2 * t


def test_the_expectation_of_shiryaev_roberts_after_t_steps_is_t() -> None:
    # Exactly, over every path of four windows of three votes (Shin, Ramdas & Rinaldo 2024: E M_t = t).
    share, n = 0.3, 3
    probability = np.array([math.comb(n, x) * share**x * (1 - share) ** (n - x) for x in range(n + 1)])
    ratio = counts.binomial(np.arange(n + 1), n, share, 2.0)
    state, weight = np.array([changes.NOTHING]), np.ones(1)
    for t in range(1, 5):
        state = changes.shiryaev_roberts(state[:, None], ratio[None, :]).ravel()
        weight = (weight[:, None] * probability).ravel()
        mean = float((np.exp(state * LOG_UNIT) * weight).sum())
        assert t - 1e-4 < mean <= t


def test_the_average_time_to_a_false_alarm_is_at_least_the_threshold() -> None:
    # 400 keys, M ≥ 50: an alarm in 50 steps at most, on average. Three standard errors of 400 runs are .15.
    rng = np.random.default_rng(4)
    times = []
    for step in (changes.shiryaev_roberts, changes.cusum):
        state, alarm = np.full((400, 5), changes.NOTHING), np.zeros(400)
        for t in range(1, 2001):
            x = rng.poisson(8.0, 400)
            state = step(state, counts.poisson(x[:, None], 8.0, counts.RATIOS))
            over = changes.log_mixture(state, np.full(5, 0.2)) * LOG_UNIT >= math.log(50)
            alarm[(alarm == 0) & over] = t
        times.append(np.where(alarm == 0, 2001, alarm).mean())
    assert times[0] >= 50 * 0.85
    assert times[1] >= times[0]


def test_a_change_is_told_soon_and_forgotten_after_it_is_over() -> None:
    state = np.full((1, 5), changes.NOTHING)
    path = []
    for t in range(400):
        x = 24 if 100 <= t < 130 else 8
        state = changes.shiryaev_roberts(state, counts.poisson(x, 8.0, counts.RATIOS).reshape(1, 5))
        path.append(changes.to_value(int(changes.log_mixture(state, np.full(5, 0.2))[0])))
    assert max(path[:100]) < 20
    assert path[101] > 1e4
    assert max(path) <= 1e18
    assert path[-1] < 20


@given(st.lists(st.integers(changes.NOTHING, changes.CAP), min_size=1, max_size=6))
def test_a_mixture_lies_below_its_largest_part_and_is_rounded_down(parts: list[int]) -> None:
    weights = np.full(len(parts), 1 / len(parts))
    mixed = int(changes.log_mixture(np.array(parts), weights))
    assert mixed <= max(parts)
    assert mixed >= max(changes.NOTHING, max(parts) - math.ceil(math.log(len(parts)) / LOG_UNIT) - 1)


def test_evidence_never_grows_beyond_its_cap() -> None:
    state = np.array([changes.NOTHING])
    for _ in range(100):
        state = changes.shiryaev_roberts(state, log_units(np.array([5.0])))
    assert int(state[0]) == changes.CAP
    assert changes.to_value(changes.NOTHING) == 0
