"""Closed windows through detectors: each once, in order, however grouped; and how far windows are complete."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.registry import Registry
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import Signal
from pipeline.scoring.window import Window
from pipeline.scoring.window_counter import COLUMNS, WINDOW_WIDTH, WindowCounts
from pipeline.scoring.window_processor import (
    LONGEST_SILENCE,
    EvaluatedWindow,
    FalseAlarmLimits,
    WindowNames,
    run_window_detectors,
    windows_between,
)

NAMES = WindowNames({1: "a"}, {})
WEEK = LONGEST_SILENCE // WINDOW_WIDTH


def part(number: int, accepted: int = 1, partition: int = 1) -> WindowCounts:
    rows = np.zeros((1, len(COLUMNS)), dtype=np.int64)
    rows[0, [2, 3]] = 1, accepted
    return WindowCounts(number * WINDOW_WIDTH, partition, accepted, 0, rows)


def numbers(parts: list[WindowCounts], first: int, end: int, last: int | None) -> list[int]:
    before = None if last is None else last * WINDOW_WIDTH
    return [
        w.start // WINDOW_WIDTH
        for w in windows_between(parts, first * WINDOW_WIDTH, end * WINDOW_WIDTH, before, NAMES, Registry())
    ]


def test_empty_windows_between_votes_are_yielded() -> None:
    assert numbers([part(3), part(6)], 3, 9, None) == [3, 4, 5, 6, 7, 8]


def test_no_window_is_yielded_before_the_first_vote() -> None:
    assert numbers([part(5)], 0, 7, None) == [5, 6]
    assert numbers([], 0, 100, None) == []


def test_after_a_week_of_silence_windows_are_skipped() -> None:
    far = 3 * WEEK
    seen = numbers([part(0), part(far)], 0, far + 2, None)
    assert seen == [*range(WEEK + 1), far, far + 1]


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(0, 5 * WEEK), min_size=1, max_size=6), st.sets(st.integers(1, 5 * WEEK), max_size=4))
def test_the_windows_do_not_depend_on_how_calls_split_the_time(starts: set[int], cuts: set[int]) -> None:
    parts, end = [part(s) for s in sorted(starts)], 5 * WEEK + 10
    whole = numbers(parts, 0, end, None)
    stepped: list[int] = []
    for first, stop in zip([0, *sorted(cuts)], [*sorted(cuts), end], strict=True):
        last = max((s for s in starts if s < first), default=None)
        stepped += numbers([p for p in parts if first <= p.start // WINDOW_WIDTH < stop], first, stop, last)
    assert stepped == whole


def test_partitions_are_merged() -> None:
    found = list(windows_between([part(0, 2, 1), part(0, 3, 2)], 0, WINDOW_WIDTH, None, NAMES, Registry()))
    assert [(w.accepted, w.models, w.totals[0, 0]) for w in found] == [(5, ("a",), 5)]


@dataclass(frozen=True)
class Counting:
    """A detector that keeps what it was given."""

    name: str = "counting"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        seen = np.append(state.get("seen", np.zeros(0, dtype=np.int64)), window.start // WINDOW_WIDTH)
        steady = np.append(state.get("steady", np.zeros(0, dtype=np.bool_)), context.steady)
        return {"seen": seen, "steady": steady}, []


def test_every_detector_gets_every_window_once_and_its_own_state() -> None:
    reported: list[EvaluatedWindow] = []
    given_windows = list(windows_between([part(0)], 0, 6 * WINDOW_WIDTH, None, NAMES, Registry()))
    detectors: Any = [Counting(), Counting("other")]
    half = run_window_detectors(given_windows[:2], {}, Registry(), detectors, FalseAlarmLimits(), reported.append)
    whole = run_window_detectors(given_windows[2:], half, Registry(), detectors, FalseAlarmLimits(), reported.append)
    assert {name: state["seen"].tolist() for name, state in whole.items()} == {
        "counting": [0, 1, 2, 3, 4, 5],
        "other": [0, 1, 2, 3, 4, 5],
    }
    assert [seen.window.start // WINDOW_WIDTH for seen in reported] == [0, 1, 2, 3, 4, 5]
