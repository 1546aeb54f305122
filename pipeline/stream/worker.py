"""The worker: claims partitions, writes batches, stops cleanly.

Laws: every acknowledged vote is stored exactly once, with its fate; a batch of a partition that is no
longer ours is dropped, never flushed; SIGTERM ends the batch in hand and then the process; liveness is
progress or proven idleness, never "the loop turned"; memory holds at most two batches, one being written and
one waiting for it, so a slow store slows the reading down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.engine import Connection

from pipeline.errors import BrokerUnavailable, Fenced, OffsetGap, TooManyRejects
from pipeline.events.chunk import Chunk
from pipeline.metrics import WorkerMetrics
from pipeline.scoring.signals import VoterDetector
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import outbox
from pipeline.store.boards import snapshots
from pipeline.store.db.dialect import has_server
from pipeline.store.votes import ingest, stale_windows
from pipeline.store.votes.dictionary import Names
from pipeline.stream.background_writer import Pen
from pipeline.stream.commit import Context, Judge, Owned, Tally, Written, write_batch, write_states
from pipeline.stream.decoding import Decoded, Pseudonyms, decode
from pipeline.stream.halt import expect_the_same_log, leave_alert
from pipeline.stream.limits import RejectLimit
from pipeline.stream.liveness import Liveness
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source.event_source import Source
from pipeline.stream.voter_state_cache import States, refold
from pipeline.vocabulary.fates import RECORD_FATES

_OUTBOX_BATCH = 1_000
# How often it is asked whether others, the monitor say, have left something in the outbox.
_OUTBOX_SECONDS = 1.0
# Seconds that a poll waits for a record: while a batch is being written, not long after it may be done.
_POLL, _BUSY_POLL = 0.25, 0.05

Send = Callable[[Sequence[tuple[str, bytes, bytes]]], None]


@dataclass(frozen=True)
class _Batch:
    """What was polled, decoded, and when."""

    chunks: list[Chunk]
    decoded: Decoded
    started: float


@dataclass
class Worker:
    """One worker over one source and one store.

    Attributes:
        source, store, settings: where from, where to, how.
        detectors: the voter detectors to run.
        owner: who this is, for people to read.
        metrics: what it counts about itself.
        send: delivers outbox messages and returns when they are acknowledged; None without a broker.
        progress: called after every batch with the tally so far.
    """

    source: Source
    store: Store
    settings: Settings
    detectors: Sequence[VoterDetector]
    owner: str
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    send: Send | None = None
    progress: Callable[[Tally], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        """Register the source and prepare what lasts from batch to batch."""
        self._retry = RetryPolicy(self.store)
        self._source_no = self._retry.write(lambda c: ingest.source_number(c, self.source.name))
        topics = {"alerts": self.settings.topic_alerts, "rejected": self.settings.topic_rejected}
        self._context = Context(
            self._source_no,
            Names(self.store),
            self.detectors,
            self.settings.lateness,
            topics if self.send else None,
            States(self.detectors),
        )
        self._judge = Judge()
        self._owned: dict[int, Owned] = {}
        self._generation = -1
        self._pseudonyms = Pseudonyms(self.store.pseudonym)
        self._pen: Pen[Written] = Pen(beside=has_server(self.store.engine))
        self._batch: _Batch | None = None  # being written
        self._undelivered, self._look_again = self.send is not None, 0.0
        self._stopping = False
        self._limit = RejectLimit(self.settings.max_consecutive_rejects, self.settings.max_reject_ratio)
        self._liveness = Liveness(
            self.source, self._source_no, self._retry, self.settings.progress_seconds, self.metrics
        )

    def stop(self) -> None:
        """Finish the batch in hand, then end. Safe to call from a signal handler."""
        self._stopping = True

    def healthy(self) -> tuple[bool, str]:
        """Whether something was stored, or was proved to be all there is, within the bound."""
        return self._liveness.healthy()

    def run(self, *, until_end: bool = False) -> Tally:
        """Work until stopped, or until everything there was at the start is stored.

        Raises:
            OffsetGap: votes that we have not read are gone.
            TooManyRejects: the stream is mostly not votes.
            StoreUnavailable: the database stayed away, or a migration has marked the windows stale.
        """
        ends = self._ends() if until_end else None
        try:
            self._loop(ends)
            self._flush()
        except (OffsetGap, TooManyRejects) as error:
            self._halt(error)
            self._deliver()
            raise
        finally:
            self._pen.close()
        self._deliver()
        return self.tally

    def _loop(self, ends: Mapping[int, int] | None) -> None:
        while not self._stopping:
            if self.source.generation() != self._generation:
                self._settle()
                with suppress(BrokerUnavailable):  # claimed after a later poll; it is not healthy meanwhile
                    self._claim()
            chunks = self.source.poll(self.settings.batch_votes, _BUSY_POLL if self._pen.busy else _POLL)
            if self.source.generation() != self._generation:
                continue  # not surely ours any more: dropped, and read again by whoever owns it
            if chunks:
                self._take(chunks)
            elif self._pen.busy:
                self._settle()
            elif self._idle(ends):
                break
        self._settle()

    def _claim(self) -> None:
        """Take over the partitions of this generation, and read on where the store says."""
        generation = self.source.generation()
        numbers = self.source.assigned_partitions()
        for gone in self._owned.keys() - set(numbers):
            self.metrics.revoked(self.source.name, gone)
        bounds = self.source.offset_bounds(numbers) if numbers else {}
        self._owned = self._retry.write(partial(self._claimed, bounds))
        self._context.states.forget()
        self._retry.run(self._refold)
        expect_the_same_log(self.source, self._retry, self._owned, bounds)
        self.source.seek({number: owned.next_offset for number, owned in self._owned.items()})
        self._generation = generation

    def _claimed(self, bounds: Mapping[int, tuple[int, int]], connection: Connection) -> dict[int, Owned]:
        stale_windows.expect_current(connection)
        owned = {}
        ingest.end_frozen(connection, self._source_no, bounds)
        for number in sorted(bounds):
            claim = ingest.claim(connection, self._source_no, number, bounds[number][0], self.owner, _now())
            snapshot = snapshots.in_force(connection, claim.partition_no)
            owned[number] = Owned(claim, claim.next_offset, claim.event_time, snapshot)
        return owned

    def _refold(self) -> None:
        """Bring the voter states up to the votes that a former owner stored and did not fold into them."""
        states = self._context.states
        states.forget()  # a try that a lost connection ended may have folded a part
        with self.store.read() as connection:
            judged_by = partial(self._judge.earlier, connection)
            for owned in self._owned.values():
                if owned.claim.state_offset < owned.next_offset:
                    no, first = owned.claim.partition_no, owned.claim.state_offset
                    refold(connection, states, no, first, owned.next_offset, self.detectors, judged_by)

    def _flush(self) -> None:
        """Write the voter states that are only in memory."""
        states = self._context.states
        if unwritten := states.unwritten():
            try:
                self._retry.write(lambda c: write_states(c, unwritten, self._owned, {}))
            except Fenced:
                self._generation = -1  # the next owner folds them again
                return
            states.written()

    def _take(self, chunks: list[Chunk]) -> None:
        """Decode what was polled while the batch before is being written, then begin to write this one."""
        started = time.monotonic()
        partition_no = {number: owned.claim.partition_no for number, owned in self._owned.items()}
        decoded = decode(chunks, partition_no, self._pseudonyms)
        self._settle()
        if self.source.generation() != self._generation:
            return  # fenced, or not surely ours any more: read again by whoever owns it
        self._batch = _Batch(chunks, decoded, started)
        self._pen.start(partial(self._retry.run, partial(self._written, chunks, decoded)))
        if not self._pen.beside:
            self._settle()

    def _settle(self) -> None:
        """Wait for the batch that is being written, if one is, and take up what it did."""
        if not self._pen.busy or self._batch is None:
            return
        batch, self._batch = self._batch, None
        try:
            done = self._pen.finish(self.source.heartbeat)
        except Fenced:
            self.metrics.fenced.inc()
            self._generation = -1  # claim again what is still ours
            return
        self._moved(batch.chunks, done.event_time)
        self._liveness.progress(self._owned)
        self._context.states.put(done.states)
        if done.flushed:
            self._context.states.written()
        self.tally.add(done.tally)
        self._count(done.tally, time.monotonic() - batch.started)
        self.source.report_committed({chunk.partition: chunk.next_offset for chunk in batch.chunks})
        self.progress(self.tally)
        self._undelivered |= bool(done.tally.alerts or done.tally.rejected)
        self._deliver()
        self._check_rejects(batch.decoded, done.tally)

    def _written(self, chunks: list[Chunk], decoded: Decoded) -> Written:
        votes = decoded.votes
        numbers = {
            kind: self._context.names.numbers("model" if kind.startswith("model") else kind, names)
            for kind, names in (
                ("model_a", votes.model_a),
                ("model_b", votes.model_b),
                ("language", votes.language),
                ("category", votes.category),
                ("network", votes.network),
            )
        }
        with self.store.write() as connection:
            return write_batch(connection, chunks, decoded, numbers, self._owned, self._judge, self._context, _now())

    def _moved(self, chunks: list[Chunk], event_time: Mapping[int, int | None]) -> None:
        for chunk in chunks:
            owned = self._owned[chunk.partition]
            owned.next_offset = chunk.next_offset
            owned.event_time = event_time.get(owned.claim.partition_no, owned.event_time)
            owned.snapshot = self._judge.sequence

    def _idle(self, ends: Mapping[int, int] | None) -> bool:
        """Nothing came. True if everything that was there at the start is stored."""
        self._skip_gaps()
        if self._context.states.due():
            self._flush()
        self._deliver()
        self._liveness.idle(self._owned)
        if ends is None:
            return False
        if self.source.name.startswith("file:"):
            return True  # a file that gives nothing more is at its end
        stored = self._retry.read(partial(ingest.next_offsets, source_no=self._source_no))
        return all(stored.get(number, 0) >= end for number, end in ends.items())

    def _skip_gaps(self) -> None:
        """Offsets that hold no record (transaction markers) are passed over, in the ledger too."""
        positions = self.source.positions()
        behind = {n: o for n, o in self._owned.items() if positions.get(n, 0) > o.next_offset}
        for number, owned in behind.items():
            progress = ingest.Progress(
                owned.claim.partition_no, owned.claim.epoch, owned.next_offset, positions[number],
                owned.event_time, 0, 0, 0, 0, 0, 0,
            )  # fmt: skip
            try:
                self._retry.write(partial(_pass_over, progress))
            except Fenced:
                self._generation = -1
                return
            owned.next_offset = positions[number]

    def _ends(self) -> dict[int, int]:
        """The end of every partition now, of those that hold anything; a fresh log may hold nothing."""
        bounds = self.source.offset_bounds(self.source.all_partitions())
        return {number: end for number, (first, end) in bounds.items() if end > first}

    def _count(self, done: Tally, seconds: float) -> None:
        for fate in RECORD_FATES:
            self.metrics.votes.labels(fate).inc(getattr(done, fate))
        for reason, count in done.reasons.items():
            self.metrics.rejects.labels(reason).inc(count)
        self.metrics.batches.inc()
        self.metrics.batch_seconds.observe(seconds)

    def _check_rejects(self, decoded: Decoded, done: Tally) -> None:
        try:
            self._limit.check(done.read, decoded.rejects)
        except TooManyRejects as error:
            first = decoded.rejects[0]
            number = {owned.claim.partition_no: number for number, owned in self._owned.items()}
            place = (
                f"partition {number[int(decoded.partition[first.position])]}, offset {decoded.offset[first.position]}"
            )
            raise TooManyRejects(
                f"{self.source.name}: {error} (first of this batch: {place}: {first.reason}: {first.detail})"
            ) from None

    def _halt(self, error: OffsetGap | TooManyRejects) -> None:
        self._settle()
        self.metrics.halted.set(1)
        self._retry.write(lambda c: leave_alert(c, error, self.source.name, self._owned, _now()))
        self._undelivered = self.send is not None

    def _deliver(self) -> None:
        """Send what waits in the outbox. A broker that is away gets it later."""
        if self.send is not None and time.monotonic() >= self._look_again:
            self._undelivered, self._look_again = True, time.monotonic() + _OUTBOX_SECONDS
        while self.send is not None and self._undelivered:
            query = partial(outbox.waiting, source_no=self._source_no, limit=_OUTBOX_BATCH)
            waiting = self._retry.read(query)
            if waiting:
                try:
                    self.send([message[1:] for message in waiting])
                except BrokerUnavailable:
                    return
                self._retry.write(partial(outbox.delivered, numbers=[message[0] for message in waiting]))
            self._undelivered = len(waiting) == _OUTBOX_BATCH


def _pass_over(progress: ingest.Progress, connection: Connection) -> None:
    ingest.fence(connection, progress, _now())
    ingest.record(connection, [progress])


def _now() -> int:
    """Wall clock in microseconds: for people and leases, never for a fate."""
    return time.time_ns() // 1000
