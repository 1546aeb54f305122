"""Every window detector emits the signals of a slow loop written from its docstring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from pipeline.detectors.window.cohort_bias import CohortBias
from pipeline.detectors.window.sampling_skew import SamplingSkew
from pipeline.detectors.window.silent_deprecation import SilentDeprecation
from pipeline.detectors.window.traffic import Traffic, TrafficGap
from pipeline.detectors.window.vote_burst import VoteBurst
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.lab.simulate.voter_population import NETWORKS
from pipeline.registry import RegistryState
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ClearedSignal
from pipeline.scoring.window import MEASURES, GroupedModelCounts, Window
from tests.unit.detectors import slow_windows as slow
from tests.unit.detectors.slow_windows import HOUR

SimulatedStream = list[tuple[Window, WindowContext]]
WIDTH = HOUR // 12
MONDAY = int(datetime(2024, 7, 1, tzinfo=UTC).timestamp()) * 1_000_000
NOBODY = GroupedModelCounts((), (), np.zeros((0, len(MEASURES)), dtype=np.int64))


def plain(window: int, votes: int, **models: tuple[int, int]) -> Window:
    """A window with so many votes, and of each model its appearances and its chosen sides."""
    names = sorted(models)
    totals = np.zeros((len(names), len(MEASURES)), dtype=np.int64)
    for row, name in enumerate(names):
        totals[row, :2] = models[name]
    start = MONDAY + window * WIDTH
    return Window(start, start + WIDTH, votes, 0, tuple(names), totals, NOBODY, NOBODY, NOBODY, {})


def signals_of(detector: Any, stream: SimulatedStream) -> list[slow.SlowSignal]:
    state: WindowState = {}
    found = []
    for window, context in stream:
        state, signals = detector.observe(window, state, context)
        for one in signals:
            if isinstance(one, ClearedSignal):
                found.append(slow.SlowSignal(one.at, "", one.subject, one.direction, 0))
            else:
                assert one.severity == ("critical" if one.level > 1 else "warning")
                found.append(
                    slow.SlowSignal(
                        one.at, one.subject_kind, one.subject, one.direction, one.level, one.e_value, dict(one.evidence)
                    )
                )
    return found


def check(detector: Any, again: Any, stream: SimulatedStream) -> list[slow.SlowSignal]:
    """Assert equal signals, and equal figures where the slow one has them."""
    found = signals_of(detector, stream)
    expected = [one for window, context in stream for one in again.observe(window, context)]
    assert [(s.window, s.kind, s.subject, s.direction, s.level) for s in found] == [
        (s.window, s.kind, s.subject, s.direction, s.level) for s in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.e_value == (None if other.e_value is None else pytest.approx(other.e_value, rel=1e-2))
        for name, value in other.figures.items():
            close = pytest.approx(value, abs=0.11) if isinstance(value, float) else value
            assert one.figures[name] == close, (name, one, other)
    return found


def hourly(votes: Iterable[int], context: WindowContext) -> SimulatedStream:
    """Windows of hours with so many votes each, all but the rest in equal parts."""
    return [
        (plain(12 * hour + k, int(total) // 12 + (k < int(total) % 12)), context)
        for hour, total in enumerate(votes)
        for k in range(12)
    ]


def busy(hours: int, seed: int) -> np.ndarray:
    """A board's hours: a daily rhythm, quieter weekends, gamma shocks of variance .1."""
    rng = np.random.default_rng(seed)
    hour = np.arange(hours)
    usual = 200 * (1 + 0.5 * np.sin(2 * np.pi * hour / 24)) * np.where(hour // 24 % 7 >= 5, 0.8, 1.0)
    return rng.poisson(usual * rng.gamma(10, 0.1, hours))


EMPTY = WindowContext(RegistryState())


@pytest.mark.parametrize(("detector", "sign"), [(Traffic(), 1), (TrafficGap(), -1)])
def test_traffic_is_that_of_a_slow_loop(detector: Any, sign: int) -> None:
    """Five weeks: a short rise and fall on known days, and in known weeks a level that stays and becomes normal."""
    votes = busy(35 * 24, 1)
    votes[5 * 24 : 5 * 24 + 8] = votes[5 * 24 : 5 * 24 + 8] * (4 if sign > 0 else 0)
    votes[18 * 24 : 18 * 24 + 6] = votes[18 * 24 : 18 * 24 + 6] * (3 if sign > 0 else 0.1)
    votes[22 * 24 :] = votes[22 * 24 :] * (2.5 if sign > 0 else 0.4)
    found = check(detector, slow.Traffic(sign), hourly(votes, EMPTY))
    assert max(one.level for one in found) >= 4
    assert sum(one.level == 0 for one in found) >= 2
    assert {one.kind for one in found} == {"board", ""}


@pytest.mark.parametrize(("detector", "sign"), [(Traffic(), 1), (TrafficGap(), -1)])
def test_an_hour_whose_beginning_is_missing_is_skipped(detector: Any, sign: int) -> None:
    votes = busy(9 * 24, 2)
    votes[6 * 24 : 6 * 24 + 10] = votes[6 * 24 : 6 * 24 + 10] * (3 if sign > 0 else 0.2)
    stream = hourly(votes, EMPTY)
    gaps = {5 * 288, 6 * 288 + 3, 6 * 288 + 40, 6 * 288 + 47}
    assert check(detector, slow.Traffic(sign), [one for i, one in enumerate(stream) if i not in gaps])


@pytest.mark.parametrize(("detector", "sign"), [(Traffic(), 1), (TrafficGap(), -1)])
def test_the_week_after_a_release_may_have_three_times_the_votes_and_teaches_nothing(detector: Any, sign: int) -> None:
    votes = busy(20 * 24, 3)
    votes[8 * 24 : 8 * 24 + 5] = votes[8 * 24 : 8 * 24 + 5] * (8 if sign > 0 else 0)
    votes[11 * 24 : 14 * 24] *= 2
    votes[16 * 24 : 16 * 24 + 8] = votes[16 * 24 : 16 * 24 + 8] * (4 if sign > 0 else 0)
    board = SimulatedBoard(days=1, votes=1, seed=1, models=4)
    at = MONDAY + 7 * 24 * HOUR
    known = board.context(0).registry
    out = replace(known, models={**known.models, "m001": replace(known.models["m001"], released_at=at)})
    stream = [
        (window, WindowContext(out if window.start >= at else known)) for window, _ in hourly(votes, EMPTY)
    ]  # fmt: skip
    found = check(detector, slow.Traffic(sign), stream)
    assert {one.window // (24 * HOUR) - MONDAY // (24 * HOUR) for one in found} >= {8, 16}


def test_an_hour_teaches_no_more_than_three_and_no_less_than_a_third() -> None:
    """After extreme hours without an alert the bound moved a little."""
    votes = np.full(12 * 24, 100)
    votes[4 * 24 + 1 :: 24] = 5_000
    votes[4 * 24 + 2 :: 24] = 0
    strict = WindowContext(RegistryState(), False, 1e-300)
    for detector, sign in ((Traffic(), 1), (TrafficGap(), -1)):
        check(detector, slow.Traffic(sign), hourly(votes, strict))
        check(detector, slow.Traffic(sign), hourly(votes, EMPTY))


def board_stream(board: SimulatedBoard, **context: Any) -> SimulatedStream:
    return [(window, replace(board.context(i), **context)) for i, window in enumerate(board.windows())]


@pytest.mark.long
def test_vote_burst_under_a_policy_is_that_of_a_slow_loop() -> None:
    effects = [
        WindowEffect(first=150, end=190, sampling={"m003": 3.0, "m004": 2.0}),
        WindowEffect(first=320, end=340, sampling={"m006": 1.5}, declared=True),
        WindowEffect(first=360, end=372, target="m007", votes=40.0),
    ]
    board = SimulatedBoard(days=1.6, votes=60, seed=4, models=12, providers=4, effects=effects)
    found = check(VoteBurst(), slow.VoteBurst(), board_stream(board))
    assert {one.kind for one in found} == {"model", "provider", "network", ""}
    assert max(one.level for one in found) >= 3


@pytest.mark.long
def test_vote_burst_without_a_policy_learns_shares_as_a_slow_loop_does() -> None:
    effects = [
        WindowEffect(first=300, end=330, sampling={"m003": 4.0, "m007": 4.0, "m011": 4.0}),
        WindowEffect(first=350, end=365, target="m001", votes=30.0),
    ]
    weights = tuple(float(w) for w in range(2, 14))
    board = SimulatedBoard(
        days=1.4, votes=40, seed=5, models=12, providers=4, policy=False, weights=weights, effects=effects
    )  # fmt: skip
    found = check(VoteBurst(), slow.VoteBurst(), board_stream(board))
    assert {one.kind for one in found} == {"model", "provider", "network", ""}


@pytest.mark.long
def test_cohort_bias_is_that_of_a_slow_loop() -> None:
    effects = [
        WindowEffect(first=120, end=150, target="m007", votes=4.0),
        WindowEffect(first=200, end=225, target="m002", votes=4.0, wins=False, cohort=1, prompt=77),
        WindowEffect(first=260, end=290, target="m005", votes=3.0, cohort=0, prompt=5, network=NETWORKS[7]),
        WindowEffect(first=300, end=330, target="m001", votes=2.0, wins=False),
    ]
    board = SimulatedBoard(days=1.5, votes=15, seed=3, models=12, providers=4, effects=effects)
    found = check(CohortBias(), slow.CohortBias(), board_stream(board))
    ways = {one.direction.split()[0] + " " + one.direction.split()[2] for one in found}
    assert ways >= {"promoted new", "demoted new", "promoted network", "demoted network", "demoted prompt"}


@pytest.mark.long
def test_sampling_skew_under_policies_is_that_of_a_slow_loop() -> None:
    effects = [
        WindowEffect(first=0, end=200, sampling={"m005": 2.0}),
        WindowEffect(first=250, end=380, sampling={"m003": 0.0, "m004": 3.0}, declared=True),
        WindowEffect(first=400, end=700, sampling={"m001": 0.4}),
    ]
    board = SimulatedBoard(days=2.5, votes=40, seed=6, models=12, providers=4, effects=effects)
    found = check(SamplingSkew(), slow.SamplingSkew(), board_stream(board))
    assert {one.direction for one in found} >= {
        "more often than declared", "less often than declared", "not as declared",
    }  # fmt: skip
    assert {one.level for one in found} >= {0, 1, 2}


def test_sampling_skew_without_a_policy_expects_equal_shares_within_licence_groups() -> None:
    weights = (1.0,) * 11 + (3.0,)
    board = SimulatedBoard(days=1.2, votes=40, seed=7, models=12, providers=4, policy=False, weights=weights)
    stream = board_stream(board)
    late = [
        (w, replace(c, registry=replace(c.registry, models=with_(c.registry, "m002", deprecated_at=w.start))))
        if i >= 250
        else (w, c)
        for i, (w, c) in enumerate(stream)
    ]
    found = check(SamplingSkew(), slow.SamplingSkew(), late[:260])
    assert any(one.subject == "m011" and one.direction == "more often than declared" for one in found)


def with_(registry: RegistryState, name: str, **values: Any) -> dict[str, Any]:
    return {**registry.models, name: replace(registry.models[name], **values)}


@pytest.mark.long
def test_a_skew_that_ended_is_over_after_a_day_below_one() -> None:
    """A short skew among many fair votes: the evidence falls below 1 and stays there."""
    board = SimulatedBoard(days=1, votes=1, seed=1, models=4)
    registry = board.context(0).registry
    names = sorted(registry.models)
    stream = []
    for i in range(1200):
        models = dict.fromkeys(names, (10, 5))
        if i < 40:
            models = {name: (10, 8 if name == names[0] else 4) for name in names}
        elif i < 140:
            models = {name: (10, 4 if name == names[0] else 5) for name in names}
        stream.append((plain(i, sum(c for _, c in models.values()), **models), WindowContext(registry)))
    found = check(SamplingSkew(), slow.SamplingSkew(), stream)
    assert any(one.subject == names[0] and one.level == 0 for one in found)


def test_silent_deprecation_is_that_of_a_slow_loop() -> None:
    effects = [
        WindowEffect(first=100, end=160, sampling={"m005": 0.0}),
        WindowEffect(first=200, end=230, sampling={"m002": 0.0}, declared=True),
        WindowEffect(first=260, end=300, sampling={"m007": 0.0, "m001": 0.0}),
    ]
    board = SimulatedBoard(days=1.2, votes=30, seed=2, models=12, providers=4, effects=effects)
    found = check(SilentDeprecation(), slow.SilentDeprecation(), board_stream(board))
    assert {one.subject for one in found} >= {"m005", "m007", "m001"}
    assert {one.level for one in found} >= {0, 1, 2}


def test_a_model_with_ten_votes_in_52_days_is_an_alert_until_it_has_eleven() -> None:
    """A window an hour for 130 days; m000 is always there, m001 and m005 have eleven and twelve votes, m003 leaves."""
    registry = SimulatedBoard(days=1, votes=1, seed=1, models=6, policy=False).context(0).registry
    registry = replace(registry, models=with_(registry, "m002", deprecated_at=MONDAY))
    registry = replace(registry, models=with_(registry, "m004", retracted_at=MONDAY))
    stream = []
    for hour in range(130 * 24):
        day, noon = divmod(hour, 24)
        models = {"m000": (2, 1)}
        if noon == 12:
            if day < 11 or 70 <= day < 81:
                models["m001"] = (1, 0)
            if day < 12:
                models["m005"] = (1, 0)
            if day < 60:
                models["m003"] = (1, 1)
            if day in (0, 100):
                models |= {"m002": (1, 0), "m004": (1, 0), "nobody's": (1, 0)}
        stream.append((plain(12 * hour, 5, **models), WindowContext(registry)))
    found = check(SilentDeprecation(), slow.SilentDeprecation(), stream)
    days = [(one.subject, (one.window - MONDAY) // (24 * HOUR), one.level) for one in found]
    # Both are known for 52 days on day 53; ten of m001's votes are of the 52 days before, and eleven of m005's.
    # The eleven of days 70 to 80 are all there on day 81, and ten of them on day 123.
    assert days == [
        ("m001", 53, 1), ("m005", 54, 1), ("m001", 81, 0), ("m003", 102, 1), ("m001", 123, 1),
    ]  # fmt: skip
