"""Attackers on an independent board, of the kinds that cheap manipulation takes. They vote among the honest people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tests.streams.independent import DAY, SECOND, Array, Board, Votes, draw_pairs, honest_outcomes

Behaviour = Literal[
    "promote", "demote", "losses to ties", "half strength", "provider", "omnidirectional", "random", "left"
]
_ATTACKERS = 1_000_000_000


@dataclass(frozen=True)
class Attack:
    """A group of attackers.

    Attributes:
        behaviour: promote: the target always wins; demote: it always loses; losses to ties: its lost battles are told
            as ties; half strength: half of the votes promote; provider: every model of `friends` wins against others;
            omnidirectional: win and loss are swapped; random: clicks at random; left: always the left side.
        accounts, votes_each: number of accounts, and of votes of each.
        target, friends: number of the target; numbers of the provider's models.
        first_day, days: when they vote.
        age_days: age of the accounts at the first day.
        networks: how many networks they share; they are the board's, from number `first_network`.
        first_network: see above; beyond the board's last network they are of their own.
        focus: share of the votes with the target in them; the board's sampling elsewhere.
        abstain: whether they vote on battles with the target (or a friend) only.
        sitting: votes in one sitting.
        number: tells groups apart.
    """

    behaviour: Behaviour
    accounts: int
    votes_each: int
    target: int = 0
    friends: tuple[int, ...] = ()
    first_day: float = 10.0
    days: float = 1.0
    age_days: float = 1.0
    networks: int = 1
    first_network: int = 150
    focus: float = 0.0
    abstain: bool = False
    sitting: int = 1
    number: int = 0


def make_attack(board: Board, attack: Attack) -> Votes:
    """Return the attackers' votes; `board.votes.merge(...)` puts them among the honest ones."""
    spec = board.spec
    rng = np.random.default_rng([spec.seed, 1_000 + attack.number])
    n = attack.accounts * attack.votes_each
    member = np.repeat(np.arange(attack.accounts), attack.votes_each)
    voter = _ATTACKERS * (1 + attack.number) + member
    begin = spec.start + int(attack.first_day * DAY)
    index = np.tile(np.arange(attack.votes_each), attack.accounts)
    group = member * attack.votes_each + index // attack.sitting
    _, place = np.unique(group, return_inverse=True)
    began = begin + (rng.random(place.max() + 1) * attack.days * DAY).astype(np.int64)
    at = began[place] + (index % attack.sitting) * 45 * SECOND
    category = rng.integers(0, spec.categories, n)
    a, b = draw_pairs(spec, rng, category)
    a, b = _with_target(attack, a, b, rng)
    outcome = honest_outcomes(spec, board.strengths, rng, voter, np.zeros(n, dtype=bool), a, b)
    outcome = _behave(attack, a, b, outcome, rng)
    network = attack.first_network + member % attack.networks
    since = np.full(n, begin - int(attack.age_days * DAY), dtype=np.int64)
    prompt = rng.integers(1_000, 2**60, n)
    sitting = 2**40 * (1 + attack.number) + place
    votes = Votes(at, since, voter, network, category, a, b, outcome, prompt, np.ones(n, dtype=bool), sitting)
    return votes.take(np.argsort(at, kind="stable"))


def _with_target(attack: Attack, a: Array, b: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Put the target (or a friend) into the battles that the attackers look for."""
    wanted = np.array(attack.friends or (attack.target,))
    has = np.isin(a, wanted) | np.isin(b, wanted)
    placed = ~has & (attack.abstain | (rng.random(len(a)) < attack.focus))
    chosen, left = rng.choice(wanted, len(a)), rng.random(len(a)) < 0.5
    return np.where(placed & left, chosen, a), np.where(placed & ~left, chosen, b)


def _behave(attack: Attack, a: Array, b: Array, outcome: Array, rng: np.random.Generator) -> Array:
    n = len(a)
    ours_a, ours_b = (np.isin(side, np.array(attack.friends or (attack.target,))) for side in (a, b))
    ours = ours_a ^ ours_b
    win, lose = np.where(ours_a, 0, 1), np.where(ours_a, 1, 0)
    told: dict[str, Array] = {
        "promote": np.where(ours, win, outcome),
        "provider": np.where(ours, win, outcome),
        "demote": np.where(ours, lose, outcome),
        "losses to ties": np.where(ours & (outcome == lose), 2, outcome),
        "half strength": np.where(ours & (rng.random(n) < 0.5), win, outcome),
        "omnidirectional": np.where(outcome == 0, 1, np.where(outcome == 1, 0, outcome)),
        "random": rng.integers(0, 4, n),
        "left": np.zeros(n, dtype=np.int64),
    }
    return told[attack.behaviour].astype(np.int8)
