"""The monitor: merges closed windows of all partitions, in order, once, and runs the window detectors over them.

A window is closed when the merged watermark has passed its end: the smallest over the partitions, without those that
have had no event for `idle_after` (that decision is stored). Where every partition of a live source is idle, the
clock stands for the watermark, so that silence is seen. One monitor works at a time, by a lease in the store; its
position, the detectors' states, the alerts and the closed windows are one transaction, so a monitor that dies skips
nothing and repeats nothing. `--close` closes every window there is, watermark or not: for a log that has ended.

Not handled: votes that reach a window after it was closed without their partition count as votes, and no detector
of windows sees them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from pipeline.events.registry import RegistryEvent
from pipeline.registry import Registry
from pipeline.scoring.signals import NO_PARTITION, Raised, Said, WindowDetector, WindowState
from pipeline.scoring.window_builder import WIDTH, group_of
from pipeline.scoring.window_processor import Levels, Names, Seen, watch
from pipeline.scoring.window_processor import windows as windows_between
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alerts, outbox
from pipeline.store.votes import monitor_state, registry_events, stale_windows, window_counts
from pipeline.store.votes.dictionary import model_names, terms

# Windows of one transaction: two days of them.
_BATCH = 576
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to where windows are complete.

    Attributes:
        at: the merged watermark, None before the first vote.
        without: partitions that would have held it back and were left out.
    """

    at: int | None
    without: tuple[int, ...] = ()


def merged_watermark(
    partitions: Sequence[monitor_state.Progress], lateness: int, idle_after: int, now: int, floor: int | None = None
) -> Mark:
    """The merged watermark.

    Args:
        partitions: those that ever had a vote.
        lateness, idle_after: microseconds.
        now: wall clock in microseconds.
        floor: everything before is closed already.
    """
    active = [p for p in partitions if now - p.updated_at <= idle_after]
    idle = [p for p in partitions if now - p.updated_at > idle_after]
    # A source whose newest votes were new when they were read; a file of old votes has an end and no gap.
    live = [p for p in idle if p.live and p.updated_at - p.event_time <= lateness + idle_after]
    if active:
        at = min(p.event_time for p in active) - lateness
    elif live:
        at = now - lateness - idle_after
    elif idle:
        return Mark(min(p.event_time for p in idle) - lateness)
    else:
        return Mark(None)
    held = [p.partition_no for p in idle if p.event_time - lateness < at]
    return Mark(at if floor is None else max(at, floor), tuple(held))


@dataclass
class Monitor:
    """One monitor over one store.

    Attributes:
        store, settings: where from, how.
        owner: who this is, for the lease.
        detectors: the window detectors to run.
        progress: called after every step with the number of windows closed so far.
    """

    store: Store
    settings: Settings
    owner: str
    detectors: Sequence[WindowDetector] = ()
    progress: Callable[[int], None] = lambda _: None
    _events: list[RegistryEvent] = field(default_factory=list)
    _last_event: int = 0

    def __post_init__(self) -> None:
        """Start with nothing known."""
        self._stopping = False
        self._registry = Registry()
        self._states: dict[str, WindowState] = {}
        self._position: int | None = None

    def stop(self) -> None:
        """Finish the step in hand, then end."""
        self._stopping = True

    def run(self, *, until_end: bool = False, close: bool = False) -> int:
        """Close windows.

        Args:
            until_end: stop when there is nothing to close.
            close: close windows above the watermark too.

        Returns:
            The number of windows with votes that were closed.

        Raises:
            StoreUnavailable: a migration has marked the windows stale.
        """
        closed = 0
        try:
            while not self._stopping:
                step = self._step(close)
                closed += step or 0
                if step:
                    self.progress(closed)
                elif until_end and step is not None:
                    break
                else:
                    time.sleep(_PAUSE)
        finally:
            with suppress(OperationalError), self.store.write() as connection:  # it runs out by itself
                window_counts.drop_lease(connection, "monitor", self.owner)
        return closed

    def _step(self, close: bool) -> int | None:
        """Close the next windows; None while another monitor holds the lease."""
        with self.store.write() as connection:
            stale_windows.expect_current(connection)
            now = time.time_ns() // 1000
            if not window_counts.take_lease(connection, "monitor", self.owner, now, self.settings.lease_seconds):
                self._position = None
                return None
            alerts.wake(connection, now)
            stored = window_counts.position(connection)
            start = window_counts.first_start(connection) if stored is None else stored
            if start is None:
                return 0
            mark = self._mark(connection, close, now, start)
            end = min((mark.at or start) // WIDTH * WIDTH, start + _BATCH * WIDTH)
            if end <= start:
                return 0
            found, states = self._close(connection, stored, start, end, now)
            monitor_state.leave_out(connection, mark.without, start, end)
        # Only now: a step that was rolled back must leave nothing in memory either.
        self._position, self._states = end, states
        return found

    def _mark(self, connection: Connection, close: bool, now: int, start: int) -> Mark:
        if close:
            last = window_counts.last_start(connection)
            return Mark(None if last is None else last + WIDTH)
        partitions = monitor_state.partitions(connection)
        return merged_watermark(partitions, self.settings.lateness, self.settings.idle_after, now, start)

    def _close(
        self, connection: Connection, stored: int | None, start: int, end: int, now: int
    ) -> tuple[int, dict[str, WindowState]]:
        """Close [start, end).

        Returns:
            The number of windows there that hold votes, at least 1 for a step that moved on; and the states after it.
        """
        mine = self._position is not None and self._position == stored
        before = self._states if mine else monitor_state.states(connection)
        self._read_registry(connection)
        names = Names(model_names(connection), {group_of(network): network for network in terms(connection, "network")})
        last = monitor_state.last_votes(connection, start)
        parts = window_counts.between(connection, start, end)
        said: list[Said] = []
        totals: list[tuple[int, int, int]] = []

        def tell(seen: Seen) -> None:
            said.extend(seen.said)
            if seen.window.accepted or seen.window.late:
                totals.append((seen.window.start, seen.window.accepted, seen.window.late))

        levels = Levels(self.settings.false_alarms, self.settings.false_share)
        coming = windows_between(parts, start, end, last, names, self._registry)
        after = watch(coming, before, self._registry, self.detectors, levels, tell)
        monitor_state.write_states(connection, after)
        ids = alerts.say(connection, said, {}, now)
        self._publish(connection, said, ids)
        window_counts.close(connection, totals, end)
        return max(len(totals), 1), after

    def _read_registry(self, connection: Connection) -> None:
        more, self._last_event = registry_events.events_since(connection, self._last_event)
        if more:
            self._events += more
            self._registry = Registry(self._events)

    def _publish(self, connection: Connection, said: Sequence[Said], ids: Sequence[str | None]) -> None:
        """Put alerts on the topic, by way of the workers' outbox."""
        raised = [(r, i) for r, i in zip(said, ids, strict=True) if isinstance(r, Raised)]
        if not raised:
            return
        for source in monitor_state.live_sources(connection):
            outbox.add(
                connection,
                source,
                [(self.settings.topic_alerts, str(i).encode(), _message(r, str(i))) for r, i in raised],
            )


def _message(r: Raised, alert_id: str) -> bytes:
    value = {
        "schema": 1, "id": alert_id, "detector": r.detector, "severity": r.severity,
        "subject": {"kind": r.subject_kind, "id": r.subject}, "direction": r.direction, "e_value": r.e_value,
        "partition": None if r.partition == NO_PARTITION else r.partition, "offset": r.offset,
    }  # fmt: skip
    return json.dumps(value, sort_keys=True).encode()
