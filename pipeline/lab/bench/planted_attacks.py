"""Adds simulated attackers to the votes of real people.

The battles of an attacker, and the outcomes before the attack changes them, are drawn from votes of real people on the
same board. The attack changes the outcomes of the battles that it is about. Attackers vote from a given row of the
stream until its end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.lab.bench.real_boards import RealVotes
from pipeline.vocabulary.arrays import Bool, Float64, Int64

FRIENDS = 4
"""An attack for a provider promotes this many models, or a third of all models if that is fewer."""

_FOCUS = 0.2
_SLIPS = 0.02


@dataclass(frozen=True)
class PlantedAttack:
    """A kind of attacker, which `plant` adds to real voters. ATTACKS lists all kinds.

    Some kinds of attackers promote or demote one model, the target. Others promote the models of one provider, or have
    a habit in all battles, such as always voting for the left model.

    Attributes:
        name: name of the kind, such as "target at 20%" or "left". It decides which outcomes the attackers report.
        votes: number of votes of each attacker.
        focus: share of an attacker's battles that include the target, from 0 to 1. If it is None, an attacker's battles
            are drawn from all battles of real voters.
    """

    name: str
    votes: int
    focus: float | None = None

    @property
    def of_models(self) -> bool:
        """Whether the attack promotes or demotes models. Otherwise the attackers have a habit in all battles."""
        return self.focus is not None or self.name == "provider"


ATTACKS = (
    PlantedAttack("target only", 100, 1.0),
    PlantedAttack("target at 20%", 400, _FOCUS),
    PlantedAttack("demotes at 20%", 400, _FOCUS),
    PlantedAttack("half strength at 20%", 400, _FOCUS),
    PlantedAttack("losses to ties at 20%", 400, _FOCUS),
    PlantedAttack("provider", 400),
    PlantedAttack("left", 100),
    PlantedAttack("omnidirectional", 100),
    PlantedAttack("random clicks", 400),
)


@dataclass(frozen=True)
class PlantedStream:
    """Votes of real people and of attackers.

    Attributes:
        votes: the votes of real people and of attackers, in the order in which they are cast.
        attackers: int64[k], numbers of the attackers.
        targets: int64[t], the models that the attack promotes or demotes. An attack for a provider has all models of
            the provider.
        providers: int64[K], number of the provider of each model. In an attack for a provider, all `targets` have the
            same number; otherwise each model has a number of its own.
    """

    votes: RealVotes
    attackers: Int64
    targets: Int64
    providers: Int64


def without_attack(votes: RealVotes) -> PlantedStream:
    """Return the votes of real people alone."""
    none = np.zeros(0, dtype=np.int64)
    return PlantedStream(votes, none, none, np.arange(votes.models))


def plant(
    votes: RealVotes, attack: PlantedAttack, attackers: int, begin: int, rng: np.random.Generator
) -> PlantedStream:
    """Add attackers to the votes of real people.

    Args:
        votes: votes of real people.
        attack: the kind of attackers.
        attackers: number of attackers.
        begin: row of the first real vote after which attackers may vote.
        rng: source of random numbers.
    """
    targets, providers = _targets(votes, attack, rng)
    on = np.isin(votes.model_a, targets) ^ np.isin(votes.model_b, targets)
    count = attackers * attack.votes
    rows = rng.integers(0, len(votes.voter), count)
    if attack.focus is not None and not on.all():
        sought = rng.random(count) < attack.focus
        rows = np.where(sought, rng.choice(np.flatnonzero(on), count), rng.choice(np.flatnonzero(~on), count))
    first = int(votes.voter.max()) + 1
    drawn = votes.take(rows)
    turned = rng.random(count) < 0.5
    a, b = np.where(turned, drawn.model_b, drawn.model_a), np.where(turned, drawn.model_a, drawn.model_b)
    honest = np.where(turned & (drawn.outcome < 2), 1 - drawn.outcome, drawn.outcome).astype(np.int64)
    outcome = _answers(attack.name, np.isin(a, targets), on[rows], honest, rng)
    voter = first + np.repeat(np.arange(attackers), attack.votes)
    at = np.concatenate([np.arange(len(votes.voter)), rng.uniform(begin, len(votes.voter), count)])
    order = np.argsort(at, kind="stable")
    pairs = ((votes.voter, voter), (votes.model_a, a), (votes.model_b, b), (votes.outcome, outcome.astype(np.int8)))
    who, left, right, answers = (np.concatenate(pair)[order] for pair in pairs)
    mixed = RealVotes(votes.models, who, left, right, answers.astype(np.int8))
    return PlantedStream(mixed, first + np.arange(attackers), targets, providers)


def _targets(votes: RealVotes, attack: PlantedAttack, rng: np.random.Generator) -> tuple[Int64, Int64]:
    """Draw the models that an attack promotes or demotes.

    A single target is not among the best quarter of the models, and has at least the median number of votes. The models
    of a provider are drawn from all models.

    Returns:
        `targets` and `providers` of the `PlantedStream`.
    """
    count = np.bincount(np.concatenate([votes.model_a, votes.model_b]), minlength=votes.models)
    wins = np.bincount(votes.model_a, votes.outcome == 0, votes.models)
    wins += np.bincount(votes.model_b, votes.outcome == 1, votes.models)
    share = wins / np.maximum(count, 1)
    open_to = np.flatnonzero((share <= np.quantile(share, 0.75)) & (count >= np.median(count)))
    open_to = open_to if len(open_to) else np.array([int(count.argmax())])
    providers = np.arange(votes.models)
    if attack.name != "provider":
        return rng.choice(open_to, 1), providers
    chosen = np.sort(rng.permutation(votes.models)[: max(min(FRIENDS, votes.models // 3), 1)])
    providers[chosen] = chosen[0]
    return chosen, providers


def _answers(name: str, ours_a: Bool, ours: Bool, honest: Int64, rng: np.random.Generator) -> Int64:
    """Return the outcomes that attackers report, int64[n].

    Args:
        name: name of the attack.
        ours_a: bool[n], whether model a is a target of the attack.
        ours: bool[n], whether exactly one of the two models is a target.
        honest: int64[n], the outcomes that a real person reported.
        rng: source of random numbers.
    """
    n = len(honest)
    win, lose = np.where(ours_a, 0, 1), np.where(ours_a, 1, 0)
    slip = rng.random(n) < _SLIPS
    told = {
        "target only": np.where(ours & ~slip, win, honest),
        "target at 20%": np.where(ours & ~slip, win, honest),
        "provider": np.where(ours & ~slip, win, honest),
        "demotes at 20%": np.where(ours & ~slip, lose, honest),
        "half strength at 20%": np.where(ours & (rng.random(n) < 0.5), win, honest),
        "losses to ties at 20%": np.where(ours & (honest == lose), 2, honest),
        "left": np.where(slip, honest, 0),
        "omnidirectional": np.where(honest < 2, 1 - honest, honest),
        "random clicks": rng.integers(0, 3, n),
    }
    return told[name]


def answer_chances(name: str, honest: Float64) -> Float64:
    """Return the chances of an attacker's outcomes in battles that the attack is about, float64[n, 3].

    The columns are a win of the target, a loss, and a tie. If the attack is a habit in all battles, model a takes the
    place of the target.

    Args:
        name: name of the attack.
        honest: float64[n, 3], the chances of a real person's outcomes in the same battles.
    """
    win, lose, tie = honest.T
    one, none = np.ones_like(win), np.zeros_like(win)
    strength = {"half strength at 20%": 0.5}.get(name, 1 - _SLIPS)
    told = {
        "demotes at 20%": (none, one, none),
        "losses to ties at 20%": (win, none, tie + lose),
        "omnidirectional": (lose, win, tie),
        "random clicks": (one / 3, one / 3, one / 3),
    }.get(name, (one, none, none))
    if name in ("losses to ties at 20%", "omnidirectional", "random clicks"):
        strength = 1.0
    return np.asarray(strength * np.stack(told, axis=1) + (1 - strength) * honest)
