"""Every detector's signals and final states on seeded streams, as they were when this file was last checked.

A change of a detector's figures shows here, also where each law and the slow reference still hold: a bound, a weight,
the decimals of a figure. After a change that is meant, look at the difference and write the file anew:

    python -m tests.unit.detectors.test_golden
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.detectors import VOTER, WINDOW, SilentDeprecation
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.scoring.detector_contracts import VoterDetector, WindowDetector
from pipeline.scoring.signals import Signal
from tests.unit.detectors import test_laws as of_voters
from tests.unit.detectors import test_laws_windows as of_windows

GOLDEN = Path(__file__).parents[2] / "golden" / "detectors.json"
# Digits that do not depend on the machine's arithmetic.
_DIGITS = 9


def _figure(value: Any) -> Any:
    """A value as JSON keeps it, floats by their significant digits."""
    if isinstance(value, float | np.floating):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {str(name): _figure(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_figure(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _signal(one: Signal) -> dict[str, Any]:
    names = type(one).__dataclass_fields__
    return {name: _figure(getattr(one, name)) for name in names}


def _column(values: np.ndarray) -> dict[str, Any]:
    """Shape, sum, and a sum that depends on the order."""
    if values.dtype.kind not in "iufb":
        return {"shape": list(values.shape), "text": zlib.crc32("\n".join(map(str, values.ravel())).encode())}
    flat = np.nan_to_num(values.ravel().astype(np.float64), neginf=0.0)
    return {
        "shape": list(values.shape),
        "sums": [_figure(flat.sum()), _figure((flat * (np.arange(flat.size) % 97)).sum())],
    }


def _of_window(detector: WindowDetector, policy: bool, seed: int) -> dict[str, Any]:
    state, signals = of_windows.run(detector, _windows(policy, seed))
    return {
        "signals": [_signal(one) for one in signals],
        "state": {name: _column(v) for name, v in sorted(state.items())},
    }


@cache
def _windows(policy: bool, seed: int) -> of_windows.SimulatedStream:
    """Four days and a half with each kind of fault; without a policy the shares are learned."""
    end = round(4.5 * 288)
    effects = [
        WindowEffect(first=300, end=end, sampling={"m003": 3.0}),
        WindowEffect(first=400, end=700, target="m001", votes=4.0, cohort=0),
        WindowEffect(first=450, end=end, target="m002", votes=3.0, wins=False),
        WindowEffect(first=500, end=750, target="m004", votes=3.0, prompt=77),
        WindowEffect(first=1000, end=1100, traffic=6.0),
        WindowEffect(first=1200, end=end, traffic=0.0),
    ]
    board = SimulatedBoard(
        days=4.5, votes=30, seed=seed, models=8, providers=3, policy=policy, effects=effects,
        weights=(3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0) if policy else None,
    )  # fmt: skip
    found = [(window, board.context(i)) for i, window in enumerate(board.windows())]
    late = 1_150
    # The policy changes in the last hour that has votes.
    found[1188:1200] = [(w, replace(c, steady=False)) for w, c in found[1188:1200]]
    return found[:late] + [(w, replace(c, registry=of_windows.without(c.registry, "m006"))) for w, c in found[late:]]


def _of_silence() -> dict[str, Any]:
    """A model that is never drawn, and one that leaves after a day."""
    gone = [
        WindowEffect(first=0, end=500, sampling={"m005": 0.0}),
        WindowEffect(first=288, end=500, sampling={"m002": 0.0}),
    ]
    board = SimulatedBoard(days=1.7, votes=30, seed=3, models=12, providers=4, effects=gone)
    state, signals = of_windows.run(SilentDeprecation(), [(w, board.context(i)) for i, w in enumerate(board.windows())])
    return {
        "signals": [_signal(one) for one in signals],
        "state": {name: _column(v) for name, v in sorted(state.items())},
    }


def _of_voter(detector: VoterDetector, seed: int) -> dict[str, Any]:
    reference, truth = of_voters.board(seed=seed)
    stream = of_voters.mixed(seed, 960)
    states, raised = of_voters.run(detector, stream, reference, [300, 301, 700])
    crowd = of_voters.honest(truth, 40, 30, seed)
    more, other = of_voters.run(detector, crowd, reference)
    bytes_of = {f"{name:x}": zlib.crc32(state) for name, state in sorted({**states, **more}.items())}
    return {"signals": [_signal(one) for one in raised + other], "states": bytes_of}


def _cases() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    for window in WINDOW:
        for policy, seed in ((True, 1), (False, 2)):
            yield (
                f"{window.name} {'with' if policy else 'without'} a policy",
                lambda w=window, p=policy, s=seed: _of_window(w, p, s),
            )
    yield "silent_deprecation of models that leave", _of_silence
    for voter in VOTER:
        for seed in (1, 2):
            yield f"{voter.name} seed {seed}", lambda v=voter, s=seed: _of_voter(v, s)


CASES = dict(_cases())


def _agree(found: Any, expected: Any, where: str) -> None:
    """Numbers agree to a millionth, or to two units of the integers that evidence is kept in."""
    if isinstance(expected, dict):
        assert isinstance(found, dict) and list(found) == list(expected), where
        for name in expected:
            _agree(found[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), where
        for place, (one, other) in enumerate(zip(found, expected, strict=True)):
            _agree(one, other, f"{where}[{place}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9), where
    else:
        assert found == expected, where


# `cohort_bias` alone takes as long as all others together.
EVERYDAY = [pytest.param(case, marks=pytest.mark.long) if case.startswith("cohort_bias") else case for case in CASES]


@pytest.mark.parametrize("case", EVERYDAY)
def test_signals_and_states_are_those_of_the_golden_file(case: str) -> None:
    found = json.loads(json.dumps(CASES[case]()))
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))[case]
    _agree(found, expected, case)


def test_the_golden_file_has_every_detector_and_alerts_of_most() -> None:
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert list(expected) == list(CASES)
    assert sum(bool(one["signals"]) for one in expected.values()) >= len(expected) - 3


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(case)}: {json.dumps(make())}" for case, make in CASES.items())
    GOLDEN.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
