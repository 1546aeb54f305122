"""The direction of an open alert of `sampling_skew` stays that of its opening."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.detectors.window.sampling_skew import SamplingSkew
from pipeline.lab.simulate.simulated_board import SimulatedBoard


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("level", [1, 2])
def test_an_open_alert_keeps_its_direction(more: bool, level: int) -> None:
    board = SimulatedBoard(days=0.1, votes=200, seed=4, models=6, providers=2)
    state = {}
    windows = [(window, board.context(i)) for i, window in enumerate(board.windows())]
    for window, context in windows[:-1]:
        state, _ = SamplingSkew().observe(window, state, context)
    size = len(state["more"])
    opened = {**state, "more": np.full(size, more), "level": np.full(size, level, dtype=np.int64)}
    after, _ = SamplingSkew().observe(*windows[-1][:1], opened, windows[-1][1])
    assert set(after["more"].tolist()) == {more}
    closed = {**state, "more": np.full(size, more), "level": np.zeros(size, dtype=np.int64)}
    after, _ = SamplingSkew().observe(*windows[-1][:1], closed, windows[-1][1])
    assert set(after["more"].tolist()) == {True, False}
