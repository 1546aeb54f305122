"""Simulates windows of votes (five minutes each), for tests and measurements of window detectors.

Thousands of windows are simulated per second. `simulate_stream` simulates complete votes instead, with the real pair
counts.

Honest votes: the rate of an hour is a daily rhythm times a random factor with a gamma distribution, which all windows
of the hour share. Pairs are drawn by the sampling policy that the registry declares for the time. Outcomes follow the
Bradley-Terry model with ties. Networks differ in popularity. The detectors use a snapshot whose strengths are
*estimated*: they have the error of 2,000 votes per model. A `WindowEffect` changes the votes of a range of windows.

The same parameters give the same windows. Without effects every vote is honest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from scipy.special import expit

from pipeline.events.registry_events import RegistryEvent, Released, SamplingPolicy, Submitted
from pipeline.evidence import Reference
from pipeline.lab.simulate.vote_times import hourly_rates
from pipeline.lab.simulate.voter_population import NETWORKS, TIE_SHARE, network_hashes
from pipeline.registry import Registry
from pipeline.scoring import window_builder, window_counter
from pipeline.scoring.detector_contracts import WindowContext, WindowDetector, WindowState
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.window import Window
from pipeline.scoring.window_counter import WINDOW_WIDTH
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import to_microseconds

_START = datetime(2024, 7, 1, tzinfo=UTC)  # a Monday
_DAY = 288
_BURSTINESS = 0.1
# Mean of the hourly rhythm over a week: five days of 1, two of .8.
_RHYTHM = 6.6 / 7
_SNAPSHOT_ERROR = 2.2 / 2_000**0.5
# Shares of votes from accounts of unknown age, from new accounts, and with one of a hundred popular prompts.
_UNKNOWN, _NEW, _REPEATS = 0.1, 0.28, 0.073


@dataclass(frozen=True, kw_only=True)
class WindowEffect:
    """A change of the votes in a range of windows.

    Attributes:
        first: number of the first window of the range.
        end: number of the window after the range.
        traffic: factor by which the number of honest votes is multiplied.
        sampling: model → factor by which its declared sampling weight is multiplied.
        shift: model → number of logits by which it is stronger than the snapshot knows.
        target: name of the model of the extra votes.
        votes: mean number of extra votes per window.
        wins: whether the extra votes are for the target; otherwise they are against it.
        cohort: cohort of the extra votes, a position in COHORTS.
        network: name of the network from which the extra votes come.
        prompt: number of the prompt of the extra votes; −1 for a prompt of its own for each vote.
        declared: whether the effect is honest: the sampling policy declares the changed weights, and the registry
            declares a release of the models in `sampling`.
    """

    first: int
    end: int
    traffic: float = 1.0
    sampling: dict[str, float] = field(default_factory=dict)
    shift: dict[str, float] = field(default_factory=dict)
    target: str | None = None
    votes: float = 0.0
    wins: bool = True
    cohort: int = 2
    network: str = NETWORKS[40]
    prompt: int = -1
    declared: bool = False


@dataclass(frozen=True, kw_only=True)
class SimulatedBoard:
    """The parameters of a simulated board, and its windows.

    Attributes:
        days: length in days.
        votes: mean number of votes per window.
        seed: seed of the simulation; the same seed gives the same windows.
        models: number of models. They are named m000, m001, …, and model i belongs to provider p(i mod `providers`).
        providers: number of providers.
        policy: whether the registry declares a sampling policy.
        weights: true and declared sampling weights of the models; None for equal weights.
        effects: changes of the votes in ranges of windows.
    """

    days: float
    votes: float
    seed: int
    models: int = 40
    providers: int = 10
    policy: bool = True
    weights: tuple[float, ...] | None = None
    effects: Sequence[WindowEffect] = ()

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names of the models, in the order of their numbers."""
        return tuple(f"m{i:03d}" for i in range(self.models))

    @cached_property
    def theta(self) -> Float64:
        """The true strengths of the models in logits, float64[models]."""
        return np.random.default_rng([self.seed, 0]).normal(0, 0.75, self.models)

    @cached_property
    def reference(self) -> Reference:
        """The ratings with which detectors evaluate votes: strengths with an error, their covariance, and tie rates.

        Model i of `model_names` has the number i + 1.
        """
        noise = np.random.default_rng([self.seed, 1]).normal(0, _SNAPSHOT_ERROR, self.models)
        covariance = np.eye(self.models) * _SNAPSHOT_ERROR**2
        return Reference(1, np.arange(self.models) + 1, self.theta + noise, covariance, TIE_SHARE, (3.2, 6.8))

    @property
    def _weights(self) -> Float64:
        return np.ones(self.models) if self.weights is None else np.array(self.weights, dtype=np.float64)

    def window_start(self, window: int) -> datetime:
        """Return the time at which the window with this number starts."""
        return _START + timedelta(minutes=5 * window)

    @cached_property
    def registry(self) -> Registry:
        """The registry with all models of the board, their providers and the sampling policies.

        An effect with `declared` adds events to the registry at its first window. These are a new sampling policy with
        the effect's weights, and a release of each model in the effect's `sampling`.
        """
        events: list[RegistryEvent] = [
            Submitted(
                schema=1, event_id=f"s{i}", at=_START - timedelta(days=1), model=name, visibility="public",
                provider=f"p{i % self.providers}", license="open" if i % 3 else "proprietary",
            )
            for i, name in enumerate(self.model_names)
        ]  # fmt: skip
        if self.policy:
            events.append(self._policy(_START - timedelta(days=1), {}))
        for effect in self.effects:
            if effect.declared:
                events.append(self._policy(self.window_start(effect.first), effect.sampling))
                events.append(self._policy(self.window_start(effect.end), {}))
                at = self.window_start(effect.first)
                events += [Released(schema=1, event_id=f"r{n} {at}", at=at, model=n) for n in effect.sampling]
        return Registry(events)

    def _policy(self, at: datetime, sampling: dict[str, float]) -> SamplingPolicy:
        weights = dict(zip(self.model_names, self._weights.tolist(), strict=True))
        for name, times in sampling.items():
            weights[name] *= times
        return SamplingPolicy(schema=1, event_id=f"policy {at}", at=at, weights=weights)

    def context(self, window: int, false_alarms: float = 1.0) -> WindowContext:
        """Return the context that a window detector needs for a window, such as the registry at its time.

        Args:
            window: number of the window.
            false_alarms: tolerated number of false alarms per detector and month.
        """
        start = to_microseconds(self.window_start(window))
        changed = self.registry.has_policy_change(start - WINDOW_WIDTH + 1, start + WINDOW_WIDTH)
        return WindowContext(self.registry.as_of(start), not changed, false_alarms)

    def windows(self) -> Iterator[Window]:
        """Yield all windows of the board, in order of time."""
        rates = hourly_rates(np.random.default_rng([self.seed, 2]), _START, self.days, _BURSTINESS)
        rates /= _RHYTHM
        networks = {window_counter.network_hash(name): name for name in NETWORKS}
        numbers = dict(enumerate(("", *self.model_names)))
        last = round(self.days * _DAY)
        for first in range(0, last, _DAY):
            end = min(first + _DAY, last)
            counted = {w.start: w for w in window_counter.count_votes(self._votes(first, end, rates), self.reference)}
            for window in range(first, end):
                start = to_microseconds(self.window_start(window))
                parts = [counted[start]] if start in counted else []
                yield window_builder.build_window(start, parts, numbers, networks, {})

    def alerts(self, detectors: Sequence[WindowDetector]) -> Iterator[tuple[int, Window, list[AlertSignal]]]:
        """Run detectors over all windows of the board, in order of time.

        Yields:
            Three values for each window: its number, the window, and the alerts that it raised.
        """
        states: dict[str, WindowState] = {detector.name: {} for detector in detectors}
        for number, window in enumerate(self.windows()):
            context, raised = self.context(number), list[AlertSignal]()
            for detector in detectors:
                states[detector.name], signals = detector.observe(window, states[detector.name], context)
                raised += [one for one in signals if isinstance(one, AlertSignal)]
            yield number, window, raised

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
                parts.append(self._extra(rng, extra, effect))
        joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        window, a, b, outcome, cohort, network, prompt = joined
        n = len(window)
        start = to_microseconds(_START)
        return window_counter.WindowVotes(
            np.ones(n, dtype=np.int64),
            start + window * WINDOW_WIDTH + rng.integers(0, WINDOW_WIDTH, n),
            np.zeros(n, dtype=np.bool_),
            np.column_stack([a, b]) + 1,
            outcome.astype(np.int8),
            rng.integers(0, 2, n).astype(np.uint8),
            cohort,
            network_hashes()[network],
            prompt,
        )

    def _honest(self, rng: np.random.Generator, window: Int64, active: Sequence[WindowEffect]) -> tuple[Int64, ...]:
        n = len(window)
        a, b = self._pairs(rng, window, active)
        cohort = np.searchsorted([_UNKNOWN, 1 - _NEW], rng.random(n), side="right")
        popular = np.cumsum(1 / np.arange(1, len(NETWORKS) + 1))
        network = np.searchsorted(popular, rng.uniform(0, popular[-1], n), side="right")
        prompt = rng.integers(1000, 2**32, n)
        repeated = rng.random(n) < _REPEATS
        prompt[repeated] = rng.integers(0, 100, int(repeated.sum()))
        return window, a, b, self._outcomes(rng, window, a, b, active), cohort, network, prompt

    def _pairs(self, rng: np.random.Generator, window: Int64, active: Sequence[WindowEffect]) -> tuple[Int64, Int64]:
        weights: Float64 = self._weights[None]
        which = np.zeros(len(window), dtype=np.int64)
        for effect in active:
            if effect.sampling:
                row = self._weights
                for name, times in effect.sampling.items():
                    row[self.model_names.index(name)] *= times
                which[(window >= effect.first) & (window < effect.end)] = len(weights)
                weights = np.vstack([weights, row])
        a, b = np.zeros(len(window), dtype=np.int64), np.zeros(len(window), dtype=np.int64)
        for number, drawn in enumerate(weights):
            mine = np.flatnonzero(which == number)
            edges = np.cumsum(drawn)
            left = np.searchsorted(edges, rng.uniform(0, edges[-1], len(mine)), side="right")
            right = np.searchsorted(edges, rng.uniform(0, edges[-1], len(mine)), side="right")
            while (same := left == right).any():  # redraw: the second model ∝ weight among the others
                right[same] = np.searchsorted(edges, rng.uniform(0, edges[-1], int(same.sum())), side="right")
            a[mine], b[mine] = left, right
        swap = rng.random(len(window)) < 0.5
        return np.where(swap, b, a), np.where(swap, a, b)

    def _outcomes(
        self, rng: np.random.Generator, window: Int64, a: Int64, b: Int64, active: Sequence[WindowEffect]
    ) -> Int64:
        logit = self.theta[a] - self.theta[b]
        for effect in active:
            inside = (window >= effect.first) & (window < effect.end)
            for name, by in effect.shift.items():
                model = self.model_names.index(name)
                logit += by * inside * ((a == model).astype(np.float64) - (b == model))
        decided = rng.random(len(a)) >= expit(logit)
        return np.where(rng.random(len(a)) < TIE_SHARE, 2, decided).astype(np.int64)

    def _extra(self, rng: np.random.Generator, window: Int64, effect: WindowEffect) -> tuple[Int64, ...]:
        n = len(window)
        target = self.model_names.index(str(effect.target))
        other = (target + rng.integers(1, self.models, n)) % self.models
        left = rng.random(n) < 0.5
        a, b = np.where(left, target, other), np.where(left, other, target)
        outcome = np.where(left == effect.wins, 0, 1)
        network = np.full(n, NETWORKS.index(effect.network))
        prompt = rng.integers(1000, 2**32, n) if effect.prompt < 0 else np.full(n, effect.prompt)
        return window, a, b, outcome, np.full(n, effect.cohort), network, prompt
