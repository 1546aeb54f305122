"""Whether a worker gets on: liveness is progress or proven idleness, never "the loop turned".

Idleness is proved by the broker, which must say that a partition ends where we are: our own position says nothing
about a broker that is away. A worker without a partition proves it by the store: either everything there is is
stored, or others get on. When neither is so, its group is stuck, and a worker that waits quietly is the only sign.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from pipeline.errors import BrokerUnavailable
from pipeline.metrics import WorkerMetrics
from pipeline.store.votes import ingest
from pipeline.stream.commit import Owned
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source.event_source import Source

# Seconds between two proofs of idleness: with a scrape every 5 s, an idle worker never looks older than 10.
_LOOK = 5.0


class Liveness:
    """When something was last stored, or proved to be all there is."""

    def __init__(self, source: Source, source_no: int, retry: RetryPolicy, seconds: float, metrics: WorkerMetrics):
        """Begin with the benefit of the doubt.

        Args:
            source: what is read.
            source_no: the store's number of it.
            retry: the policy of the store.
            seconds: without progress, after which the worker is not healthy.
            metrics: where the last progress and the lag are shown.
        """
        self._source, self._source_no, self._retry = source, source_no, retry
        self._seconds, self._metrics = seconds, metrics
        self._last = time.monotonic()
        self._metrics.last_progress.set_to_current_time()
        self._look_again = 0.0
        self._stored: Mapping[int, int] | None = None

    def healthy(self) -> tuple[bool, str]:
        """Whether there was progress within the bound, and a sentence."""
        silent = time.monotonic() - self._last
        return silent < self._seconds, f"last progress {silent:.0f} s ago"

    def progress(self, owned: Mapping[int, Owned]) -> None:
        """A batch was stored."""
        self._last = time.monotonic()
        self._metrics.last_progress.set_to_current_time()
        self._show_lag(owned, self._source.known_ends())

    def idle(self, owned: Mapping[int, Owned]) -> None:
        """Nothing came: find out whether there is nothing."""
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + min(self._seconds / 4, _LOOK)
        try:
            numbers = sorted(owned) or self._source.all_partitions()
            ends = {number: end for number, (_, end) in self._source.offset_bounds(numbers).items()}
        except BrokerUnavailable:
            return
        self._show_lag(owned, ends)
        if self._at_the_end(owned, ends) if owned else self._others_get_on(ends):
            self._last = time.monotonic()
            self._metrics.last_progress.set_to_current_time()

    def _at_the_end(self, owned: Mapping[int, Owned], ends: Mapping[int, int]) -> bool:
        return all(one.next_offset >= ends[number] for number, one in owned.items())

    def _others_get_on(self, ends: Mapping[int, int]) -> bool:
        before, self._stored = (
            self._stored,
            self._retry.read(partial(ingest.next_offsets, source_no=self._source_no)),
        )
        complete = all(self._stored.get(number, 0) >= end for number, end in ends.items())
        return complete or (before is not None and before != self._stored)

    def _show_lag(self, owned: Mapping[int, Owned], ends: Mapping[int, int]) -> None:
        for number, end in ends.items():
            if number in owned:
                lag = self._metrics.partition_lag.labels(self._source.name, str(number))
                lag.set(max(end - owned[number].next_offset, 0))
