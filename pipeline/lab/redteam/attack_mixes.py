"""Runs the detectors over two or three simultaneous attacks, each of which must become an incident of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.lab.redteam.attack_scenarios import DAYS, HONEST_DAYS, MODELS
from pipeline.lab.redteam.detector_run import DetectorRun, run_detectors
from pipeline.lab.simulate import (
    AlwaysLeft,
    Attack,
    Burst,
    HonestSpec,
    Omnidirectional,
    TargetOnly,
    real_pair_rates,
    simulate_stream,
)
from pipeline.vocabulary.time import DAY, to_microseconds

_Maker = Callable[[str, int, int, float], Attack]
_WITH_TARGET: tuple[_Maker, ...] = (
    lambda target, n, each, day: TargetOnly(
        target=target, otherwise="abstain", voters=n, votes_each=each, from_day=day
    ),
    lambda target, n, each, day: TargetOnly(
        target=target, otherwise="normal", sampling=0.2, voters=n, votes_each=each, from_day=day
    ),
    lambda target, n, each, day: TargetOnly(
        target=target, direction="demote", otherwise="random", sampling=0.2, voters=n, votes_each=each, from_day=day
    ),
    lambda target, n, each, day: TargetOnly(
        target=target, otherwise="ranking", sampling=0.2, voters=n, votes_each=each, from_day=day
    ),
    lambda target, n, _, day: Burst(target=target, voters=5 * n, votes=25 * n, minutes=180, from_day=day),
)
_WITHOUT: tuple[_Maker, ...] = (
    lambda _, n, each, day: Omnidirectional(voters=n, votes_each=each, from_day=day),
    lambda _, n, each, day: AlwaysLeft(voters=n, votes_each=each, from_day=day),
)


def draw_mix(seed: int) -> tuple[Attack, ...]:
    """Return two or three attacks with different targets or habits, which begin within four days of each other."""
    rng = np.random.default_rng([seed, 17])
    number = int(rng.integers(2, 4))
    targets = rng.choice(real_pair_rates(MODELS).models, number, replace=False).tolist()
    habits = list(rng.permutation(len(_WITHOUT)))
    attacks = []
    for target in targets:
        if habits and rng.random() < len(_WITHOUT) / (len(_WITHOUT) + len(_WITH_TARGET)):
            maker = _WITHOUT[habits.pop()]
        else:
            maker = _WITH_TARGET[rng.integers(len(_WITH_TARGET))]
        day = HONEST_DAYS + float(rng.uniform(0, 4))
        attacks.append(maker(target, int(rng.integers(12, 40)), int(rng.integers(60, 120)), day))
    return tuple(attacks)


def run_attacks(attacks: Sequence[Attack], seed: int, votes: int) -> DetectorRun:
    """Simulate attacks among `votes` honest votes of a month, and run every detector over the stream."""
    honest = HonestSpec(votes=votes, seed=seed, days=DAYS, models=MODELS)
    stream = simulate_stream(honest, attacks)
    split = int(np.searchsorted(stream.cast_at, to_microseconds(honest.start) + int(HONEST_DAYS * DAY)))
    return run_detectors(stream, split)
