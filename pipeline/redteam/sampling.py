"""A board that is not sampled as it declares, or that only seems so: S9, S10, S11 and S14.

A month of forty models with the weights of the busiest forty of the real board; ten days are honest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pipeline.alerts import Raised, WindowState
from pipeline.detectors import WINDOW
from pipeline.simulate.board import Board, Effect
from pipeline.simulate.truth import real_counts, truth

_MODELS, _PROVIDERS, _FIRST = 40, 8, 10 * 288


@dataclass(frozen=True)
class Skewed:
    """What became of a month.

    Attributes:
        scenario, what: name and words.
        told: detectors that spoke about what is wrong, with the number of the window, and of votes, after which.
        other: alerts about anything else, false ones of the whole month included: of a board that draws some models
            more often the others are drawn less often, and are told of too.
        battles: battles from the first wrong window to the first alert; None where none came.
        passed: False where something was said that must not be, or nothing where something must.
    """

    scenario: str
    what: str
    told: dict[str, tuple[int, int]]
    other: dict[str, int]
    battles: int | None
    passed: bool


def _real_weights() -> tuple[float, ...]:
    board = truth(_MODELS)
    battles = dict(zip(real_counts().models, real_counts().battles().tolist(), strict=True))
    return tuple(float(battles[name]) for name in board.models)


def _of_provider(number: int) -> list[str]:
    return [f"m{i:03d}" for i in range(_MODELS) if i % _PROVIDERS == number]


def months(seed: int = 7, votes: float = 40.0) -> list[Skewed]:
    """Play all four."""
    weights = np.array(_real_weights())
    mine = np.arange(_MODELS) % _PROVIDERS == 2
    declared = weights.copy()
    declared[mine] *= 0.136 / 0.864 * weights[~mine].sum() / weights[mine].sum()
    share = {i: weights[np.arange(_MODELS) % _PROVIDERS == i].sum() for i in range(_PROVIDERS)}
    top = max(share, key=lambda i: share[i])
    fourth = f"m{int(np.argsort(-weights)[3]):03d}"
    month = 30 * 288
    return [
        _play("S9", f"{fourth} is drawn no more, and nobody says so", seed, votes, weights, [fourth],
              Effect(first=_FIRST, end=month, sampling={fourth: 0.0})),
        _play("S10", "a provider is drawn 34% of the time, 13.6% are declared", seed, votes, declared,
              [*_of_provider(2), "p2"],
              Effect(first=_FIRST, end=month, sampling=dict.fromkeys(_of_provider(2), 0.34 / 0.66 * 0.864 / 0.136))),
        _play("S11", "the provider with most battles is drawn twice as often", seed, votes, weights,
              [*_of_provider(top), f"p{top}"],
              Effect(first=_FIRST, end=month, sampling=dict.fromkeys(_of_provider(top), 2.0))),
        _play("S14", "a release: its model six times, the board 2.5 times as busy, declared", seed, votes, weights, [],
              Effect(first=_FIRST, end=_FIRST + 3 * 288, sampling={fourth: 6.0}, traffic=2.5, declared=True)),
    ]  # fmt: skip


def _play(
    name: str, what: str, seed: int, votes: float, weights: np.ndarray, wrong: list[str], effect: Effect
) -> Skewed:
    board = Board(
        days=30, votes=votes, seed=seed, models=_MODELS, providers=_PROVIDERS,
        weights=tuple(weights.tolist()), effects=[effect],
    )  # fmt: skip
    states: dict[str, WindowState] = {d.name: {} for d in WINDOW}
    told: dict[str, tuple[int, int]] = {}
    other: Counter[str] = Counter()
    since = during = 0
    for number, window in enumerate(board.windows()):
        context = board.context(number)
        since += window.accepted * (number >= _FIRST)
        for detector in WINDOW:
            states[detector.name], said = detector.observe(window, states[detector.name], context)
            for one in said:
                if not isinstance(one, Raised) or one.level > 1:
                    continue
                if number >= _FIRST and (one.subject in wrong or (wrong and one.subject == "board")):
                    told.setdefault(one.detector, (number, since))
                else:
                    other[one.detector] += 1
                    during += number >= _FIRST
    battles = min((at for _, at in told.values()), default=None)
    return Skewed(name, what, told, dict(other), battles, bool(told) if wrong else not during)
