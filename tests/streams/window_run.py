"""Runs the window detectors over an independent stream, counted into windows as a worker counts them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline.detectors import WINDOW
from pipeline.events.registry_events import RegistryEvent, SamplingPolicy, Submitted
from pipeline.evidence import Reference
from pipeline.ratings import PairCounts, fit, select_rated_models
from pipeline.registry import Registry
from pipeline.scoring import window_counter
from pipeline.scoring.detector_contracts import WindowDetector, WindowState
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.sittings import voter_number
from pipeline.scoring.window_processor import (
    EvaluatedWindow,
    FalseAlarmLimits,
    WindowNames,
    run_window_detectors,
    windows_between,
)
from tests.streams.independent import DAY, NEVER, BoardSpec, Votes, hashed, sampling_weights

_OFFSET = 1_000


def network_name(number: int) -> str:
    return f"AS{_OFFSET + number}"


def model_names(spec: BoardSpec) -> tuple[str, ...]:
    return tuple(f"m{i:03d}" for i in range(spec.models))


def estimate_reference(spec: BoardSpec, votes: Votes) -> Reference:
    """Return what a snapshot of these votes says. The number of a model is its code + 1."""
    counts = PairCounts.from_codes(model_names(spec), votes.model_a, votes.model_b, votes.outcome)
    rated, _ = select_rated_models(counts.decisive(), least_share=0.0)
    estimated = fit(rated)
    number = np.array([model_names(spec).index(name) + 1 for name in rated.models], dtype=np.int64)
    share = float((votes.outcome >= 2).mean())
    return Reference(1, number, estimated.theta, estimated.covariance, share, (3.0, 3.0 * (1 / share - 1)))


def declared_registry(spec: BoardSpec, policy: bool = True) -> Registry:
    """Return a registry of all models, with the mean weights over categories as the policy."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=spec.start - 2 * DAY)
    events: list[RegistryEvent] = [
        Submitted(
            schema=1, event_id=f"s{i}", at=at, model=name, visibility="public",
            provider=f"p{i % max(spec.models // 4, 1)}", license="open" if i % 3 else "proprietary",
        )
        for i, name in enumerate(model_names(spec))
    ]  # fmt: skip
    if policy:
        weights = dict(zip(model_names(spec), sampling_weights(spec).mean(axis=0).tolist(), strict=True))
        events.append(SamplingPolicy(schema=1, event_id="policy", at=at, weights=weights))
    return Registry(events)


def to_window_votes(votes: Votes) -> window_counter.WindowVotes:
    n = len(votes)
    networks = np.array([window_counter.network_hash(network_name(i)) for i in range(int(votes.network.max()) + 1)])
    network = np.where(votes.network >= 0, networks[np.maximum(votes.network, 0)], -1)
    key = (hashed(votes.at, votes.voter, votes.model_a, 99) * 2**32).astype(np.int64)
    since = np.where(votes.since == NEVER, np.iinfo(np.int64).min, votes.since)
    return window_counter.WindowVotes(
        np.ones(n, dtype=np.int64),
        votes.at,
        np.zeros(n, dtype=np.bool_),
        np.stack([votes.model_a, votes.model_b], axis=1) + 1,
        votes.outcome.astype(np.int8),
        (key & 1).astype(np.uint8),
        window_counter.account_cohorts(votes.at, since),
        network,
        votes.prompt & 0xFFFFFFFF,
        voter_number((hashed(votes.voter, 98) * 2**62).astype(np.int64)),
    )


def window_alerts(
    spec: BoardSpec,
    votes: Votes,
    *,
    registry: Registry | None = None,
    detectors: Sequence[WindowDetector] = WINDOW,
    snapshot_day: float = 5,
    reference: Reference | None = None,
    every: float = 1e9,
) -> list[AlertSignal]:
    """Return the alerts that open.

    The votes up to `snapshot_day` make the first snapshot, and every so many days all votes so far make a new one.
    """
    split = np.searchsorted(votes.at, [spec.start + snapshot_day * DAY])
    days = np.arange(snapshot_day + every, spec.days, every)
    cuts = [*split.tolist(), *np.searchsorted(votes.at, spec.start + days * DAY).tolist(), len(votes)]
    parts = list(window_counter.count_votes(to_window_votes(votes.take(np.arange(cuts[0]))), None))
    for first, end in itertools.pairwise(cuts):
        known = reference or estimate_reference(spec, votes.take(np.arange(first)))
        parts += window_counter.count_votes(to_window_votes(votes.take(np.arange(first, end))), known)
    parts = [replace(one, partition=i) for i, one in enumerate(sorted(parts, key=lambda one: one.start))]
    registry = registry or declared_registry(spec)
    networks = {window_counter.network_hash(network_name(i)): network_name(i) for i in range(votes.network.max() + 1)}
    names = WindowNames({i + 1: name for i, name in enumerate(model_names(spec))}, networks)
    opened: list[AlertSignal] = []

    def collect(seen: EvaluatedWindow) -> None:
        opened.extend(s for s in seen.signals if isinstance(s, AlertSignal) and s.level == 1)

    states: dict[str, WindowState] = {}
    end = parts[-1].start + window_counter.WINDOW_WIDTH
    windows = windows_between(parts, parts[0].start, end, None, names, registry)
    run_window_detectors(windows, states, registry, detectors, FalseAlarmLimits(), collect)
    return opened


def by_detector(alerts: Sequence[AlertSignal]) -> Counter[str]:
    return Counter(one.detector for one in alerts)
