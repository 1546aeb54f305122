"""One stream through the detectors, in memory: what the worker and the monitor would say, and what the board loses.

The stream is parted: the first part is honest and gives the snapshot that judges the second. The detectors, their
states and the way votes become windows are the pipeline's own; only the store is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
from pipeline.scoring.window_processor import (
    EvaluatedWindow,
    FalseAlarmLimits,
    WindowNames,
    run_window_detectors,
    windows_between,
)
from pipeline.vocabulary.arrays import Bool, Float64, Int64

_BATCH = 5_000
# Windows that are watched before the attack may begin: rates and shares must be learned first.
_BASELINE = 8 * 288


@dataclass
class RaisedAlert:
    """One alert that opened or escalated.

    Attributes:
        detector, subject, direction, severity: as in `AlertSignal`.
        at: event time.
        row: the vote of the stream at which it was reached; −1 for a window.
        evidence: what was seen.
        until: of a window, the event time at which the alert was over; that of the last window if it stands.
    """

    detector: str
    subject: str
    direction: str
    severity: str
    at: int
    row: int
    evidence: dict[str, object]
    until: int = 0


@dataclass
class DetectorRun:
    """What became of a stream.

    Attributes:
        stream: all votes, in the order of time.
        parting: row of the first vote that is judged.
        reference: the snapshot that judges.
        told: alerts, in order of time.
        votes: the judged votes as voter detectors saw them, sorted by voter; `rows` are their rows in the stream.
    """

    stream: SimulatedStream
    parting: int
    reference: Reference
    told: list[RaisedAlert]
    votes: VoterVotes
    rows: Int64 = field(repr=False)

    def alerted_voters(self, direction: str | None = None) -> set[int]:
        """Codes of voters with an alert; of `voter_bias`' direction "random", or of every other, if one is named."""
        return {
            int(one.subject, 16)
            for one in self.told
            if one.row >= 0 and (direction is None or (one.direction == "random") == (direction == "random"))
        }

    @property
    def critical_voters(self) -> set[int]:
        """Codes of voters whose votes the policy auto-voter/1 leaves out."""
        return {int(one.subject, 16) for one in self.told if one.row >= 0 and one.severity == "critical"}


def run_detectors(stream: SimulatedStream, parting: int) -> DetectorRun:
    """Run every detector over a stream.

    Args:
        parting: row of the first vote that is judged; those before it are honest and give the snapshot.
    """
    reference = estimate_reference(stream.take(slice(0, parting)))
    votes, rows = votes_by_voter(stream, parting)
    told = [*_voters(stream, parting, reference), *_windows(stream, parting, reference)]
    told.sort(key=lambda one: (one.at, one.detector))
    return DetectorRun(stream, parting, reference, told, votes, rows)


def with_twin(stream: SimulatedStream, model: str) -> SimulatedStream:
    """The stream with a model under two names, each of its votes under either by chance: identical checkpoints."""
    code, twin = stream.models.index(model), len(stream.models)
    second = np.random.default_rng([stream.seed, 8]).random(len(stream)) < 0.5
    a, b = (np.where(second & (side == code), twin, side).astype(np.int16) for side in (stream.model_a, stream.model_b))
    return replace(stream, models=(*stream.models, f"{model} (twin)"), model_a=a, model_b=b)


def estimate_reference(stream: SimulatedStream) -> Reference:
    """Honest behaviour as a refresh would estimate it from these votes; numbers of models are codes + 1."""
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


def votes_by_voter(stream: SimulatedStream, parting: int) -> tuple[VoterVotes, Int64]:
    """The judged votes sorted by voter, with voters' codes as names, and their rows in the stream."""
    rows = np.arange(parting, len(stream))
    order = rows[np.argsort(stream.voter[rows], kind="stable")]
    return _seen(stream, order), order


def _seen(stream: SimulatedStream, order: Int64) -> VoterVotes:
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


def _voters(stream: SimulatedStream, parting: int, reference: Reference) -> list[RaisedAlert]:
    states: dict[str, dict[int, bytes]] = {d.name: {} for d in VOTER}
    told: list[RaisedAlert] = []
    for first in range(parting, len(stream), _BATCH):
        rows = np.arange(first, min(first + _BATCH, len(stream)))
        votes = _seen(stream, rows[np.argsort(stream.voter[rows], kind="stable")])
        names = votes.names.tolist()
        for detector in VOTER:
            held = states[detector.name]
            after, raised = detector.observe(votes, [held.get(name) for name in names], reference)
            held.update(zip(names, after, strict=True))
            told += [_told(one, one.offset) for one in raised]
    return told


def _windows(stream: SimulatedStream, parting: int, reference: Reference) -> list[RaisedAlert]:
    first = int(stream.cast_at[parting]) - _BASELINE * window_counter.WINDOW_WIDTH
    begin = int(np.searchsorted(stream.cast_at, first))
    before = _count(stream, np.arange(begin, parting), None)
    after = _count(stream, np.arange(parting, len(stream)), reference)
    parts = sorted([*before, *after], key=lambda one: one.start)
    names = WindowNames(
        {code + 1: name for code, name in enumerate(stream.models)},
        {window_counter.network_hash(network): network for network in NETWORKS},
    )
    told: list[RaisedAlert] = []

    standing: dict[tuple[str, str, str], list[RaisedAlert]] = {}
    end = parts[-1].start + window_counter.WINDOW_WIDTH

    def tell(seen: EvaluatedWindow) -> None:
        for one in seen.signals:
            key = (one.detector, one.subject, one.direction)
            if isinstance(one, AlertSignal):
                told.append(_told(one, -1))
                told[-1].until = end
                standing.setdefault(key, []).append(told[-1])
            else:
                for alert in standing.pop(key, []):
                    alert.until = one.at

    states: dict[str, WindowState] = {}
    coming = windows_between(parts, parts[0].start, end, None, names, Registry())
    run_window_detectors(coming, states, Registry(), WINDOW, FalseAlarmLimits(), tell)
    return told


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
    )
    return window_counter.count_votes(counted, reference)


def _told(one: AlertSignal, row: int) -> RaisedAlert:
    return RaisedAlert(one.detector, one.subject, one.direction, one.severity, one.at, row, dict(one.evidence))


def votes_under_alerts(stream: SimulatedStream, told: Sequence[RaisedAlert], about: str) -> Bool:
    """The votes that a person would leave out on alerts about a model: those that the alerts speak of."""
    chosen = np.zeros(len(stream), dtype=np.bool_)
    code = stream.models.index(about)
    for one in told:
        window = one.evidence.get("window")
        if one.row >= 0 or one.subject != about or not isinstance(window, list):
            continue
        mine = (stream.cast_at >= window[0]) & (stream.cast_at < one.until)
        mine &= (stream.model_a == code) | (stream.model_b == code)
        if "cohort" in one.evidence:
            mine &= stream.cast_at - stream.voter_since <= window_counter.NEW_ACCOUNT
        if "network" in one.evidence:
            mine &= stream.network == NETWORKS.index(str(one.evidence["network"]))
        if "prompt" in one.evidence:
            value, _, bits = str(one.evidence["prompt"]).partition("/")
            mask = (1 << int(bits or 32)) - 1
            mine &= (stream.prompt_hash & np.uint64(mask)) == np.uint64(int(value, 16) & mask)
        chosen |= mine
    return chosen


def fit_ratings(stream: SimulatedStream, kept: Bool) -> Float64:
    """θ of every model from these votes, NaN where it has no rating."""
    counts = PairCounts.from_codes(stream.models, stream.model_a[kept], stream.model_b[kept], stream.outcome[kept])
    rated, _ = select_rated_models(counts, least_share=0.0)
    theta = np.full(len(stream.models), np.nan)
    theta[[stream.models.index(name) for name in rated.models]] = fit(rated).theta
    return theta


def rank_of(theta: Float64, model: int) -> int:
    """Rank of a model, 1 is the top."""
    return int((theta > theta[model]).sum()) + 1
