"""Runs every detector over a simulated stream of votes in memory, and rates the stream with and without selected votes.

The first part of the stream is honest. The snapshot that is estimated from the first part evaluates the votes of the
second part. Detectors, states and windows are those of the pipeline; only the store is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.detectors import VOTER, WINDOW
from pipeline.evidence import Reference
from pipeline.lab.simulate import SimulatedStream
from pipeline.lab.simulate.voter_population import NETWORKS, network_hashes
from pipeline.ratings import PairCounts, fit, select_rated_models
from pipeline.registry import Registry
from pipeline.scoring import window_counter
from pipeline.scoring.detector_contracts import VoterVotes, WindowState
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.window import NEW_ACCOUNT
from pipeline.scoring.window_processor import (
    EvaluatedWindow,
    FalseAlarmLimits,
    WindowNames,
    run_window_detectors,
    windows_between,
)
from pipeline.vocabulary.arrays import Bool, Float64, Int64

_BATCH = 5_000
# Windows before the second part, from which the window detectors learn rates and shares.
_LEARNING_WINDOWS = 8 * 288


@dataclass
class RaisedAlert:
    """One alert that opened or escalated.

    Attributes:
        detector: name of the detector.
        subject: the voter (code in hexadecimal), model, provider, network or board that the alert is about.
        direction: what the alert says about the subject, such as "biased".
        severity: "warning" or "critical".
        at: event time of the alert, in microseconds.
        row: row of the vote that raised the alert; −1 for an alert of a window detector.
        evidence: the figures of the alert (`AlertSignal.evidence`).
        until: event time at which a window alert was cleared; the end of the stream if it was not cleared.
        e_value: e-value of the alert; None for an alert without one.
        kind: kind of the subject, such as "voter".
    """

    detector: str
    subject: str
    direction: str
    severity: str
    at: int
    row: int
    evidence: dict[str, object]
    until: int = 0
    e_value: float | None = None
    kind: str = "voter"


@dataclass
class DetectorRun:
    """The result of running all detectors over a stream.

    Attributes:
        stream: all votes, in order of time.
        split: row of the first vote that is evaluated.
        reference: the ratings estimated from the votes before row `split`, with covariance and tie rates.
        alerts: the alerts, in order of time.
        votes: the evaluated votes, sorted by voter as voter detectors need them. The name of a voter is its code.
    """

    stream: SimulatedStream
    split: int
    reference: Reference
    alerts: list[RaisedAlert]
    votes: VoterVotes

    def alerted_voters(self, direction: str | None = None) -> set[int]:
        """Return the codes of the voters with an alert.

        Args:
            direction: "random" for alerts about random clicks, another text for alerts of all other directions, None
                for all alerts.
        """
        return {
            int(one.subject, 16)
            for one in self.alerts
            if one.row >= 0 and (direction is None or (one.direction == "random") == (direction == "random"))
        }

    @property
    def critical_voters(self) -> set[int]:
        """Return the codes of the voters with a critical alert, whose votes the policy auto-voter/1 excludes."""
        return {int(one.subject, 16) for one in self.alerts if one.row >= 0 and one.severity == "critical"}


def run_detectors(stream: SimulatedStream, split: int) -> DetectorRun:
    """Run every detector over a stream.

    Args:
        stream: the votes, in order of time.
        split: row of the first vote that is evaluated. The snapshot is estimated from the earlier votes.

    Returns:
        The alerts, the evaluated votes and the reference.
    """
    reference = estimate_reference(stream.take(slice(0, split)))
    alerts = [*_voter_alerts(stream, split, reference), *_window_alerts(stream, split, reference)]
    alerts.sort(key=lambda one: (one.at, one.detector))
    return DetectorRun(stream, split, reference, alerts, _votes_by_voter(stream, np.arange(split, len(stream))))


def with_twin(stream: SimulatedStream, model: str) -> SimulatedStream:
    """Return the stream with half of a model's battles, chosen at random, under a second name.

    The two names are like two identical checkpoints of the model.
    """
    code, twin = stream.models.index(model), len(stream.models)
    second = np.random.default_rng([stream.seed, 8]).random(len(stream)) < 0.5
    a, b = (np.where(second & (side == code), twin, side).astype(np.int16) for side in (stream.model_a, stream.model_b))
    return replace(stream, models=(*stream.models, f"{model} (twin)"), model_a=a, model_b=b)


def estimate_reference(stream: SimulatedStream) -> Reference:
    """Estimate the reference (ratings with covariance and tie rates) from votes, as a refresh does.

    The number of a model is its code + 1.
    """
    counts = stream.pair_counts()
    rated, _ = select_rated_models(counts.decisive(), least_share=0.0)
    estimated = fit(rated)
    number = np.array([stream.models.index(name) + 1 for name in rated.models], dtype=np.int64)
    ties = counts.ties.sum() + counts.both_bad.sum()
    share = float(ties / counts.table().sum())
    tied = stream.outcome >= 2
    n = np.bincount(stream.voter).astype(np.float64)
    k = np.bincount(stream.voter, weights=tied)
    squared = (k * (k - 1)).sum() / max((n * (n - 1)).sum(), 1)
    spread = max(squared - share**2, 1e-4)
    size = float(np.clip(share * (1 - share) / spread - 1, 1, 1000))
    return Reference(1, number, estimated.theta, estimated.covariance, share, (size * share, size * (1 - share)))


def _votes_by_voter(stream: SimulatedStream, rows: Int64) -> VoterVotes:
    order = rows[np.argsort(stream.voter[rows], kind="stable")]
    names, voter = np.unique(stream.voter[order], return_inverse=True)
    return VoterVotes(
        voter,
        names.astype(np.int64),
        1,
        order,
        stream.cast_at[order],
        stream.model_a[order].astype(np.int64) + 1,
        stream.model_b[order].astype(np.int64) + 1,
        stream.outcome[order],
        stream.prompt_hash[order].view(np.int64),
    )


def _voter_alerts(stream: SimulatedStream, split: int, reference: Reference) -> list[RaisedAlert]:
    states: dict[str, dict[int, bytes]] = {d.name: {} for d in VOTER}
    alerts: list[RaisedAlert] = []
    for first in range(split, len(stream), _BATCH):
        votes = _votes_by_voter(stream, np.arange(first, min(first + _BATCH, len(stream))))
        names = votes.names.tolist()
        for detector in VOTER:
            state = states[detector.name]
            after, raised = detector.observe(votes, [state.get(name) for name in names], reference)
            state.update(zip(names, after, strict=True))
            alerts += [_alert(one, one.offset) for one in raised]
    return alerts


def _window_alerts(stream: SimulatedStream, split: int, reference: Reference) -> list[RaisedAlert]:
    first = int(stream.cast_at[split]) - _LEARNING_WINDOWS * window_counter.WINDOW_WIDTH
    begin = int(np.searchsorted(stream.cast_at, first))
    before = _count(stream, np.arange(begin, split), None)
    after = _count(stream, np.arange(split, len(stream)), reference)
    parts = sorted([*before, *after], key=lambda one: one.start)
    names = WindowNames(
        {code + 1: name for code, name in enumerate(stream.models)},
        {window_counter.network_hash(network): network for network in NETWORKS},
    )
    alerts: list[RaisedAlert] = []
    open_alerts: dict[tuple[str, str, str], list[RaisedAlert]] = {}
    end = parts[-1].start + window_counter.WINDOW_WIDTH

    def collect(evaluated: EvaluatedWindow) -> None:
        for one in evaluated.signals:
            key = (one.detector, one.subject, one.direction)
            if isinstance(one, AlertSignal):
                alerts.append(_alert(one, -1, end))
                open_alerts.setdefault(key, []).append(alerts[-1])
            else:
                for alert in open_alerts.pop(key, []):
                    alert.until = one.at

    states: dict[str, WindowState] = {}
    coming = windows_between(parts, parts[0].start, end, None, names, Registry())
    run_window_detectors(coming, states, Registry(), WINDOW, FalseAlarmLimits(), collect)
    return alerts


def _count(stream: SimulatedStream, rows: Int64, reference: Reference | None) -> Sequence[window_counter.WindowCounts]:
    models = np.stack([stream.model_a[rows], stream.model_b[rows]], axis=1).astype(np.int64) + 1
    counted = window_counter.WindowVotes(
        np.ones(len(rows), dtype=np.int64),
        stream.cast_at[rows],
        np.zeros(len(rows), dtype=np.bool_),
        models,
        stream.outcome[rows],
        (stream.prompt_hash[rows] & np.uint64(1)).astype(np.uint8) ^ (stream.serial[rows] & 1).astype(np.uint8),
        window_counter.account_cohorts(stream.cast_at[rows], stream.voter_since[rows]),
        network_hashes()[stream.network[rows]],
        (stream.prompt_hash[rows] & np.uint64(0xFFFFFFFF)).astype(np.int64),
        stream.voter[rows].astype(np.int64) + 1,
    )
    return window_counter.count_votes(counted, reference)


def _alert(one: AlertSignal, row: int, until: int = 0) -> RaisedAlert:
    return RaisedAlert(
        one.detector, one.subject, one.direction, one.severity, one.at, row, dict(one.evidence), until, one.e_value,
        one.subject_kind,
    )  # fmt: skip


def votes_under_alerts(stream: SimulatedStream, alerts: Sequence[RaisedAlert], about: str) -> Bool:
    """Return the votes that a person may exclude: those on which window detectors' alerts about a model are based.

    Args:
        stream: n votes.
        alerts: the alerts of all detectors.
        about: name of the model.

    Returns:
        bool[n], true for a vote that a person may exclude.
    """
    chosen = np.zeros(len(stream), dtype=np.bool_)
    code = stream.models.index(about)
    for one in alerts:
        window = one.evidence.get("window")
        if one.row >= 0 or one.subject != about or not isinstance(window, list):
            continue
        mine = (stream.cast_at >= window[0]) & (stream.cast_at < one.until)
        mine &= (stream.model_a == code) | (stream.model_b == code)
        if "cohort" in one.evidence:
            mine &= stream.cast_at - stream.voter_since <= NEW_ACCOUNT
        if "network" in one.evidence:
            mine &= stream.network == NETWORKS.index(str(one.evidence["network"]))
        if "prompt" in one.evidence:
            value, _, bits = str(one.evidence["prompt"]).partition("/")
            mask = (1 << int(bits or 32)) - 1
            mine &= (stream.prompt_hash & np.uint64(mask)) == np.uint64(int(value, 16) & mask)
        chosen |= mine
    return chosen


def fit_ratings(stream: SimulatedStream, kept: Bool) -> Float64:
    """Rate a stream from the votes for which `kept` is true. Returns the strengths θ, float64[K] in logits.

    A model that is not rated has NaN.
    """
    counts = PairCounts.from_codes(stream.models, stream.model_a[kept], stream.model_b[kept], stream.outcome[kept])
    rated, _ = select_rated_models(counts, least_share=0.0)
    theta = np.full(len(stream.models), np.nan)
    theta[[stream.models.index(name) for name in rated.models]] = fit(rated).theta
    return theta


def rank_of(theta: Float64, model: int) -> int:
    """Return the rank of a model by strength; 1 is the best.

    Args:
        theta: float64[K], strengths of the models.
        model: position of the model in `theta`.
    """
    return int((theta > theta[model]).sum()) + 1
