"""A board window by window: what window detectors are tried on.

Where `plant` makes votes of voters from the real pair counts, this makes windows of votes from a stated sampling
policy, thousands of them in a second: for detectors that read windows alone, their laws and their error rates.

Honest votes: hourly rates with a daily rhythm and gamma shocks (counts are over-dispersed and share their shock),
pairs by the policy in force, outcomes by Bradley-Terry and ties, networks by popularity. The snapshot in force is
*estimated*: the truth and an error of so many earlier votes. Effects change a stretch of windows.

Law: the same spec gives the same windows; without effects nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from scipy.special import expit

from pipeline.events.registry_events import RegistryEvent, Released, SamplingPolicy, Submitted
from pipeline.evidence import Reference
from pipeline.lab.simulate.vote_times import hourly_rates
from pipeline.lab.simulate.voter_population import NETWORKS
from pipeline.registry import Registry
from pipeline.scoring import window_builder as counting
from pipeline.scoring import window_counter
from pipeline.scoring.detector_contracts import WindowContext
from pipeline.scoring.window import Window
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import to_microseconds

TIES = 0.32
"""Share of ties among honest votes."""

_DAY = 288
# Mean of the clock's rhythm over a week: five days of 1, two of .8.
_RHYTHM = 6.6 / 7


@dataclass(frozen=True, kw_only=True)
class WindowEffect:
    """What is different in the windows [first, end).

    Attributes:
        first, end: numbers of windows.
        traffic: honest votes are so many times as many.
        sampling: a model → how many times its weight it is really drawn with, whatever is declared.
        target: a model that extra votes are about.
        votes: extra votes a window, all for (or against) the target.
        wins: whether they make it win.
        cohort, network, prompt: what those votes have in common; the cohort is a position in COHORTS.
        declared: the policy says what `sampling` does, and the registry a release of the target: then it is honest.
    """

    first: int
    end: int
    traffic: float = 1.0
    sampling: dict[str, float] = field(default_factory=dict)
    target: str | None = None
    votes: float = 0.0
    wins: bool = True
    cohort: int = 2
    network: str = NETWORKS[40]
    prompt: int = -1
    declared: bool = False


@dataclass(frozen=True, kw_only=True)
class SimulatedBoard:
    """Describes a board and its windows.

    Attributes:
        days, votes: how long, and the mean number of votes a window.
        seed: the same seed gives the same windows.
        models: how many; their names are m000, m001, …; model i is of provider p(i mod `providers`).
        providers: how many.
        burstiness: variance of the hourly shocks.
        new, unknown: shares of votes from new accounts, and from accounts of unknown age.
        repeats: share of votes whose prompt is one of a hundred popular ones.
        earlier: votes a model that the snapshot in force was estimated from; None: it is the truth.
        policy: whether the registry declares a policy.
        weights: of the models in it, and in truth; default: equal ones.
        effects: what is different, when.
        start: of the first window; the default is a Monday.
    """

    days: float
    votes: float
    seed: int
    models: int = 40
    providers: int = 10
    burstiness: float = 0.1
    new: float = 0.28
    unknown: float = 0.1
    repeats: float = 0.073
    earlier: int | None = 2_000
    policy: bool = True
    weights: tuple[float, ...] | None = None
    effects: Sequence[WindowEffect] = ()
    start: datetime = datetime(2024, 7, 1, tzinfo=UTC)

    @property
    def names(self) -> tuple[str, ...]:
        """The models."""
        return tuple(f"m{i:03d}" for i in range(self.models))

    @property
    def count(self) -> int:
        """The number of windows."""
        return round(self.days * _DAY)

    @cached_property
    def theta(self) -> Float64:
        """True strengths in logits, float64[models]."""
        return np.random.default_rng([self.seed, 0]).normal(0, 0.75, self.models)

    @cached_property
    def reference(self) -> Reference:
        """What the snapshot in force says. Model i of `names` has the number i + 1."""
        error = 0.0 if self.earlier is None else 2.2 / self.earlier**0.5
        noise = np.random.default_rng([self.seed, 1]).normal(0, error, self.models)
        return Reference(
            1, np.arange(self.models) + 1, self.theta + noise, np.eye(self.models) * error**2, TIES, (3.2, 6.8)
        )

    @property
    def _weights(self) -> Float64:
        return np.ones(self.models) if self.weights is None else np.array(self.weights, dtype=np.float64)

    def at(self, window: int) -> datetime:
        """When a window starts."""
        return self.start + timedelta(minutes=5 * window)

    @cached_property
    def registry(self) -> Registry:
        """Who made what, and the policies; an effect that is declared changes the policy at its first window."""
        events: list[RegistryEvent] = [
            Submitted(
                schema=1, event_id=f"s{i}", at=self.start - timedelta(days=1), model=name, visibility="public",
                provider=f"p{i % self.providers}", license="open" if i % 3 else "proprietary",
            )
            for i, name in enumerate(self.names)
        ]  # fmt: skip
        if self.policy:
            events.append(self._policy(self.start - timedelta(days=1), {}))
        for effect in self.effects:
            if effect.declared:
                events.append(self._policy(self.at(effect.first), effect.sampling))
                events.append(self._policy(self.at(effect.end), {}))
                at = self.at(effect.first)
                events += [Released(schema=1, event_id=f"r{n} {at}", at=at, model=n) for n in effect.sampling]
        return Registry(events)

    def _policy(self, at: datetime, sampling: dict[str, float]) -> SamplingPolicy:
        weights = dict(zip(self.names, self._weights.tolist(), strict=True))
        for name, times in sampling.items():
            weights[name] *= times
        return SamplingPolicy(schema=1, event_id=f"policy {at}", at=at, weights=weights)

    def context(self, window: int, false_alarms: float = 1.0) -> WindowContext:
        """What a detector may know at a window."""
        start = to_microseconds(self.at(window))
        changes = self.registry.has_policy_change(
            start - window_counter.WINDOW_WIDTH + 1, start + window_counter.WINDOW_WIDTH
        )
        return WindowContext(self.registry.as_of(start), not changes, false_alarms)

    def windows(self) -> Iterator[Window]:
        """Every window, in order."""
        rates = hourly_rates(np.random.default_rng([self.seed, 2]), self.start, self.days, self.burstiness)
        rates /= _RHYTHM
        networks = {window_counter.network_hash(name): name for name in NETWORKS}
        numbers = dict(enumerate(("", *self.names)))
        for first in range(0, self.count, _DAY):
            end = min(first + _DAY, self.count)
            counted = {w.start: w for w in window_counter.count_votes(self._votes(first, end, rates), self.reference)}
            for window in range(first, end):
                start = to_microseconds(self.at(window))
                parts = [counted[start]] if start in counted else []
                yield counting.build_window(start, parts, numbers, networks, {})

    def _votes(self, first: int, end: int, rates: Float64) -> window_counter.WindowVotes:
        rng = np.random.default_rng([self.seed, 3, first])
        at = np.arange(first, end)
        factor, parts = np.ones(end - first), []
        active = [e for e in self.effects if e.first < end and e.end > first]
        for effect in active:
            factor[max(effect.first - first, 0) : max(effect.end - first, 0)] *= effect.traffic
        number = rng.poisson(self.votes * rates[at // 12] * factor)
        window = np.repeat(at, number)
        parts.append(self._honest(rng, window, active))
        for effect in active:
            inside = at[(at >= effect.first) & (at < effect.end)]
            extra = np.repeat(inside, rng.poisson(effect.votes, len(inside)))
            if effect.target is not None and len(extra):
                parts.append(self._bought(rng, extra, effect))
        joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        window, a, b, outcome, cohort, network, prompt = joined
        n = len(window)
        start = to_microseconds(self.start)
        return window_counter.WindowVotes(
            np.ones(n, dtype=np.int64),
            start + window * window_counter.WINDOW_WIDTH + rng.integers(0, window_counter.WINDOW_WIDTH, n),
            np.zeros(n, dtype=np.bool_),
            np.column_stack([a, b]) + 1,
            outcome.astype(np.int8),
            rng.integers(0, 2, n).astype(np.uint8),
            cohort,
            _groups()[network],
            prompt,
        )

    def _honest(self, rng: np.random.Generator, window: Int64, active: Sequence[WindowEffect]) -> tuple[Int64, ...]:
        n = len(window)
        a, b = self._pairs(rng, window, active)
        cohort = np.searchsorted([self.unknown, 1 - self.new], rng.random(n), side="right")
        popular = np.cumsum(1 / np.arange(1, len(NETWORKS) + 1))
        network = np.searchsorted(popular, rng.uniform(0, popular[-1], n), side="right")
        prompt = rng.integers(1000, 2**32, n)
        repeated = rng.random(n) < self.repeats
        prompt[repeated] = rng.integers(0, 100, int(repeated.sum()))
        return window, a, b, self._outcomes(rng, a, b), cohort, network, prompt

    def _pairs(self, rng: np.random.Generator, window: Int64, active: Sequence[WindowEffect]) -> tuple[Int64, Int64]:
        weights: Float64 = self._weights[None]
        which = np.zeros(len(window), dtype=np.int64)
        for effect in active:
            if effect.sampling:
                row = self._weights
                for name, times in effect.sampling.items():
                    row[self.names.index(name)] *= times
                which[(window >= effect.first) & (window < effect.end)] = len(weights)
                weights = np.vstack([weights, row])
        a, b = np.zeros(len(window), dtype=np.int64), np.zeros(len(window), dtype=np.int64)
        for number, drawn in enumerate(weights):
            mine = np.flatnonzero(which == number)
            edges = np.cumsum(drawn)
            left = np.searchsorted(edges, rng.uniform(0, edges[-1], len(mine)), side="right")
            right = np.searchsorted(edges, rng.uniform(0, edges[-1], len(mine)), side="right")
            while (same := left == right).any():  # drawn again among all: the second ∝ weight among the others
                right[same] = np.searchsorted(edges, rng.uniform(0, edges[-1], int(same.sum())), side="right")
            a[mine], b[mine] = left, right
        swap = rng.random(len(window)) < 0.5
        return np.where(swap, b, a), np.where(swap, a, b)

    def _outcomes(self, rng: np.random.Generator, a: Int64, b: Int64) -> Int64:
        decided = rng.random(len(a)) >= expit(self.theta[a] - self.theta[b])
        return np.where(rng.random(len(a)) < TIES, 2, decided).astype(np.int64)

    def _bought(self, rng: np.random.Generator, window: Int64, effect: WindowEffect) -> tuple[Int64, ...]:
        n = len(window)
        target = self.names.index(str(effect.target))
        other = (target + rng.integers(1, self.models, n)) % self.models
        left = rng.random(n) < 0.5
        a, b = np.where(left, target, other), np.where(left, other, target)
        outcome = np.where(left == effect.wins, 0, 1)
        network = np.full(n, NETWORKS.index(effect.network))
        prompt = rng.integers(1000, 2**32, n) if effect.prompt < 0 else np.full(n, effect.prompt)
        return window, a, b, outcome, np.full(n, effect.cohort), network, prompt


def _groups() -> Int64:
    return np.array([window_counter.network_hash(name) for name in NETWORKS], dtype=np.int64)
