"""A board that is not sampled as it declares, or that only seems so: S9, S10, S11 and S14.

A month of forty models with the weights of the busiest forty of the real board; the first third of it is honest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.detectors import WINDOW
from pipeline.lab.simulate.pair_rates import real_counts, real_pair_rates
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.scoring.detector_contracts import WindowState
from pipeline.scoring.signals import AlertSignal
from pipeline.vocabulary.arrays import Float64

_MODELS, _PROVIDERS, _DAY = 40, 8, 288


@dataclass(frozen=True)
class SamplingResult:
    """What became of a month.

    Attributes:
        scenario, what: name and words.
        told: detectors that spoke about what is wrong, with the windows and the votes after which.
        other: alerts about anything else since then: of a board that draws some models more often the others are
            drawn less often, and are told of too.
        false: alerts in the honest third.
        battles: battles from the first wrong window to the first alert; None where none came.
        passed: False where something was said that must not be, or nothing where something must.
    """

    scenario: str
    what: str
    told: dict[str, tuple[int, int]]
    other: dict[str, int]
    false: dict[str, int]
    battles: int | None
    passed: bool


@dataclass(frozen=True)
class _Case:
    """A board and what is wrong with it from its first third on.

    Attributes:
        weights: as declared.
        wrong: subjects of which must be told; none if nothing is wrong.
        effect: of (first window, last window).
    """

    what: str
    weights: Float64
    wrong: tuple[str, ...]
    effect: Callable[[int, int], WindowEffect]


def _weights() -> Float64:
    board = real_pair_rates(_MODELS)
    battles = dict(zip(real_counts().models, real_counts().battles_per_model().tolist(), strict=True))
    return np.array([float(battles[name]) for name in board.models])


def _of_provider(number: int) -> tuple[str, ...]:
    return tuple(f"m{i:03d}" for i in range(_MODELS) if i % _PROVIDERS == number)


def _silence(weights: Float64, model: str) -> _Case:
    return _Case(
        f"{model} is drawn no more, and nobody says so", weights, (model,),
        lambda first, end: WindowEffect(first=first, end=end, sampling={model: 0.0}),
    )  # fmt: skip


def _favoured(weights: Float64) -> _Case:
    mine = np.arange(_MODELS) % _PROVIDERS == 2
    declared = weights.copy()
    declared[mine] *= 0.136 / 0.864 * weights[~mine].sum() / weights[mine].sum()
    times = dict.fromkeys(_of_provider(2), 0.34 / 0.66 * 0.864 / 0.136)
    return _Case(
        "a provider is drawn 34% of the time, 13.6% are declared", declared, (*_of_provider(2), "p2"),
        lambda first, end: WindowEffect(first=first, end=end, sampling=times),
    )  # fmt: skip


def _twice(weights: Float64) -> _Case:
    top = int(np.argmax([weights[np.arange(_MODELS) % _PROVIDERS == i].sum() for i in range(_PROVIDERS)]))
    times = dict.fromkeys(_of_provider(top), 2.0)
    return _Case(
        "the provider with most battles is drawn twice as often", weights, (*_of_provider(top), f"p{top}"),
        lambda first, end: WindowEffect(first=first, end=end, sampling=times),
    )  # fmt: skip


def _release(weights: Float64, model: str) -> _Case:
    return _Case(
        "a release: its model six times, the board 2.5 times as busy, declared", weights, (),
        lambda first, end: WindowEffect(
            first=first, end=min(first + 3 * _DAY, end), sampling={model: 6.0}, traffic=2.5, declared=True
        ),
    )  # fmt: skip


def sampling_cases() -> dict[str, Callable[[], _Case]]:
    """By name."""
    weights = _weights()
    fourth = f"m{int(np.argsort(-weights)[3]):03d}"
    return {
        "S9": lambda: _silence(weights, fourth),
        "S10": lambda: _favoured(weights),
        "S11": lambda: _twice(weights),
        "S14": lambda: _release(weights, fourth),
    }


SAMPLING_SCENARIOS = ("S9", "S10", "S11", "S14")


def run_sampling_scenario(name: str, votes: int, seed: int, days: float = 30.0) -> SamplingResult:
    """Play one.

    Args:
        votes: honest votes of a month.
    """
    case = sampling_cases()[name]()
    first, end = round(days * _DAY / 3), round(days * _DAY)
    board = SimulatedBoard(
        days=days, votes=votes / (30 * _DAY), seed=seed, models=_MODELS, providers=_PROVIDERS,
        weights=tuple(case.weights.tolist()), effects=[case.effect(first, end)],
    )  # fmt: skip
    states: dict[str, WindowState] = {d.name: {} for d in WINDOW}
    told: dict[str, tuple[int, int]] = {}
    other: Counter[str] = Counter()
    false: Counter[str] = Counter()
    since = 0
    for number, window in enumerate(board.windows()):
        context = board.context(number)
        since += window.accepted * (number >= first)
        for detector in WINDOW:
            states[detector.name], said = detector.observe(window, states[detector.name], context)
            for one in said:
                if not isinstance(one, AlertSignal) or one.level > 1:
                    continue
                if number < first:
                    false[one.detector] += 1
                elif one.subject in case.wrong or (case.wrong and one.subject == "board"):
                    told.setdefault(one.detector, (number - first, since))
                else:
                    other[one.detector] += 1
    battles = min((at for _, at in told.values()), default=None)
    return SamplingResult(
        name, case.what, told, dict(other), dict(false), battles, bool(told) if case.wrong else not other
    )
