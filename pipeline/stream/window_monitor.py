"""Implements the monitor, which closes the windows of all partitions in order and runs the window detectors.

A window is five minutes of event time. It is closed when the merged watermark has passed its end. The watermark of a
partition is the event time up to which its votes are assumed to be complete. The merged watermark is the smallest
watermark of the partitions, with these rules:

1. Finished files do not count. If all sources are finished files, the watermark is their newest event time, without
   lateness, because no more votes come.
2. A partition without an event for `idle_after` is idle and does not count. The store records that it was left out.
3. If all partitions of a live source are idle, the clock replaces the watermark, so that detectors see windows without
   votes.
4. `--close` closes every window, regardless of the watermark, for a log that has ended.

A lease in the store lets one monitor work at a time. One transaction writes closed windows, their end, detector states
and alerts, so a monitor that was killed has neither skipped nor repeated a window.

Not handled: votes of an idle partition that arrive after their windows were closed. Such votes count, but no detector
evaluates them.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from pipeline.events.registry_events import RegistryEvent
from pipeline.registry import Registry
from pipeline.scoring.detector_contracts import WindowDetector, WindowState
from pipeline.scoring.signals import AlertSignal, Signal
from pipeline.scoring.sittings import SITTING
from pipeline.scoring.window_counter import WINDOW_WIDTH, network_hash
from pipeline.scoring.window_processor import (
    EvaluatedWindow,
    FalseAlarmLimits,
    IssuedByWindow,
    WindowNames,
    run_window_detectors,
    windows_between,
)
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, incident_grouping, incident_table, outbox
from pipeline.store.boards.hidden_models import read_hidden_models
from pipeline.store.db import leases
from pipeline.store.votes import (
    arrow_reader,
    closed_windows,
    detector_states,
    issued_battles,
    partitions,
    registry_events,
    stale_windows,
    window_counts,
)
from pipeline.store.votes.dictionary import model_names, terms_of_kind
from pipeline.stream.merged_watermark import MergedWatermark, merged_watermark
from pipeline.stream.topic_messages import alert_message
from pipeline.vocabulary.time import format_rfc3339

# Windows closed in one transaction: two days.
_BATCH = 576
# A campaign raises many alerts, and each grouping reads its votes.
_GROUP_SECONDS = 10.0
_PAUSE_SECONDS = 1.0


@dataclass
class Monitor:
    """Closes the windows of one store and runs the window detectors over them.

    Attributes:
        store: the store.
        settings: the settings of this process.
        owner: the name of this process in the lease.
        detectors: the window detectors to run.
        progress: a function that is called after each transaction that closed windows, with the number of windows that
            `run` has closed so far.
    """

    store: Store
    settings: Settings
    owner: str
    detectors: Sequence[WindowDetector] = ()
    progress: Callable[[int], None] = lambda _: None
    _events: list[RegistryEvent] = field(default_factory=list)
    _last_event: int = 0

    def __post_init__(self) -> None:
        """Prepare empty state; the first step reads the store."""
        self._group_at = 0.0
        self._stopping = False
        self._registry = Registry()
        self._states: dict[str, WindowState] = {}
        self._position: int | None = None

    def stop(self) -> None:
        """Make `run` return after its current transaction."""
        self._stopping = True

    def run(self, *, until_end: bool = False, close: bool = False) -> int:
        """Close windows until `stop` is called, end snoozes that are over, and group new alerts into incidents.

        While another monitor holds the lease, wait for it.

        Args:
            until_end: True returns as soon as there is no window to close.
            close: True closes all windows, also those that end after the watermark.

        Returns:
            The number of windows with votes that were closed. A transaction that closed only windows without votes
            counts as 1.

        Raises:
            StoreUnavailable: a migration has marked the window counts as stale.
        """
        closed = 0
        try:
            while not self._stopping:
                step = self._step(close)
                closed += step or 0
                if step is not None:
                    self._group_alerts(until_end and not step)
                if step:
                    self.progress(closed)
                elif until_end and step is not None:
                    break
                else:
                    time.sleep(_PAUSE_SECONDS)
        finally:
            with suppress(OperationalError), self.store.write() as connection:  # an unreleased lease expires
                leases.release(connection, "monitor", self.owner)
        return closed

    def _group_alerts(self, at_once: bool) -> None:
        """Group new alerts into incidents. Unless `at_once`, do nothing shortly after the last grouping."""
        now = time.monotonic()
        if not at_once and now < self._group_at:
            return
        self._group_at = now + _GROUP_SECONDS
        with self.store.read() as connection:
            if incident_table.is_current(connection):
                return
        with self.store.write() as connection:
            incident_grouping.regroup(connection)

    def explain_waiting(self) -> str:
        """Return a sentence that says why the next windows are still open; "" if there is no window left to close."""
        with self.store.read() as connection:
            start = closed_windows.closed_until(connection)
            last = window_counts.last_start(connection)
            if last is None or (start is not None and last < start):
                return ""
            known = partitions.read_progress(connection)
            names = arrow_reader.partition_sources(connection)
        after = f"windows after {format_rfc3339(start)}" if start is not None else "all windows"
        open_ones = [one for one in known if not one.finished]
        if not open_ones:
            return f"{after} wait for later votes, or for `monitor --close`: all files are read to their ends"
        slowest = min(open_ones, key=lambda one: one.event_time)
        source, number = names[slowest.partition_no]
        newest, late = format_rfc3339(slowest.event_time), f"{self.settings.lateness_minutes:g} minutes"
        return (
            f"{after} wait for {source}, partition {number}: its newest vote is of {newest}, and a vote may come {late}"
            " late (INTEGRITY_LATENESS_MINUTES). `monitor --close` closes them now"
        )

    def _step(self, close: bool) -> int | None:
        """Close the next windows and return their number; None while another monitor holds the lease."""
        with self.store.write() as connection:
            stale_windows.expect_current(connection)
            now = time.time_ns() // 1000
            if not leases.acquire(connection, "monitor", self.owner, now, self.settings.lease_seconds):
                self._position = None
                return None
            alert_lifecycle.end_snoozes(connection, now)
            stored = closed_windows.closed_until(connection)
            start = window_counts.first_start(connection) if stored is None else stored
            if start is None:
                return 0
            watermark = self._watermark(connection, close, now, start)
            end = min((watermark.at or start) // WINDOW_WIDTH * WINDOW_WIDTH, start + _BATCH * WINDOW_WIDTH)
            if end <= start:
                return 0
            found, states = self._close(connection, stored, start, end, now)
            closed_windows.leave_out(connection, watermark.idle, start, end)
        # After the commit: a step that was rolled back must not change memory.
        self._position, self._states = end, states
        return found

    def _watermark(self, connection: Connection, close: bool, now: int, start: int) -> MergedWatermark:
        if close:
            last = window_counts.last_start(connection)
            return MergedWatermark(None if last is None else last + WINDOW_WIDTH)
        known = partitions.read_progress(connection)
        return merged_watermark(known, self.settings.lateness, self.settings.idle_after, now, start)

    def _close(
        self, connection: Connection, stored: int | None, start: int, end: int, now: int
    ) -> tuple[int, dict[str, WindowState]]:
        """Close the windows that start in [start, end).

        Args:
            connection: the transaction.
            stored: end of the closed windows that the store has; None if none is closed. If it is not the end that this
                monitor remembers, the states of detectors are read anew.
            start, end: the period, in microseconds since 1970 UTC.
            now: present time in microseconds since 1970 UTC.

        Returns:
            The number of closed windows with votes, but at least 1; and the states of the detectors afterwards.
        """
        states_current = self._position is not None and self._position == stored
        before = self._states if states_current else detector_states.read(connection)
        self._update_registry(connection)
        networks = {network_hash(network): network for network in terms_of_kind(connection, "network").values()}
        names = WindowNames(model_names(connection), networks)
        last = window_counts.last_start_with_votes(connection, start)
        parts = window_counts.read_range(connection, start - SITTING, end)
        signals: list[Signal] = []
        totals: list[tuple[int, int, int]] = []

        def collect(seen: EvaluatedWindow) -> None:
            signals.extend(seen.signals)
            if seen.window.accepted or seen.window.late:
                totals.append((seen.window.start, seen.window.accepted, seen.window.late))

        levels = FalseAlarmLimits(self.settings.false_alarms, self.settings.false_share)
        windows = windows_between(parts, start, end, last, names, self._registry, _issued(connection, start, end))
        after = run_window_detectors(windows, before, self._registry, self.detectors, levels, collect)
        detector_states.write(connection, after)
        ids = alert_lifecycle.record_signals(connection, signals, {}, now)
        self._publish(connection, signals, ids, now)
        closed_windows.close_windows(connection, totals, end)
        return max(len(totals), 1), after

    def _update_registry(self, connection: Connection) -> None:
        more, self._last_event = registry_events.read_since(connection, self._last_event)
        if more:
            self._events += more
            self._registry = Registry(self._events)

    def _publish(self, connection: Connection, signals: Sequence[Signal], ids: Sequence[str | None], now: int) -> None:
        """Add alerts to the outbox, from which workers send them to the topic. Models under test are not named."""
        alerts = [(s, str(alert_id)) for s, alert_id in zip(signals, ids, strict=True) if isinstance(s, AlertSignal)]
        if not alerts:
            return
        hidden, topic = read_hidden_models(connection, now), self.settings.topic_alerts
        messages = [
            alert_message(topic, alert_id, hidden.text(signal.subject), signal, signal.partition)
            for signal, alert_id in alerts
        ]
        for source in partitions.live_sources(connection):
            outbox.enqueue(connection, source, messages)


def _issued(connection: Connection, start: int, end: int) -> IssuedByWindow | None:
    first = issued_battles.first_start(connection)
    return None if first is None else IssuedByWindow(first, issued_battles.read_range(connection, start, end))
