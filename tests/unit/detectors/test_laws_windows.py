"""The laws of window detectors, run over every listed one, so a new detector is tested once it is listed.

The laws stand in the docstring of `WindowDetector` (pipeline/scoring/signals.py).
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from pipeline.detectors import WINDOW
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.registry import RegistryState
from pipeline.scoring.detector_contracts import WindowContext, WindowDetector, WindowState
from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal, Signal
from pipeline.scoring.window import Window
from pipeline.vocabulary.packing import pack_arrays, unpack_arrays

# Each detector's own tests count its lines; to count them again in a hundred thousand windows takes half the time.
pytestmark = pytest.mark.no_cover

every_detector = pytest.mark.parametrize("detector", WINDOW, ids=lambda d: d.name)

SimulatedStream = list[tuple[Window, WindowContext]]


@cache
def stream(board_days: float, seed: int, attacked: bool) -> SimulatedStream:
    """Windows of a small board, with every fault that a window detector detects or with none."""
    board = SimulatedBoard(
        days=board_days, votes=30, seed=seed, models=12, providers=4, effects=wrong(board_days) * attacked
    )
    windows = [(window, board.context(i)) for i, window in enumerate(board.windows())]
    if not attacked:
        return windows
    # From the last quarter on the registry has forgotten a model.
    late = len(windows) * 3 // 4
    return windows[:late] + [(w, replace(c, registry=without(c.registry, "m002"))) for w, c in windows[late:]]


def wrong(days: float) -> list[WindowEffect]:
    end = round(days * 288)
    return [
        WindowEffect(first=end // 4, end=end, sampling={"m003": 4.0}),
        WindowEffect(first=end // 2, end=end, sampling={"m005": 0.0}),
        WindowEffect(first=end * 3 // 5, end=end - 240, target="m007", votes=6.0, prompt=77),
        WindowEffect(first=end - 240, end=end - 120, traffic=8.0),
        WindowEffect(first=end - 120, end=end, traffic=0.0),
    ]


def without(registry: RegistryState, name: str) -> RegistryState:
    return replace(registry, models={k: m for k, m in registry.models.items() if k != name})


def frozen(state: WindowState) -> WindowState:
    """A read-only state."""
    arrays = {name: np.array(values) for name, values in state.items()}
    for values in arrays.values():
        values.setflags(write=False)
    return arrays


def run(detector: WindowDetector, windows: SimulatedStream) -> tuple[WindowState, list[Signal]]:
    """The state at the end, and all signals."""
    state, output = run_each(detector, windows, {})
    return state, [one for signals in output for one in signals]


def run_each(
    detector: WindowDetector, windows: SimulatedStream, state: Mapping[str, Any]
) -> tuple[WindowState, list[list[Signal]]]:
    """The state at the end, and the signals of each window."""
    now: WindowState = dict(state)
    output: list[list[Signal]] = []
    for window, context in windows:
        now, more = detector.observe(window, now, context)
        output.append(list(more))
    return now, output


@cache
def whole(name: str, days: float, seed: int, attacked: bool) -> tuple[WindowState, list[list[Signal]]]:
    """The state and the signals after a whole stream; several laws use it, so it runs once."""
    return run_each(next(d for d in WINDOW if d.name == name), stream(days, seed, attacked), {})


def alerts(output: list[list[Signal]]) -> list[AlertSignal]:
    return [one for signals in output for one in signals if isinstance(one, AlertSignal)]


def same(one: WindowState, other: WindowState) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


@pytest.mark.long
@every_detector
def test_a_state_that_went_through_bytes_gives_the_same_to_the_bit(detector: WindowDetector) -> None:
    """Every 37 windows, at other places within an hour and a day."""
    windows = stream(4.5, 1, True)
    state: WindowState = {}
    output: list[list[Signal]] = []
    other = copy.deepcopy(detector)
    for first in range(0, len(windows), 37):
        state, more = run_each(other, windows[first : first + 37], unpack_arrays(pack_arrays(state)))
        output += more
    final, expected = whole(detector.name, 4.5, 1, True)
    assert output == expected
    assert same(state, final)


@pytest.mark.long
@every_detector
def test_the_same_windows_give_the_same_alerts_and_nothing_else_changes(detector: WindowDetector) -> None:
    """Neither the detector nor its input, which cannot be written to."""
    windows, state, shown = stream(4.5, 1, True), frozen({}), repr(detector)
    output: list[list[Signal]] = []
    for window, context in windows:
        window.totals.setflags(write=False)
        for cells in (window.cohorts, window.networks, window.prompts):
            cells.counts.setflags(write=False)
        made, signals = detector.observe(window, state, context)
        state = frozen(made)
        output.append(list(signals))
    assert repr(detector) == shown
    final, again = whole(detector.name, 4.5, 1, True)
    assert same(state, final)
    assert output == again
    assert [one.alert_id for one in alerts(output)] == [one.alert_id for one in alerts(again)]


@every_detector
@pytest.mark.long
def test_everything_that_is_wrong_is_not_missed(detector: WindowDetector) -> None:
    # A detector that never alerts would pass the tests on clean data.
    _, output = whole(detector.name, 4.5, 1, True)
    assert alerts(output)


@pytest.mark.long
@every_detector
@pytest.mark.parametrize("seed", [3, 4])
def test_on_clean_data_it_is_quiet(detector: WindowDetector, seed: int) -> None:
    # At most one false alarm a month is promised, so half a one in eight days of two boards.
    _, output = whole(detector.name, 8, seed, False)
    assert not any(output)


@every_detector
def test_windows_without_votes_say_nothing_before_there_is_a_baseline(detector: WindowDetector) -> None:
    silence = SimulatedBoard(days=2, votes=0.0, seed=1, models=12)
    _, output = run(detector, [(w, silence.context(i)) for i, w in enumerate(silence.windows())])
    assert output == []


@pytest.mark.long
@every_detector
def test_a_signal_has_a_place_a_level_and_evidence(detector: WindowDetector) -> None:
    windows, (_, output) = stream(4.5, 1, True), whole(detector.name, 4.5, 1, True)
    open_alerts: dict[tuple[str, str], int] = {}
    for (window, _), signals in zip(windows, output, strict=True):
        for one in signals:
            key = (one.subject, one.direction)
            assert one.detector == detector.name
            if isinstance(one, ClearedSignal):
                assert open_alerts.pop(key)  # only what is open is cleared
                assert one.reason
                continue
            assert (one.partition, one.offset, one.at) == (NO_PARTITION, window.start, window.end)
            assert one.subject_kind in {"model", "provider", "network", "board"}
            assert open_alerts.get(key, 0) < one.level
            assert one.severity == ("critical" if one.level > 1 else "warning")
            assert one.e_value is None or one.e_value > 1
            assert one.evidence["what"]
            first, end = one.evidence["window"]
            assert first < end <= window.end
            open_alerts[key] = one.level


@every_detector
@pytest.mark.long
def test_a_state_costs_a_bounded_number_of_bytes_a_key(detector: WindowDetector) -> None:
    # 12 models, 4 providers and 300 networks, each with 24 hours, or 52 days, or eight log-ratios of its own.
    # cohort_bias follows up to 4,000 pairs of a model and a network, and as many of a model and a prompt.
    keys, each = (2 * 4_000, 256) if detector.name == "cohort_bias" else (3 * (12 + 4 + 300), 700)
    early, late = whole(detector.name, 4.5, 1, True)[0], whole(detector.name, 8, 3, False)[0]
    for state in (early, late):
        assert sum(values.nbytes for values in state.values()) <= keys * each
        assert len(pack_arrays(state)) <= max(256 * 1024, keys * 100)


@pytest.mark.long
@every_detector
def test_more_false_alarms_allowed_never_means_fewer_alerts(detector: WindowDetector) -> None:
    windows = stream(4.5, 1, True)
    strict = run_each(detector, [(w, replace(c, false_alarms=0.01)) for w, c in windows], {})[1]
    usual = whole(detector.name, 4.5, 1, True)[1]

    def first_of_each(output: list[list[Signal]]) -> dict[tuple[str, str], int]:
        first: dict[tuple[str, str], int] = {}
        for one in alerts(output):
            first.setdefault((one.subject, one.direction), one.offset)
        return first

    early, careful = first_of_each(usual), first_of_each(strict)
    assert careful.keys() <= early.keys()
    assert all(early[key] <= careful[key] for key in careful)
