"""Boards whose voters have habits: tastes for styles of answers, and readiness to press "both are bad".

Independent of the product: numpy only. The tastes may have longer tails than a normal distribution, some people never
press "both are bad", and attackers follow one rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DAY = 86_400_000_000
FEATURES = 5
RULES = ("longer", "shorter", "lists", "emoji", "both bad")


@dataclass(frozen=True)
class HabitSpec:
    """A board.

    Attributes:
        votes, models: numbers of honest votes and of models.
        taste, sharpness_sd: spread of tastes for models, and of the logarithm of sharpness.
        style, style_sd: mean preference for more of each feature, and its spread between voters, in logits.
        both_bad, bad_sd: share of "both bad" of the median voter, spread of its logit.
        never: share of voters who never press it.
        tails: degrees of freedom of the t distribution of tastes for styles and of readiness; 0 for a normal one.
        ties: share of ties among the other votes.
        seed: of all random numbers.
    """

    votes: int = 40_000
    models: int = 20
    taste: float = 0.4
    sharpness_sd: float = 0.3
    style: float = 0.25
    style_sd: float = 0.3
    both_bad: float = 0.12
    bad_sd: float = 0.9
    never: float = 0.1
    tails: int = 0
    ties: float = 0.18
    seed: int = 0


@dataclass(frozen=True)
class HabitVotes:
    """Votes in any order.

    Attributes:
        voter, model_a, model_b, at: the columns of the votes; voters are numbers from 1.
        outcome: 0 (a wins), 1 (b wins), 2 (tie), 3 (both bad).
        style: int8[n, 5], which answer has more of each feature: 1 for a, −1 for b, 0 for as much.
        rule: voter → the rule that an attacker follows.
    """

    voter: Array
    model_a: Array
    model_b: Array
    at: Array
    outcome: Array
    style: Array
    rule: Mapping[int, str]


def make_habits(spec: HabitSpec, attackers: Mapping[str, int] | None = None, each: int = 100) -> HabitVotes:
    """Make a board with so many attackers of each rule, each with `each` votes."""
    rng = np.random.default_rng([spec.seed, 71])
    size = np.minimum((rng.pareto(1.5, spec.votes) + 1) * 4, 400).astype(np.int64)
    size = size[: int(np.searchsorted(np.cumsum(size), spec.votes)) + 1]
    honest, rules = len(size), [rule for rule, number in (attackers or {}).items() for _ in range(number)]
    size = np.concatenate([size, np.full(len(rules), each)])
    voter, people = np.repeat(np.arange(len(size)), size), len(size)
    n = len(voter)
    a = rng.integers(0, spec.models, n)
    b = (a + rng.integers(1, spec.models, n)) % spec.models
    style = _styles(spec, rng, a, b)
    strength = rng.normal(0, 0.7, spec.models)
    like = rng.normal(0, spec.taste, (people, spec.models))
    sharp = np.exp(rng.normal(0, spec.sharpness_sd, people))
    prefers = spec.style + spec.style_sd * _tailed(spec, rng, (people, FEATURES))
    logit = sharp[voter] * (strength[a] - strength[b]) + like[voter, a] - like[voter, b]
    # Features hang together, so each counts for a part: the strongest preference is that for length.
    logit = logit + (prefers[voter] * style * np.array([1.0, 0.3, 0.5, 0.3, 0.3])).sum(axis=1)
    ready = np.log(spec.both_bad / (1 - spec.both_bad)) + spec.bad_sd * _tailed(spec, rng, people)
    ready[rng.random(people) < spec.never] = -30.0
    weak = rng.normal(0, 0.4, spec.models)
    bad = rng.random(n) < _sigmoid(ready[voter] + weak[a] + weak[b])
    tied = rng.random(n) < spec.ties * np.exp(-np.abs(logit) / 4)
    outcome = np.where(bad, 3, np.where(tied, 2, np.where(rng.random(n) < _sigmoid(logit), 0, 1)))
    told = np.array([RULES.index(rule) for rule in rules], dtype=np.int64)
    rule = np.where(voter >= honest, told[np.maximum(voter - honest, 0)] if rules else 0, -1)
    outcome = _follow(rng, rule, style, outcome)
    at = (rng.random(people)[voter] * 50 * DAY + rng.random(n) * 6 * DAY).astype(np.int64)
    return HabitVotes(voter + 1, a, b, at, outcome, style, {honest + 1 + i: one for i, one in enumerate(rules)})


def _styles(spec: HabitSpec, rng: np.random.Generator, a: Array, b: Array) -> Array:
    """Return which answer has more of each feature: longer answers have more of all of them."""
    usual = rng.normal(0, 0.4, spec.models)
    length = [usual[side] + rng.normal(0, 0.5, len(a)) for side in (a, b)]
    found = np.zeros((len(a), FEATURES), dtype=np.int8)
    found[:, 0] = np.sign(np.round(40 * np.exp(length[0])) - np.round(40 * np.exp(length[1])))
    for feature, mean in enumerate((0.8, 2.0, 3.0, 0.3), start=1):
        habit = rng.normal(0, 0.5, spec.models)
        counts = [rng.poisson(mean * np.exp(x + habit[side])) for x, side in zip(length, (a, b), strict=True)]
        found[:, feature] = np.sign(counts[0] - counts[1])
    return found


def _follow(rng: np.random.Generator, rule: Array, style: Array, honest: Array) -> Array:
    """Return the outcomes, those of attackers by their rules, which they follow in nineteen of twenty votes."""
    outcome = honest.copy()
    follows = rng.random(len(honest)) < 0.95
    for number, name in enumerate(RULES):
        mine = follows & (rule == number)
        if name == "both bad":
            outcome[mine] = 3
            continue
        more = style[:, {"longer": 0, "shorter": 0, "lists": 2, "emoji": 4}[name]]
        shown = mine & (more != 0)
        outcome[shown] = np.where((more[shown] > 0) == (name != "shorter"), 0, 1)
    return outcome


def _tailed(spec: HabitSpec, rng: np.random.Generator, size: Any) -> Array:
    """Return numbers with a standard deviation of 1."""
    if not spec.tails:
        return rng.normal(0, 1, size)
    return rng.standard_t(spec.tails, size) * np.sqrt((spec.tails - 2) / spec.tails)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))
