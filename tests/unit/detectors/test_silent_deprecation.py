"""`silent_deprecation`: a silence since the policy began, and one that began in its midst."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.detectors.window.silent_deprecation import SilentDeprecation, battles_until
from pipeline.evidence import LOG_UNIT
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.scoring.detector_contracts import WindowState
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.window import MEASURES

APPEARANCES = MEASURES.index("appearances")
MODELS = 67
"""With equal weights each is in 3% of the battles."""


def reported(board: SimulatedBoard, subject: str, *, forget: bool = False) -> tuple[int, int]:
    """The window of the first alert about a model, and the battles up to it; `forget` resets E."""
    state: WindowState = {}
    votes = 0
    for number, window in enumerate(board.windows()):
        votes += window.accepted
        state, output = SilentDeprecation().observe(window, state, board.context(number))
        if any(isinstance(one, AlertSignal) and one.subject == subject for one in output):
            return number, votes
        if forget:
            state = {**state, "log_e": np.full_like(state["log_e"], -(1 << 40))}
    raise AssertionError(f"nothing was told of {subject}")


@pytest.mark.parametrize("seed", range(3))
def test_a_declared_model_that_is_never_drawn_is_found_before_ten_thousand_to_one(seed: int) -> None:
    gone = WindowEffect(first=0, end=288, sampling={"m005": 0.0})
    board = SimulatedBoard(days=1, votes=10, seed=seed, models=MODELS, effects=[gone])
    _, battles = reported(board, "m005")
    assert battles <= battles_until(2 / MODELS, 1e4) + 10
    _, later = reported(board, "m005", forget=True)
    assert later > battles + 60


def test_a_new_policy_restarts_the_count() -> None:
    change = WindowEffect(first=144, end=288, sampling={"m001": 2.0}, declared=True)
    gone = WindowEffect(first=144, end=288, sampling={"m005": 0.0})
    board = SimulatedBoard(days=1, votes=10, seed=1, models=MODELS, effects=[change, gone])
    before = sum(w.accepted for w, _ in zip(board.windows(), range(144), strict=False))
    number, battles = reported(board, "m005")
    assert number > 144
    # The window of the change and the one after it count for nothing.
    assert battles - before <= battles_until(2 / MODELS, 1e4) + 30


def test_evidence_since_the_policy_began_is_the_product_over_its_windows_and_ends_with_an_appearance() -> None:
    gone = WindowEffect(first=0, end=288, sampling={"m007": 0.0})
    board = SimulatedBoard(days=0.2, votes=10, seed=4, models=MODELS, effects=[gone])
    state: WindowState = {}
    share = board.context(0).registry.policy.appearance  # type: ignore[union-attr]
    expected = dict.fromkeys(board.model_names, 0.0)
    for number, window in enumerate(board.windows()):
        context = board.context(number)
        state, _ = SilentDeprecation().observe(window, state, context)
        seen = dict(zip(window.models, window.totals[:, APPEARANCES].tolist(), strict=True))
        for name in board.model_names:
            if context.steady and window.accepted:
                absent = not seen.get(name, 0)
                expected[name] += -window.accepted * np.log1p(-share[name]) if absent else -np.inf
        for name, log_e in zip(state["key"].tolist(), state["log_e"].tolist(), strict=True):
            if expected[name] == -np.inf:
                assert log_e * LOG_UNIT < -1e5
            else:
                assert log_e * LOG_UNIT == pytest.approx(expected[name], abs=1e-3)
    assert {name for name, log_e in expected.items() if log_e > -np.inf} == {"m007"}


def test_an_honest_board_s_evidence_is_one_on_average() -> None:
    values: list[float] = []
    for seed in range(60):
        board = SimulatedBoard(days=1, votes=10, seed=seed, models=MODELS)
        state: WindowState = {}
        for number, window in zip(range(5), board.windows(), strict=False):
            state, _ = SilentDeprecation().observe(window, state, board.context(number))
        values += np.exp(state["log_e"] * LOG_UNIT).tolist()
    mean = float(np.mean(values))
    assert mean <= 1 + 3 * float(np.std(values)) / len(values) ** 0.5
    assert mean > 0.8


def test_a_state_of_before_the_evidence_since_the_policy_is_read_on() -> None:
    board = SimulatedBoard(days=0.1, votes=10, seed=2, models=MODELS)
    state: Any = {}
    for number, window in enumerate(board.windows()):
        state, _ = SilentDeprecation().observe(window, state, board.context(number))
        state = {name: column for name, column in state.items() if name not in {"log_e", "policy"}}
    assert len(state["key"]) == MODELS
