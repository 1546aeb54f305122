"""Follows logs: sends new events, waits until the broker has confirmed them, and stores how far the logs were read.

While the broker does not answer, no position is stored. Events that were not confirmed are therefore read again, and
nothing is lost.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import BrokerRefused, BrokerUnavailable
from pipeline.metrics import FollowMetrics
from pipeline.stream.follow.log_batch import LogBatch
from pipeline.stream.follow.log_tracker import LogTracker
from pipeline.stream.kafka_publisher import RecordProducer
from pipeline.stream.record_preparation import RecordPreparer

_RETRY_SECONDS = 5.0


@dataclass(slots=True)
class FollowTally:
    """Counts what a follower has done so far.

    Attributes:
        votes, registry: numbers of votes and of registry events that the broker has confirmed.
        files: number of logs that are followed.
        behind: number of bytes of logs that are not published yet.
    """

    votes: int = 0
    registry: int = 0
    files: int = 0
    behind: int = 0

    def sentence(self) -> str:
        """Return the counts as one sentence for people."""
        return f"{self.votes:,} votes sent, {self.files:,} files followed, {self.behind:,} bytes behind"


@dataclass(frozen=True, slots=True)
class FollowPace:
    """Sets, in seconds, how often a follower checks for new lines, and how often it reports its progress.

    Attributes:
        poll: time between two checks for new lines.
        heartbeat: time between two reports about how far the follower is; 0 for no reports.
        progress: time without progress after which the follower is unhealthy.
    """

    poll: float = 1.0
    heartbeat: float = 60.0
    progress: float = 60.0


class LogFollower:
    """Reads new events from logs and sends them to Kafka, until it is stopped.

    Attributes:
        tally: counts of sent events, followed logs and bytes not published yet.
    """

    # Many parameters: where lines come from and go to, and who is told.
    def __init__(
        self,
        start: Callable[[], LogTracker],
        connect: Callable[[], RecordProducer],
        preparer: RecordPreparer,
        report: Callable[[str], None],
        pace: FollowPace,
        metrics: FollowMetrics,
        before_send: Callable[[], None] = lambda: None,
    ) -> None:
        """Create a follower.

        Args:
            start: creates a tracker that begins at the stored positions.
            connect: creates a producer.
            preparer: prepares the events for their topic.
            report: called with sentences about the progress.
            pace: the periods of the follower.
            metrics: the metrics to update.
            before_send: called before each batch is sent. It stores what is needed to send the same votes again after a
                crash.
        """
        self._start, self._connect, self._preparer = start, connect, preparer
        self._report, self._pace, self._metrics, self._before_send = report, pace, metrics, before_send
        self._stopping = threading.Event()
        self._told: set[str] = set()
        self._next_heartbeat = time.monotonic() + pace.heartbeat
        self._last_progress = time.monotonic()
        self.tally = FollowTally()

    def stop(self) -> None:
        """Make `run` return after the current batch."""
        self._stopping.set()

    def healthy(self) -> tuple[bool, str]:
        """Return whether the last progress is recent enough, and a sentence about it for /healthz."""
        silent = time.monotonic() - self._last_progress
        return silent < max(self._pace.progress, 3 * self._pace.poll), f"last progress {silent:.0f} s ago"

    def run(self, *, until_end: bool = False) -> FollowTally:
        """Follow the logs until `stop` is called, and return the counts of what was done.

        While the broker does not answer, the follower tries again every few seconds.

        Args:
            until_end: True returns after all present lines of the logs have been sent. False waits for more lines.

        Raises:
            BrokerRefused: an access rule forbids us to write to a topic.
            BrokerUnavailable: the broker does not answer; raised only with `until_end`.
        """
        while not self._stopping.is_set():
            try:
                self._follow(until_end)
                break
            except BrokerRefused:
                raise
            except BrokerUnavailable as error:
                if until_end:
                    raise
                self._tell(f"{error}; tries again every {_RETRY_SECONDS:.0f} s, nothing is lost")
                self._stopping.wait(_RETRY_SECONDS)
        return self.tally

    def _follow(self, until_end: bool) -> None:
        producer, tracker = self._connect(), self._start()
        try:
            while not self._stopping.is_set():
                self._poll(tracker, producer)
                if until_end and not tracker.unsettled:
                    return
                self._stopping.wait(self._pace.poll)
        finally:
            tracker.close()
            producer.close()

    def _poll(self, tracker: LogTracker, producer: RecordProducer) -> None:
        for batch in tracker.poll():
            if self._stopping.is_set():
                return  # the batch before this one is remembered
            if not self._send(batch, producer):
                return
            self._progressed(tracker)
        self._progressed(tracker)
        for note in tracker.notes:
            self._tell(note)
        tracker.notes.clear()
        if self._pace.heartbeat and time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + self._pace.heartbeat
            self._told.clear()
            self._report(self.tally.sentence())

    def _send(self, batch: LogBatch, producer: RecordProducer) -> bool:
        """Send a batch; return whether the broker has confirmed it."""
        prepared = list(self._preparer.prepare(batch.events, batch.name))
        self._before_send()
        for row, record in zip(batch.rows, prepared, strict=True):
            producer.send(record, batch.name, row)
        if not producer.flush(self._gives_up):
            return False
        votes = sum(record.is_vote for record in prepared)
        self.tally.votes += votes
        self.tally.registry += len(prepared) - votes
        self._metrics.votes.inc(votes)
        return True

    def _gives_up(self, waited: float) -> bool:
        if waited > _RETRY_SECONDS:
            self._tell("waits for the broker, which does not confirm; nothing is lost")
        return self._stopping.is_set()

    def _progressed(self, tracker: LogTracker) -> None:
        self._last_progress = time.monotonic()
        self.tally.files, self.tally.behind = tracker.files, tracker.behind()
        self._metrics.files.set(self.tally.files)
        self._metrics.bytes_behind.set(self.tally.behind)
        self._metrics.last_progress.set_to_current_time()

    def _tell(self, sentence: str) -> None:
        """Report a sentence, at most once between two heartbeats."""
        if sentence not in self._told:
            self._told.add(sentence)
            self._report(sentence)
