"""Streams of honest votes, independent of `pipeline.lab.simulate`: numpy only, nothing of `pipeline`.

Error rates that are measured here do not rest on the assumptions of the product's own simulator.

A board's people vote in sittings: a voter casts several votes, each within a minute or so of the one before. Voters
differ in taste for each model, in sharpness, in their share of ties, in network, in category and in how often they come
back. Newcomers arrive all the time and may have other habits. `attacks.py` adds attackers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SECOND = 1_000_000
DAY = 86_400 * SECOND
NEVER = -(2**63)
WINNERS = ("model_a", "model_b", "tie", "both_bad")


@dataclass(frozen=True)
class BoardSpec:
    """An honest board.

    Attributes:
        days, votes_a_day: length, and mean number of votes.
        start: microseconds since 1970 UTC of the first day, a Monday by default.
        models, strength_sd: number of models, and spread of their strengths in logits.
        tie_share, tie_sd: share of ties of the median voter, and spread of its logit between voters.
        newcomer_ties: share of ties of newcomers; None as of everybody.
        taste, sharpness_sd: spread of a voter's taste for each model in logits; of the logarithm of its sharpness.
        sitting: mean number of votes of a sitting; 1 for votes that do not hang together.
        networks: number of networks, whose sizes follow a power law.
        newcomers: share of sittings by accounts that are made during the stream.
        viral: days with `viral_factor` times the votes, the additional ones mostly by newcomers.
        supporters, support: share of the voters that like one of three models by `support` logits more.
        categories, one_category: number of categories; share of voters who vote in one category only.
        category_weights: spread (of the logarithm) of a model's sampling weight between categories.
        completion_sd: spread (of the logarithm) of how often a battle with a model is voted on.
        day_sd, hour_sd: relative shocks of the number of sittings in a day and in an hour.
        seed: of all random numbers.
    """

    days: int = 30
    votes_a_day: float = 14_000.0
    start: int = 1_767_571_200 * SECOND
    models: int = 40
    strength_sd: float = 0.75
    tie_share: float = 0.33
    tie_sd: float = 0.7
    newcomer_ties: float | None = None
    taste: float = 0.3
    sharpness_sd: float = 0.2
    sitting: float = 5.0
    networks: int = 300
    newcomers: float = 0.25
    viral: tuple[int, ...] = ()
    viral_factor: float = 3.0
    supporters: float = 0.0
    support: float = 0.8
    categories: int = 6
    one_category: float = 0.3
    category_weights: float = 0.0
    completion_sd: float = 0.0
    day_sd: float = 0.1
    hour_sd: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class Votes:
    """Votes as columns of length n, in the order of time.

    Attributes:
        at, since: times in microseconds: of the vote, and of the voter's account (NEVER where unknown).
        voter, network, category: numbers; network −1 without one.
        model_a, model_b: numbers of the models from 0.
        outcome: position in WINNERS.
        prompt: number of the prompt.
        attack: whether an attacker cast the vote.
        sitting: number of the sitting.
    """

    at: Array
    since: Array
    voter: Array
    network: Array
    category: Array
    model_a: Array
    model_b: Array
    outcome: Array
    prompt: Array
    attack: Array
    sitting: Array

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.at)

    def take(self, rows: Array) -> Votes:
        """Return the votes at `rows`, a mask or positions."""
        return Votes(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def merge(self, *others: Votes) -> Votes:
        """Return all votes in the order of time."""
        parts = (self, *others)
        joined = Votes(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(self)})
        return joined.take(np.argsort(joined.at, kind="stable"))


@dataclass(frozen=True)
class Board:
    """An honest board: its votes, and the truth behind them.

    Attributes:
        spec: what it was made from.
        strengths: float[models], logits.
        votes: the votes.
        issued: all battles that were shown, voted on or not: columns at, model_a, model_b, category.
    """

    spec: BoardSpec
    strengths: Array
    votes: Votes
    issued: dict[str, Array]


def hashed(*parts: Array | int) -> Array:
    """Return a uniform number in (0, 1) for each combination of whole numbers (splitmix64)."""
    with np.errstate(over="ignore"):
        value = np.uint64(0x9E3779B97F4A7C15)
        for part in parts:
            value = np.asarray(part).astype(np.int64).view(np.uint64) * np.uint64(0xBF58476D1CE4E5B9) ^ value
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 0x9E3779B97F4A7C15)):
                value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
    return ((value >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def normal(*parts: Array | int) -> Array:
    """Return a standard normal number for each combination of whole numbers (Box-Muller)."""
    return np.asarray(np.sqrt(-2 * np.log(hashed(*parts, 1))) * np.cos(2 * np.pi * hashed(*parts, 2)))


def make_board(spec: BoardSpec) -> Board:
    """Make the votes of a board. Twelve million votes a minute at most; a month of 14,000 a day takes a second."""
    rng = np.random.default_rng(spec.seed)
    strengths = rng.normal(0, spec.strength_sd, spec.models)
    began, fresh = _sitting_times(spec, rng)
    voter, since = _sitting_voters(spec, rng, began, fresh)
    size = rng.geometric(1 / max(spec.sitting, 1.0), len(began))
    sitting = np.repeat(np.arange(len(began)), size)
    first = np.repeat(np.cumsum(size) - size, size)
    steps = np.cumsum(rng.gamma(1.5, 30 * SECOND, len(sitting)).astype(np.int64))
    at = began[sitting] + steps - steps[first]
    network = _networks(spec, voter, np.arange(len(began)))[sitting]
    voter, since = voter[sitting], since[sitting]
    newcomer = since >= spec.start
    category = _categories(spec, voter, rng)
    model_a, model_b = draw_pairs(spec, rng, category)
    issued = {"at": at - 40 * SECOND, "model_a": model_a, "model_b": model_b, "category": category}
    outcome = honest_outcomes(spec, strengths, rng, voter, newcomer, model_a, model_b)
    common = rng.random(len(at)) < 0.1
    prompt = np.where(common, rng.zipf(1.5, len(at)) % 500, rng.integers(1_000, 2**60, len(at)))
    known = np.where(hashed(voter, spec.seed, 7) < 0.1, NEVER, since)
    votes = Votes(
        at, known, voter, network, category, model_a, model_b, outcome, prompt, np.zeros(len(at), dtype=bool), sitting
    )
    completion = np.exp(rng.normal(0, spec.completion_sd, spec.models))
    chance = completion[model_a] * completion[model_b] / completion.max() ** 2
    kept = np.ones(len(at), dtype=bool) if spec.completion_sd == 0 else rng.random(len(at)) < chance
    order = np.argsort(at, kind="stable")
    issued = {name: values[order] for name, values in issued.items()}
    return Board(spec, strengths, votes.take(order[kept[order]]), issued)


def _sitting_times(spec: BoardSpec, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return when each sitting begins, in order, and whether it belongs to a viral surge."""
    hours = np.arange(spec.days * 24)
    profile = 1 + 0.5 * np.sin(2 * np.pi * (hours % 24 - 9) / 24)
    profile *= np.where(hours // 24 % 7 >= 5, 0.85, 1.0)
    profile *= np.repeat(np.exp(rng.normal(0, spec.day_sd, spec.days)), 24)
    profile *= rng.gamma(1 / spec.hour_sd**2, spec.hour_sd**2, len(hours))
    mean = profile * spec.votes_a_day / spec.sitting / 24
    surge = np.isin(hours // 24, spec.viral) * (spec.viral_factor - 1) * mean
    usual, more = rng.poisson(mean), rng.poisson(surge)
    hour = np.concatenate([np.repeat(hours, usual), np.repeat(hours, more)])
    began = spec.start + (hour * 3600 * SECOND + rng.random(len(hour)) * 3600 * SECOND).astype(np.int64)
    order = np.argsort(began, kind="stable")
    return began[order], (np.arange(len(hour)) >= usual.sum())[order]


def _sitting_voters(spec: BoardSpec, rng: np.random.Generator, began: Array, surge: Array) -> tuple[Array, Array]:
    """Return the voter of each sitting, and when the voter's account was made."""
    n = len(began)
    young = rng.random(n) < np.where(surge, 0.8, spec.newcomers)
    old = max(int(n * (1 - spec.newcomers) / 2), 20)
    weight = np.arange(1, old + 1) ** -0.7
    regular = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(n)).clip(max=old - 1)
    since = spec.start - ((10 + 600 * hashed(regular, spec.seed, 3)) * DAY).astype(np.int64)
    # Of a newcomer's sittings four in ten come back to one of the last three days: pointers to earlier sittings.
    rows = np.flatnonzero(young)
    root = np.arange(len(rows))
    recent = max(int(3 * len(rows) / spec.days), 1)
    back = root - 1 - (rng.random(len(rows)) * recent).astype(np.int64)
    root = np.where((rng.random(len(rows)) < 0.4) & (back >= 0), back, root)
    for _ in range(40):
        root = root[root]
    voter = regular.copy()
    voter[rows] = old + root
    since[rows] = began[rows[root]]
    return voter, since


def _networks(spec: BoardSpec, voter: Array, sitting: Array) -> Array:
    """Return the network of each sitting: the voter's own, one time in ten another; one voter in ten has none."""
    weight = np.arange(1, spec.networks + 1) ** -0.9
    shares = np.cumsum(weight) / weight.sum()
    travels = hashed(sitting, spec.seed, 11) < 0.1
    place = np.where(travels, hashed(sitting, spec.seed, 12), hashed(voter, spec.seed, 13))
    network = np.searchsorted(shares, place).clip(max=spec.networks - 1)
    return np.where(hashed(voter, spec.seed, 14) < 0.1, -1, network)


def _categories(spec: BoardSpec, voter: Array, rng: np.random.Generator) -> Array:
    own = (hashed(voter, spec.seed, 21) * spec.categories).astype(np.int64)
    loyal = (hashed(voter, spec.seed, 22) < spec.one_category) | (rng.random(len(voter)) < 0.3)
    return np.where(loyal, own, rng.integers(0, spec.categories, len(voter)))


def draw_pairs(spec: BoardSpec, rng: np.random.Generator, category: Array) -> tuple[Array, Array]:
    """Return two different models for each battle, drawn with the weights of its category (`sampling_weights`)."""
    weights = sampling_weights(spec)
    a, b = np.zeros(len(category), dtype=np.int64), np.zeros(len(category), dtype=np.int64)
    for one in range(spec.categories):
        rows = np.flatnonzero(category == one)
        shares = np.cumsum(weights[one]) / weights[one].sum()
        a[rows] = np.searchsorted(shares, rng.random(len(rows))).clip(max=spec.models - 1)
        again = rows
        while len(again):
            b[again] = np.searchsorted(shares, rng.random(len(again))).clip(max=spec.models - 1)
            again = again[a[again] == b[again]]
    return a, b


def sampling_weights(spec: BoardSpec) -> Array:
    """Return the sampling weight of each model in each category, float[categories, models]."""
    rng = np.random.default_rng([spec.seed, 31])
    return np.asarray(np.exp(rng.normal(0, spec.category_weights, (spec.categories, spec.models))))


def voter_taste(spec: BoardSpec, voter: Array, model: Array) -> Array:
    """Return each voter's taste for a model in logits, that of a supporter included."""
    taste = spec.taste * normal(voter, model, spec.seed, 41)
    loved = (hashed(voter, spec.seed, 42) * 3).astype(np.int64) % spec.models
    return np.where((hashed(voter, spec.seed, 43) < spec.supporters) & (loved == model), taste + spec.support, taste)


def honest_outcomes(
    spec: BoardSpec, strengths: Array, rng: np.random.Generator, voter: Array, newcomer: Array, a: Array, b: Array
) -> Array:
    """Return the outcome of each battle, a position in WINNERS, by the habits of its voter."""
    sharpness = np.exp(spec.sharpness_sd * normal(voter, spec.seed, 51))
    logit = sharpness * (strengths[a] - strengths[b]) + voter_taste(spec, voter, a) - voter_taste(spec, voter, b)
    share = np.where(newcomer, spec.newcomer_ties or spec.tie_share, spec.tie_share)
    own = 1 / (1 + (1 / share - 1) * np.exp(-spec.tie_sd * normal(voter, spec.seed, 52)))
    odds = own / (1 - own) / np.cosh(logit / 2)  # closer battles tie more often
    tied = rng.random(len(a)) < odds / (1 + odds)
    won = rng.random(len(a)) < 1 / (1 + np.exp(-logit))
    return np.where(tied, 2 + (rng.random(len(a)) < 0.5), np.where(won, 0, 1)).astype(np.int8)


def records(votes: Votes, prefix: str = "v") -> Iterator[dict[str, Any]]:
    """Yield each vote as an event of the topic of votes. Names: models m000, voters u0, networks AS1000, prompts p0."""
    for i in range(len(votes)):
        row = {
            "schema": 1,
            "vote_id": f"{prefix}{i}",
            "cast_at": _text(int(votes.at[i])),
            "model_a": f"m{votes.model_a[i]:03d}",
            "model_b": f"m{votes.model_b[i]:03d}",
            "winner": WINNERS[votes.outcome[i]],
            "voter_id": f"u{votes.voter[i]}",
            "category": f"c{votes.category[i]}",
            "prompt_hash": f"p{votes.prompt[i]}",
        }
        if votes.network[i] >= 0:
            row["network"] = f"AS{1000 + votes.network[i]}"
        if votes.since[i] != NEVER:
            row["voter_since"] = _text(int(votes.since[i]))
        yield row


def _text(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def with_seed(spec: BoardSpec, seed: int) -> BoardSpec:
    """Return the same board with other people and models."""
    return replace(spec, seed=seed)
