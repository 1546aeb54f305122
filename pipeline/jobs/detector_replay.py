"""Runs one detector over all stored data, to test the detector before it is switched on or after it was changed.

A window detector reads all closed windows. A voter detector reads all stored votes; each vote is evaluated by the
snapshot that was in force for it, and votes without such a snapshot are left out. The detector starts without state.
Nothing is written unless the caller asks for it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import Usage
from pipeline.evidence import Reference
from pipeline.open_store import existing_store, now
from pipeline.registry import Registry
from pipeline.scoring.detector_contracts import VoterDetector, WindowDetector, WindowState
from pipeline.scoring.signals import AlertSignal, ClearedSignal, Signal
from pipeline.scoring.sittings import SITTING
from pipeline.scoring.vote_processor import DetectorStates, PartitionVotes, run_detectors_on_partition
from pipeline.scoring.window_counter import WINDOW_WIDTH, network_hash
from pipeline.scoring.window_processor import (
    EvaluatedWindow,
    FalseAlarmLimits,
    WindowNames,
    run_window_detectors,
    windows_between,
)
from pipeline.store.alerting import alert_lifecycle, alert_queries, operators_log
from pipeline.store.boards.reference_codec import read_reference
from pipeline.store.votes import (
    closed_windows,
    partitions,
    registry_events,
    snapshots_in_force,
    stale_windows,
    voter_states,
    window_counts,
)
from pipeline.store.votes.dictionary import model_names, terms_of_kind
from pipeline.vocabulary.time import format_rfc3339

# Windows in memory at a time: two days.
_CHUNK = 576


def replay_detector(url: str, name: str, write: bool = False) -> list[dict[str, Any]]:
    """Run one detector over all stored votes or windows.

    Args:
        url: address of the store.
        name: name of the detector.
        write: whether to open and clear alerts as the signals of the detector say, and to record this in the operators'
            log.

    Returns:
        The signals of the detector in order of time. A signal has the keys "detector", "subject", "direction",
        "severity", "e_value", "at" and "evidence". A signal that ends an alert has the severity `cleared`; every other
        signal also has the key "level".

    Raises:
        Usage: no detector has this name.
        StoreUnavailable: a migration has marked the windows stale, and the detector reads windows.
    """
    window = next((d for d in WINDOW if d.name == name), None)
    voter = next((d for d in VOTER if d.name == name), None)
    if window is None and voter is None:
        known = ", ".join(sorted([*(d.name for d in VOTER), *(d.name for d in WINDOW)]))
        raise Usage(f"--detector: expected one of {known}, got {name!r}")
    with existing_store(url) as store:
        with store.read() as connection:
            names = model_names(connection)
            signals = _replay_windows(connection, window) if window else _replay_votes(connection, voter)  # type: ignore[arg-type]
        if write:
            with store.write() as connection:
                alert_lifecycle.record_signals(connection, signals, names, now())
                operator, after = operators_log.process_operator(), {"signals": len(signals)}
                operators_log.record(connection, operator, "alert.replay", name, now(), after=after)
        with store.read() as connection:
            return [_as_json(connection, one, names) for one in signals]


def _replay_windows(connection: Connection, detector: WindowDetector) -> list[Signal]:
    options = configuration.load()
    stale_windows.expect_current(connection)
    first, end = window_counts.first_start(connection), closed_windows.closed_until(connection)
    if first is None or end is None:
        return []
    known = Registry(registry_events.read_since(connection, 0)[0])
    networks = {network_hash(network): network for network in terms_of_kind(connection, "network").values()}
    names = WindowNames(model_names(connection), networks)
    signals: list[Signal] = []

    def collect(seen: EvaluatedWindow) -> None:
        signals.extend(seen.signals)

    states: dict[str, WindowState] = {}
    levels = FalseAlarmLimits(options.false_alarms, options.false_share)
    for start in range(first, end, _CHUNK * WINDOW_WIDTH):
        stop = min(start + _CHUNK * WINDOW_WIDTH, end)
        last = window_counts.last_start_with_votes(connection, start)
        windows = windows_between(
            window_counts.read_range(connection, start - SITTING, stop), start, stop, last, names, known
        )
        states = run_window_detectors(windows, states, known, [detector], levels, collect)
    return signals


def _replay_votes(connection: Connection, detector: VoterDetector) -> list[Signal]:
    signals: list[AlertSignal] = []

    @cache
    def reference(sequence: int) -> Reference:
        found = read_reference(connection, sequence)
        if found is None:
            raise ValueError(f"expected snapshot {sequence} in the store: stored votes were evaluated by it")
        return found

    known: dict[int, dict[int, DetectorStates]] = {}
    for part in _oldest_first(connection):
        states = known.setdefault(part, {})
        before = [states, *(known[one] for one in voter_states.carrying_partitions(connection, part) if one in known)]
        for votes, in_force in _votes(connection, part, reference):

            def prior(
                _: int, voters: Sequence[int], before: Sequence[dict[int, DetectorStates]] = before
            ) -> list[DetectorStates | None]:
                return [next((found[voter] for found in before if voter in found), None) for voter in voters]

            observed = run_detectors_on_partition(part, votes, prior, in_force, [detector], reference)
            states.update(observed.states[part])
            signals += observed.alerts
    return [*sorted(signals, key=lambda one: (one.at, one.partition, one.offset))]


def _oldest_first(connection: Connection) -> list[int]:
    """Return the partition numbers, sorted by the time at which each partition began.

    The state of a voter is carried on from one partition to the next in this order.
    """
    began = {
        part.partition_no: voter_states.began_at(connection, part.partition_no)
        for part in partitions.read_progress(connection)
    }
    return [part for _, part in sorted((at, part) for part, at in began.items() if at is not None)]


def _votes(
    connection: Connection, partition_no: int, reference: Callable[[int], Reference]
) -> Iterator[tuple[PartitionVotes, Reference]]:
    periods = snapshots_in_force.periods(connection, partition_no)
    for sequence, start, stop in snapshots_in_force.split_range(periods, 0, np.iinfo(np.int64).max):
        for votes in voter_states.votes_to_replay(connection, partition_no, start, stop):
            yield votes, reference(sequence)


def _as_json(connection: Connection, one: Signal, names: dict[int, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"at": format_rfc3339(one.at), "detector": one.detector}
    if isinstance(one, ClearedSignal):
        about = {"subject": {"kind": None, "id": one.subject}, "direction": one.direction, "severity": "cleared"}
        return shown | about | {"e_value": None, "evidence": {"what": one.reason}}
    return shown | {
        "subject": {"kind": one.subject_kind, "id": one.subject},
        "direction": one.direction,
        "severity": one.severity,
        "level": one.level,
        "e_value": one.e_value,
        "evidence": alert_queries.format_evidence(connection, one.evidence, names),
    }
