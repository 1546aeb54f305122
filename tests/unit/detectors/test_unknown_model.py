"""`unknown_model`: a fact is told once, of each model, until the registry knows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.detectors import WINDOW
from pipeline.lab.simulate.simulated_board import SimulatedBoard
from pipeline.registry import RegistryState
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import AlertSignal
from tests.unit.detectors.test_slow_windows import MONDAY, WIDTH, plain

(DETECTOR,) = (detector for detector in WINDOW if detector.name == "unknown_model")


def registry(*names: str) -> RegistryState:
    known = SimulatedBoard(days=1, votes=1, seed=1, models=6).context(0).registry
    return replace(known, models={name: known.models[name] for name in names})


def reported(*steps: tuple[dict[str, tuple[int, int]], RegistryState]) -> list[list[tuple[str, int]]]:
    """Of each window the subjects and levels, level 0 for an alert that is over."""
    state: WindowState = {}
    found = []
    for number, (models, known) in enumerate(steps):
        state, signals = DETECTOR.observe(plain(number, 9, **models), state, WindowContext(known))
        found.append([(one.subject, one.level if isinstance(one, AlertSignal) else 0) for one in signals])
    return found


def test_each_unknown_model_is_told_of_once_and_over_when_it_is_known() -> None:
    known, more = registry("m000"), registry("m000", "m001")
    votes = {"m000": (5, 2), "m001": (4, 1), "m002": (1, 0)}
    steps = [(votes, known), (votes, known), ({}, known), (votes, more), (votes, known)]
    assert reported(*steps) == [[("m001", 1), ("m002", 1)], [], [], [("m001", 0)], [("m001", 1)]]


def test_an_empty_registry_is_none() -> None:
    assert reported(({"m001": (4, 1)}, RegistryState())) == [[]]


def test_the_alert_is_a_warning_with_its_votes_and_its_window() -> None:
    _, (alert,) = DETECTOR.observe(plain(3, 9, m004=(7, 1)), {}, WindowContext(registry("m000")))
    assert isinstance(alert, AlertSignal)
    assert (alert.severity, alert.e_value, alert.subject_kind, alert.direction) == (
        "warning", None, "model", "not in the registry",
    )  # fmt: skip
    assert (alert.offset, alert.at) == (MONDAY + 3 * WIDTH, MONDAY + 4 * WIDTH)
    assert alert.evidence["votes"] == 7
    assert alert.evidence["window"] == [MONDAY + 3 * WIDTH, MONDAY + 4 * WIDTH]
    assert np.isfinite(alert.level)
