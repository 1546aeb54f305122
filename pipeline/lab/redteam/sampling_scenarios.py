"""Runs window detectors over boards that are not sampled as declared (S9, S10, S11), and over an honest one (S14).

Each board has forty models for a month, with the weights of the real board's forty most frequent models. The first
third of the month is honest.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.detectors import WINDOW
from pipeline.lab.simulate.pair_rates import real_counts, real_pair_rates
from pipeline.lab.simulate.simulated_board import SimulatedBoard, WindowEffect
from pipeline.vocabulary.arrays import Float64

_MODELS, _PROVIDERS, _DAY = 40, 8, 288
SAMPLING_SCENARIOS = ("S9", "S10", "S11", "S14")


@dataclass(frozen=True)
class SamplingResult:
    """The alerts that the window detectors raised on the board of one scenario.

    Attributes:
        scenario: name of the scenario.
        what: description of the scenario in words.
        alerts: detector → (windows, votes): how many windows and votes pass from the first window with wrong sampling
            to the detector's first alert about the wrong sampling.
        other: detector → number of its other alerts since that window. If some models are drawn more often, alerts
            about models that are drawn less often are expected.
        false: detector → number of its alerts in the honest third.
        battles: number of votes from the first window with wrong sampling to the first alert of any detector about it;
            None without such an alert.
        passed: whether the requirement is met. If the sampling is wrong, at least one alert about it must be raised.
            Otherwise no alert may be raised after the honest third.
    """

    scenario: str
    what: str
    alerts: dict[str, tuple[int, int]]
    other: dict[str, int]
    false: dict[str, int]
    battles: int | None
    passed: bool


@dataclass(frozen=True)
class _Case:
    """A board, and what is wrong with it after its first third.

    Attributes:
        what: description.
        weights: declared sampling weight of each model.
        wrong: the subjects on which an alert is expected; empty if nothing is wrong.
        effect: takes the first window of the change and the window after its last, and returns the change of sampling.
    """

    what: str
    weights: Float64
    wrong: tuple[str, ...]
    effect: Callable[[int, int], WindowEffect]


def _resampled(what: str, weights: Float64, sampling: dict[str, float], *also: str) -> _Case:
    def effect(first: int, end: int) -> WindowEffect:
        return WindowEffect(first=first, end=end, sampling=sampling)

    return _Case(what, weights, (*sampling, *also), effect)


def _models_of(provider: int) -> tuple[str, ...]:
    return tuple(f"m{i:03d}" for i in range(_MODELS) if i % _PROVIDERS == provider)


def sampling_cases() -> dict[str, _Case]:
    """Return name of a scenario → its board, what is wrong with the sampling, and which alerts are required."""
    battles = dict(zip(real_counts().models, real_counts().battles_per_model().tolist(), strict=True))
    weights = np.array([float(battles[name]) for name in real_pair_rates(_MODELS).models])
    provider = np.arange(_MODELS) % _PROVIDERS
    fourth = f"m{int(np.argsort(-weights)[3]):03d}"
    top = int(np.argmax(np.bincount(provider, weights)))
    declared = weights.copy()
    declared[provider == 2] *= 0.136 / 0.864 * weights[provider != 2].sum() / weights[provider == 2].sum()
    favoured = dict.fromkeys(_models_of(2), 0.34 / 0.66 * 0.864 / 0.136)

    def release(first: int, end: int) -> WindowEffect:
        end = min(first + 3 * _DAY, end)
        return WindowEffect(first=first, end=end, sampling={fourth: 6.0}, traffic=2.5, declared=True)

    return {
        "S9": _resampled(f"{fourth} is no longer drawn, undeclared", weights, {fourth: 0.0}),
        "S10": _resampled("a provider is drawn 34% of the time, declared are 13.6%", declared, favoured, "p2"),
        "S11": _resampled(
            "the provider with most battles is drawn twice as often", weights, dict.fromkeys(_models_of(top), 2.0),
            f"p{top}",
        ),
        "S14": _Case("a release: its model × 6, the board's traffic × 2.5, declared", weights, (), release),
    }  # fmt: skip


def run_sampling_scenario(name: str, votes: int, seed: int, days: float = 30.0) -> SamplingResult:
    """Run every window detector over the board of a scenario.

    Args:
        name: name of the scenario.
        votes: number of honest votes per month.
        seed: seed of the board.
        days: length of the simulation in days.

    Returns:
        The alerts of the board, and whether they meet the requirement.
    """
    case = sampling_cases()[name]
    first, end = round(days * _DAY / 3), round(days * _DAY)
    board = SimulatedBoard(
        days=days, votes=votes / (30 * _DAY), seed=seed, models=_MODELS, providers=_PROVIDERS,
        weights=tuple(case.weights.tolist()), effects=[case.effect(first, end)],
    )  # fmt: skip
    found: dict[str, tuple[int, int]] = {}
    other: Counter[str] = Counter()
    false: Counter[str] = Counter()
    since = 0
    for number, window, alerts in board.alerts(WINDOW):
        since += window.accepted * (number >= first)
        for one in alerts:
            if one.level > 1:
                continue
            if number < first:
                false[one.detector] += 1
            elif one.subject in case.wrong or (case.wrong and one.subject == "board"):
                found.setdefault(one.detector, (number - first, since))
            else:
                other[one.detector] += 1
    battles = min((at for _, at in found.values()), default=None)
    passed = bool(found) if case.wrong else not other
    return SamplingResult(name, case.what, found, dict(other), dict(false), battles, passed)
