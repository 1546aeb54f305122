"""Runs a worker: claims partitions, writes batches, stops cleanly.

Every vote that the broker acknowledged is stored exactly once, with its fate. If a partition is reassigned, its
unwritten batch is dropped. SIGTERM ends the process after the current batch. A worker is healthy while it stores
batches or has proof that nothing is left to store (`liveness`). At most two batches are in memory, so a slow store
slows the reading.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from pipeline.errors import Fenced, OffsetGap, TooManyRejects
from pipeline.events.chunk import Chunk
from pipeline.metrics import WorkerMetrics
from pipeline.open_store import now
from pipeline.scoring.detector_contracts import VoterDetector
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.db.dialect import has_server
from pipeline.store.votes import partitions
from pipeline.store.votes.dictionary import NameDictionary
from pipeline.stream.background_writer import BackgroundWriter
from pipeline.stream.batch_writer import BatchResult, WriteContext, write_batch, write_voter_states
from pipeline.stream.decoding import DecodedBatch
from pipeline.stream.file_intake import FileIntake
from pipeline.stream.halt import absence_endured, check_log_unchanged, open_halt_alert
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.liveness import Liveness
from pipeline.stream.name_numbering import number_batch
from pipeline.stream.outbox_sender import OutboxSender, Send
from pipeline.stream.owned_partition import OwnedPartition, claim_partitions, skip_offsets
from pipeline.stream.reference_cache import ReferenceCache
from pipeline.stream.reject_limit import RejectLimit
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source.event_source import Source, ends_with_records
from pipeline.stream.start_decoder import start_decoder
from pipeline.stream.voter_state_cache import VoterStateCache, replay_states

# Seconds that a poll waits for a record; shorter while a batch is being written, to notice its end soon.
_POLL_SECONDS, _BUSY_POLL_SECONDS = 0.25, 0.05


@dataclass
class _PolledBatch:
    """A polled batch. `started` is when decoding began, in seconds of the monotonic clock. `_write` sets `decoded`."""

    chunks: list[Chunk]
    started: float
    decoded: DecodedBatch = field(init=False)


@dataclass
class Worker:
    """Reads one source into one store: polls records, decodes, evaluates and writes them.

    Attributes:
        source, store, settings: the source to read, the store for the votes, and the settings of this process.
        detectors: the voter detectors to run.
        owner: the name of the worker, for display.
        metrics: counters of this worker.
        send: a function that delivers outbox messages and returns when they are acknowledged; None without a broker.
        progress: a function that is called after every batch with the counts so far.
        tally: counts of all records so far.
        decode_apart: whether a second process may decode the records (`start_decoder`).
    """

    source: Source
    store: Store
    settings: Settings
    detectors: Sequence[VoterDetector]
    owner: str
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    send: Send | None = None
    progress: Callable[[IngestTally], None] = lambda _: None
    tally: IngestTally = field(default_factory=IngestTally)
    decode_apart: bool = False

    def __post_init__(self) -> None:
        """Register the source, and create the objects that last from batch to batch."""
        self._retry = RetryPolicy(self.store)
        self._source_no = self._retry.write(lambda c: partitions.register_source(c, self.source.name))
        topics = {"alerts": self.settings.topic_alerts, "rejected": self.settings.topic_rejected}
        self._context = WriteContext(
            self._source_no,
            NameDictionary(self.store),
            self.detectors,
            self.settings.lateness,
            topics if self.send else None,
            VoterStateCache(self.detectors),
        )
        self._references = ReferenceCache()
        self._owned: dict[int, OwnedPartition] = {}
        self._generation, self._stopping = -1, False
        self._decoder = start_decoder(self.source, self.store, self.settings, apart=self.decode_apart)
        self._writer: BackgroundWriter[BatchResult] = BackgroundWriter(threaded=has_server(self.store.engine))
        self._batch: _PolledBatch | None = None  # being written
        self._outbox = OutboxSender(self.send, self._source_no, self._retry)
        lease, seconds = self.settings.lease_seconds, self.settings.progress_seconds
        self._files = FileIntake.of(self.source, self.store, self.owner, lease, lambda: self._stopping)
        self._limit = RejectLimit(self.settings.max_consecutive_rejects, self.settings.max_reject_ratio)
        self._liveness = Liveness(self.source, self._source_no, self._retry, seconds, self.metrics)

    def stop(self) -> None:
        """Make `run` return after the current batch. Safe to call from a signal handler."""
        self._stopping = True

    def healthy(self) -> tuple[bool, str]:
        """Return whether the worker is healthy (`liveness`), and a sentence about its last progress."""
        return self._liveness.healthy(self._outbox.problem)

    def run(self, *, until_end: bool = False) -> IngestTally:
        """Read and store votes until `stop` is called, and return the counts of all batches.

        Args:
            until_end: True returns when all records that the source had at the start are stored.

        Raises:
            OffsetGap: votes were deleted or replaced before they were read. The alert `worker_halted` is opened.
            TooManyRejects: too many records were rejected. The alert `worker_halted` is opened.
            StoreUnavailable: the database stayed unavailable, or a migration marked the window counts as stale.
            BrokerRefused: the broker forbids us to read the votes or to join the consumer group.
        """
        try:
            self._loop(ends_with_records(self.source) if until_end else None)
            self._write_states()
        except (OffsetGap, TooManyRejects) as error:
            self._halt(error)
            self._outbox.deliver()
            raise
        finally:
            self._writer.close()
            self._decoder.close()
            if self._files:
                self._files.release()
        self._outbox.deliver()
        return self.tally

    def _loop(self, ends: Mapping[int, int] | None) -> None:
        while not self._stopping:
            if self.source.generation() != self._generation:
                self._finish_batch()
                with absence_endured():  # tried again after the next poll; meanwhile there is no progress
                    self._claim()
            seconds = _BUSY_POLL_SECONDS if self._writer.busy else _POLL_SECONDS
            chunks = self.source.poll(self.settings.batch_votes, seconds)
            if self.source.generation() != self._generation:
                continue  # the partitions may have been reassigned: the batch is dropped, its owner reads it again
            if chunks:
                self._start_batch(chunks)
            elif self._writer.busy:
                self._finish_batch()
            elif self._idle(ends):
                break
        self._finish_batch()

    def _claim(self) -> None:
        """Claim the assigned partitions and seek to their stored offsets. For files, wait for the lease first."""
        generation = self.source.generation()
        if self._files and not self._files.take_turn():
            return
        numbers = self.source.assigned_partitions()
        for lost in self._owned.keys() - set(numbers):
            self.metrics.revoked(self.source.name, lost)
        bounds = self.source.offset_bounds(numbers) if numbers else {}
        self._owned = self._retry.write(lambda c: claim_partitions(c, self._source_no, bounds, self.owner, now()))
        if self._files and not self._files.begin(self._owned[0].claim.partition_no, self._owned[0].next_offset):
            return
        self._retry.run(self._replay_states)
        check_log_unchanged(self.source, self._retry, self._owned, bounds)
        self.source.seek({number: owned.next_offset for number, owned in self._owned.items()})
        self._generation = generation

    def _replay_states(self) -> None:
        """Update the voter states with the votes that a former owner stored without writing the states."""
        states = self._context.states
        states.clear()  # also drops what an interrupted try replayed
        with self.store.read() as connection:
            reference = partial(self._references.earlier, connection)
            for owned in self._owned.values():
                if owned.claim.state_offset < owned.next_offset:
                    no, first = owned.claim.partition_no, owned.claim.state_offset
                    replay_states(connection, states, no, first, owned.next_offset, self.detectors, reference)

    def _write_states(self) -> None:
        """Write the voter states that are only in memory."""
        states = self._context.states
        if unwritten := states.unwritten():
            try:
                self._retry.write(lambda c: write_voter_states(c, unwritten, self._owned, {}))
            except Fenced:
                self._generation = -1  # the next owner replays them
                return
            states.mark_written()

    def _start_batch(self, chunks: list[Chunk]) -> None:
        """Begin to decode a batch while the previous one is being written, then begin to write it."""
        started = time.monotonic()
        self._decoder.start(chunks, {number: owned.claim.partition_no for number, owned in self._owned.items()})
        self._finish_batch()
        if self.source.generation() != self._generation:
            self._decoder.result()
            return  # fenced, or reassigned: the owner reads the batch again
        self._batch = _PolledBatch(chunks, started)
        self._writer.submit(partial(self._write, self._batch))
        if not self._writer.threaded:
            self._finish_batch()

    def _write(self, batch: _PolledBatch) -> BatchResult:
        """Write a batch. With a second thread, this thread waits for the decoder while the next batch is polled."""
        batch.decoded = self._decoder.result()
        return self._retry.run(partial(self._write_decoded, batch.chunks, batch.decoded))

    def _write_decoded(self, chunks: list[Chunk], decoded: DecodedBatch) -> BatchResult:
        names, quota = self._context.names, self.settings.new_models_per_hour
        decoded, numbers = number_batch(self.store, names, quota, chunks, decoded, self._owned)
        with self.store.write() as c:
            return write_batch(c, chunks, decoded, numbers, self._owned, self._references, self._context, now())

    def _finish_batch(self) -> None:
        """Wait for the batch that is being written, if there is one, and apply its result."""
        if not self._writer.busy or self._batch is None:
            return
        batch, self._batch = self._batch, None
        try:
            result = self._writer.wait(self.source.heartbeat)
        except Fenced:
            self.metrics.fenced.inc()
            self._generation = -1  # claim again what is still assigned
            return
        self._advance(batch.chunks, result.event_time)
        self._liveness.progress(self._owned)
        self._context.states.put(result.states)
        if result.states_written:
            self._context.states.mark_written()
        self.tally.add(result.tally)
        result.tally.export(self.metrics, time.monotonic() - batch.started)
        self.source.report_committed({chunk.partition: chunk.next_offset for chunk in batch.chunks})
        self.progress(self.tally)
        if result.tally.alerts or result.tally.rejected:
            self._outbox.notify()
        self._outbox.deliver()
        if self._files:
            self._files.renew()
        self._check_rejects(batch.decoded, result.tally)

    def _advance(self, chunks: list[Chunk], event_time: Mapping[int, int | None]) -> None:
        for chunk in chunks:
            owned = self._owned[chunk.partition]
            owned.next_offset = chunk.next_offset
            owned.event_time = event_time.get(owned.claim.partition_no, owned.event_time)
            owned.snapshot = self._references.sequence

    def _idle(self, ends: Mapping[int, int] | None) -> bool:
        """Write states and messages that are due. Return whether all before `ends` is stored, False without `ends`."""
        self._skip_gaps()
        if self._context.states.write_due():
            self._write_states()
        self._outbox.deliver()
        self._liveness.idle(self._owned)
        if ends is None:
            return False
        if self._files:
            return True  # an empty poll of a file is its end
        stored = self._retry.read(partial(partitions.next_offsets, source_no=self._source_no))
        return all(stored.get(number, 0) >= end for number, end in ends.items())

    def _skip_gaps(self) -> None:
        """Move next offsets past offsets without a record at the end of a log, in memory and in the store."""
        positions = self.source.positions()
        for number, owned in self._owned.items():
            end = positions.get(number, 0)
            if end > owned.next_offset:
                try:
                    self._retry.write(partial(skip_offsets, owned=owned, end=end, now=now()))
                except Fenced:
                    self._generation = -1
                    return
                owned.next_offset = end

    def _check_rejects(self, decoded: DecodedBatch, tally: IngestTally) -> None:
        try:
            self._limit.check(tally.read, decoded.rejects)
        except TooManyRejects as error:
            first = decoded.rejects[0]
            numbers = {owned.claim.partition_no: number for number, owned in self._owned.items()}
            part, offset = numbers[int(decoded.partition[first.position])], decoded.offset[first.position]
            place = decoded.origins[first.position] if self._files else f"partition {part}, offset {offset}"
            raise TooManyRejects(
                f"{self.source.name}: {error} (first of this batch: {place}: {first.reason}: {first.detail})"
            ) from None

    def _halt(self, error: OffsetGap | TooManyRejects) -> None:
        self._finish_batch()
        self.metrics.halted.set(1)
        self._retry.write(lambda c: open_halt_alert(c, error, self.source.name, self._owned, now()))
        self._outbox.notify()
