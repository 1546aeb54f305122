"""What a detector would have said about everything that is stored: before it is switched on, or after it changed.

A window detector sees the closed windows again, a voter detector the stored votes, each judged by the snapshot that was
in force for it. The detector begins with nothing remembered, and nothing is written unless that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import Usage
from pipeline.evidence import Reference
from pipeline.jobs.open_store import opened
from pipeline.registry import Registry
from pipeline.scoring.signals import Cleared, Raised, Said, VoterDetector, WindowDetector, WindowState
from pipeline.scoring.vote_processor import PartitionVotes, Parts, observe_partition
from pipeline.scoring.window_builder import WIDTH, group_of
from pipeline.scoring.window_processor import Levels, Names, Seen, watch
from pipeline.scoring.window_processor import windows as windows_between
from pipeline.store.alerting import alerts
from pipeline.store.boards import snapshots
from pipeline.store.votes import monitor_state, registry_events, snapshots_in_force, stale_windows, window_counts
from pipeline.store.votes.dictionary import model_names, terms
from pipeline.vocabulary.time import format_rfc3339

# Windows that are held in memory at a time: two days.
_CHUNK = 576


def replay(store: str, name: str, write: bool = False) -> list[dict[str, Any]]:
    """Run one detector over history.

    Args:
        store: URL or file.
        name: of the detector.
        write: open the alerts that it raises.

    Returns:
        What it says, in order: detector, subject, direction, severity, e_value, level, at, evidence; severity
        `cleared` where it says that something is over.

    Raises:
        Usage: no detector has this name.
        StoreUnavailable: a migration has marked the windows stale, and the detector reads windows.
    """
    window = next((d for d in WINDOW if d.name == name), None)
    voter = next((d for d in VOTER if d.name == name), None)
    if window is None and voter is None:
        known = ", ".join(sorted([*(d.name for d in VOTER), *(d.name for d in WINDOW)]))
        raise Usage(f"--detector: expected one of {known}, got {name!r}")
    with opened(store) as it:
        with it.read() as connection:
            names = model_names(connection)
            said = _windows(connection, window) if window else _voters(connection, voter)  # type: ignore[arg-type]
        if write and said:
            with it.write() as connection:
                alerts.say(connection, said, names, time.time_ns() // 1000)
        with it.read() as connection:
            return [_shown(connection, one, names) for one in said]


def _windows(connection: Connection, detector: WindowDetector) -> list[Said]:
    options = configuration.load()
    stale_windows.expect_current(connection)
    first, end = window_counts.first_start(connection), window_counts.position(connection)
    if first is None or end is None:
        return []
    known = Registry(registry_events.events_since(connection, 0)[0])
    names = Names(model_names(connection), {group_of(network): network for network in terms(connection, "network")})
    said: list[Said] = []

    def tell(seen: Seen) -> None:
        said.extend(seen.said)

    states: dict[str, WindowState] = {}
    levels = Levels(options.false_alarms, options.false_share)
    for start in range(first, end, _CHUNK * WIDTH):
        stop = min(start + _CHUNK * WIDTH, end)
        last = monitor_state.last_votes(connection, start)
        coming = windows_between(window_counts.between(connection, start, stop), start, stop, last, names, known)
        states = watch(coming, states, known, [detector], levels, tell)
    return said


def _voters(connection: Connection, detector: VoterDetector) -> list[Said]:
    said: list[Raised] = []

    @cache
    def reference(sequence: int) -> Reference:
        found = snapshots.reference(connection, sequence)
        if found is None:
            raise ValueError(f"snapshot {sequence} was in force for votes and is not in the store")
        return found

    for part in monitor_state.partitions(connection):
        states: dict[int, Parts] = {}
        for votes, judged_by in _votes(connection, part.partition_no, reference):

            def prior(_: int, voters: Sequence[int], states: dict[int, Parts] = states) -> list[Parts | None]:
                return [states.get(voter) for voter in voters]

            observed = observe_partition(part.partition_no, votes, prior, judged_by, [detector], reference)
            states.update(observed.states[part.partition_no])
            said += observed.raised
    return [*sorted(said, key=lambda one: (one.at, one.partition, one.offset))]


def _votes(
    connection: Connection, partition_no: int, reference: Callable[[int], Reference]
) -> Iterator[tuple[PartitionVotes, Reference]]:
    periods = snapshots_in_force.in_force(connection, partition_no)
    for sequence, start, stop in snapshots_in_force.within(periods, 0, np.iinfo(np.int64).max):
        for votes in snapshots_in_force.voter_votes(connection, partition_no, start, stop):
            yield votes, reference(sequence)


def _shown(connection: Connection, one: Said, names: dict[int, str]) -> dict[str, Any]:
    at = format_rfc3339(one.at)
    shown: dict[str, Any] = {"at": at, "detector": one.detector}
    if isinstance(one, Cleared):
        about = {"subject": {"kind": None, "id": one.subject}, "direction": one.direction, "severity": "cleared"}
        return shown | about | {"e_value": None, "evidence": {"what": one.reason}}
    return shown | {
        "subject": {"kind": one.subject_kind, "id": one.subject},
        "direction": one.direction,
        "severity": one.severity,
        "level": one.level,
        "e_value": one.e_value,
        "evidence": alerts.readable(connection, one.evidence, names),
    }
