"""Decides whether a worker is healthy: it stores batches, or it has proof that nothing is left to store.

A worker with partitions asks the broker for the ends of its partitions. If each ends at the worker's next offset,
nothing is left to store. While the broker does not answer, the worker's own position proves nothing.

A worker without a partition is healthy if the store has everything, or if other workers make progress. Otherwise the
consumer group is stuck, and no other check would show that.
"""

import time
from collections.abc import Mapping
from functools import partial

from pipeline.errors import BrokerUnavailable
from pipeline.metrics import WorkerMetrics
from pipeline.store.votes import partitions
from pipeline.stream.owned_partition import OwnedPartition
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source.event_source import Source

# Seconds between two proofs of idleness: with a scrape every 5 s, an idle worker never seems idle for over 10 s.
_CHECK_SECONDS = 5.0


class Liveness:
    """Records the time of a worker's last progress, and decides whether the worker is healthy.

    Progress means that a batch was stored, or that the broker reported that nothing is left to store.
    """

    def __init__(self, source: Source, source_no: int, retry: RetryPolicy, seconds: float, metrics: WorkerMetrics):
        """Start as healthy.

        Args:
            source: the source that the worker reads.
            source_no: the source number (source_no).
            retry: retry policy of the store.
            seconds: time without progress after which the worker is unhealthy.
            metrics: metrics for the last progress and the lag.
        """
        self._source, self._source_no, self._retry = source, source_no, retry
        self._seconds, self._metrics = seconds, metrics
        self._last = time.monotonic()
        self._metrics.last_progress.set_to_current_time()
        self._next_check = 0.0
        self._stored: Mapping[int, int] | None = None

    def healthy(self, problem: str = "") -> tuple[bool, str]:
        """Return whether the last progress is recent enough, and a sentence about it for /healthz.

        Args:
            problem: a text that is added to the sentence; "" adds nothing.
        """
        silent = time.monotonic() - self._last
        return silent < self._seconds, f"last progress {silent:.0f} s ago" + (f"; {problem}" if problem else "")

    def progress(self, owned: Mapping[int, OwnedPartition]) -> None:
        """Record that a batch was stored, and update the lag of the worker's partitions in the metrics.

        Args:
            owned: source's number of a partition → the worker's partition.
        """
        self._last = time.monotonic()
        self._metrics.last_progress.set_to_current_time()
        self._show_lag(owned, self._source.known_ends())

    def idle(self, owned: Mapping[int, OwnedPartition]) -> None:
        """After an empty poll, record progress if the log has no more records than the store.

        The broker is asked where the log ends, at most every few seconds. While it does not answer, nothing is
        recorded.

        Args:
            owned: source's number of a partition → the worker's partition.
        """
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + min(self._seconds / 4, _CHECK_SECONDS)
        try:
            numbers = sorted(owned) or self._source.all_partitions()
            ends = {number: end for number, (_, end) in self._source.offset_bounds(numbers).items()}
        except BrokerUnavailable:
            return
        self._show_lag(owned, ends)
        if self._at_the_end(owned, ends) if owned else self._others_make_progress(ends):
            self._last = time.monotonic()
            self._metrics.last_progress.set_to_current_time()

    def _at_the_end(self, owned: Mapping[int, OwnedPartition], ends: Mapping[int, int]) -> bool:
        return all(one.next_offset >= ends[number] for number, one in owned.items())

    def _others_make_progress(self, ends: Mapping[int, int]) -> bool:
        before = self._stored
        self._stored = self._retry.read(partial(partitions.next_offsets, source_no=self._source_no))
        complete = all(self._stored.get(number, 0) >= end for number, end in ends.items())
        return complete or (before is not None and before != self._stored)

    def _show_lag(self, owned: Mapping[int, OwnedPartition], ends: Mapping[int, int]) -> None:
        for number, end in ends.items():
            if number in owned:
                lag = self._metrics.partition_lag.labels(self._source.name, str(number))
                lag.set(max(end - owned[number].next_offset, 0))
