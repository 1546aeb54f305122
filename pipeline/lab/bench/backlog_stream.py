"""Simulates votes for the evaluation of backlogs, by honest voters with power-law activity and by attackers.

The stream shares nothing with `pipeline.lab.simulate`: it uses numpy only. Voters differ in taste, in sharpness, and in
their share of ties. All votes of a voter are cast within a week. The stream lasts eight weeks, and attackers are active
in two of these weeks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from pipeline.backlog import BacklogVotes
from pipeline.vocabulary.arrays import Bool, Float64, Int64

DAYS = 56
MODELS = 20
_DAY = 86_400_000_000
_STRENGTHS, _TASTE, _SHARPNESS, _TIES, _TIE_SPREAD = 0.7, 0.5, 0.3, 0.3, 0.97
# Share of an attacker's battles with the target; number of models of the provider; logits of half strength.
_FOCUS, _FRIENDS, _HALF = 0.2, 4, 1.4
_TARGET = 7
# Attackers are active in two of the eight weeks.
_BEGIN, _LENGTH = 20, 14


_FRIENDLY = (np.arange(MODELS) >= _TARGET) & (np.arange(MODELS) < _TARGET + _FRIENDS)
PROVIDERS = np.where(_FRIENDLY, _TARGET, np.arange(MODELS))
"""The provider of each model, as a number. The models _FRIENDLY have the provider _TARGET. Any other model has a
provider of its own, with the model's number."""


@dataclass(frozen=True)
class BacklogStream:
    """The votes of a simulated board, with the true strengths and the attackers.

    Attributes:
        strengths: float64[M], true strengths in logits.
        voter: int64[n], number of the voter of each vote.
        model_a: int64[n], number of the first model.
        model_b: int64[n], number of the second model.
        outcome: int64[n], outcome code.
        at: int64[n], event time in microseconds.
        attackers: int64[k], numbers of the voters who attack.
    """

    strengths: Float64
    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int64
    at: Int64
    attackers: Int64

    def votes(self) -> BacklogVotes:
        """Return the votes in the form in which a backlog is evaluated. Voter number v has the pseudonym v + 1."""
        return BacklogVotes.from_columns(MODELS, self.voter + 1, self.model_a, self.model_b, self.outcome, self.at)

    @property
    def target(self) -> int:
        """The number of the model that the attackers promote or demote."""
        return _TARGET


def make_stream(
    seed: int, honest: int, behaviour: str = "target", attackers: int = 0, each: int = 100
) -> BacklogStream:
    """Simulate a board with attackers.

    Args:
        seed: seed of all random numbers.
        honest: number of votes of honest voters.
        behaviour: how attackers vote, one of these names. "target" promotes the target, and "target only" has no
            battles without it. "demote" demotes the target. "half strength" and "losses to ties" are weaker promotions.
            "provider" promotes every model of one provider. "left", "omnidirectional" and "random clicks" have no
            target.
        attackers: number of attackers.
        each: number of votes of each attacker.
    """
    rng = np.random.default_rng(seed)
    strengths = rng.normal(0, _STRENGTHS, MODELS)
    sizes = np.minimum((rng.pareto(1.5, honest) + 1) * 4, 400).astype(np.int64)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), honest)) + 1]
    voters = len(sizes)
    whole = np.concatenate([sizes, np.full(attackers, each)])
    voter = np.repeat(np.arange(len(whole)), whole)
    attack = voter >= voters
    a = rng.integers(0, MODELS, len(voter))
    b = (a + rng.integers(1, MODELS, len(voter))) % MODELS
    a, b = _look_for_target(rng, behaviour, attack, a, b)
    outcome = _honest(rng, strengths, len(whole), voter, a, b)
    outcome = np.where(attack, _attack(rng, behaviour, strengths, a, b, outcome), outcome)
    first = np.where(
        np.arange(len(whole)) < voters, rng.random(len(whole)) * DAYS, _BEGIN + rng.random(len(whole)) * _LENGTH
    )
    day = first[voter] + rng.random(len(voter)) * np.where(attack, 0.5, np.minimum(7, DAYS - first[voter]))
    return BacklogStream(
        strengths - strengths.mean(), voter, a, b, outcome, (day * _DAY).astype(np.int64), np.arange(voters, len(whole))
    )


def _look_for_target(rng: np.random.Generator, behaviour: str, attack: Bool, a: Int64, b: Int64) -> tuple[Int64, Int64]:
    """Replace a model by the target in some battles of the attackers, if their behaviour favours such battles.

    Args:
        rng: source of random numbers.
        behaviour: how attackers vote.
        attack: bool[n], true for each battle of an attacker.
        a, b: int64[n], the models of each battle.

    Returns:
        Both models of each battle, int64[n] each.
    """
    if behaviour in ("provider", "left", "omnidirectional", "random clicks"):
        return a, b
    sought = attack & ((behaviour == "target only") | (rng.random(len(a)) < _FOCUS))
    other = (_TARGET + rng.integers(1, MODELS, len(a))) % MODELS
    left = rng.random(len(a)) < 0.5
    return (
        np.where(sought, np.where(left, _TARGET, other), a),
        np.where(sought, np.where(left, other, _TARGET), b),
    )


def _honest(rng: np.random.Generator, strengths: Float64, people: int, voter: Int64, a: Int64, b: Int64) -> Int64:
    taste = rng.normal(0, _TASTE, (people, MODELS))
    sharp = np.exp(rng.normal(0, _SHARPNESS, people))
    ties = expit(logit(_TIES) + rng.normal(0, _TIE_SPREAD, people))
    z = sharp[voter] * (strengths[a] - strengths[b]) + taste[voter, a] - taste[voter, b]
    tied = rng.random(len(voter)) < ties[voter] * np.exp(-np.abs(z) / 6)
    return np.where(tied, 2, np.where(rng.random(len(voter)) < expit(z), 0, 1))


def _attack(rng: np.random.Generator, behaviour: str, strengths: Float64, a: Int64, b: Int64, honest: Int64) -> Int64:
    """Return int64[n], the outcomes that attackers choose: 0 (a wins), 1 (b wins) or 2 (tie).

    Args:
        rng: source of random numbers.
        behaviour: how attackers vote, as for `make_stream`.
        strengths: the true strengths of the models, in logits.
        a, b: int64[n], the models of each battle.
        honest: int64[n], the outcome that an honest voter chooses in the same battle.
    """
    friends = np.arange(_TARGET, _TARGET + _FRIENDS) if behaviour == "provider" else np.array([_TARGET])
    on_a, on_b = np.isin(a, friends), np.isin(b, friends)
    on_a, on_b = on_a & ~on_b, on_b & ~on_a
    ours, win, lose = on_a | on_b, np.where(on_a, 0, 1), np.where(on_a, 1, 0)
    pushed = expit(strengths[a] - strengths[b] + _HALF * (on_a.astype(float) - on_b))
    half = np.where((honest == 2) & (rng.random(len(a)) < 0.5), 2, np.where(rng.random(len(a)) < pushed, 0, 1))
    told = {
        "target only": np.where(ours, win, honest),
        "target": np.where(ours, win, honest),
        "provider": np.where(ours, win, honest),
        "demote": np.where(ours, lose, honest),
        "half strength": np.where(ours, half, honest),
        "losses to ties": np.where(ours & (honest == lose), 2, honest),
        "left": np.zeros(len(a), dtype=np.int64),
        "omnidirectional": np.where(strengths[a] > strengths[b], 1, 0),
        "random clicks": rng.integers(0, 2, len(a)),
    }
    return told[behaviour]
