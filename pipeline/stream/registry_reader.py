"""Reads the registry topic into the store, in a thread of the worker process.

The registry is the list of events about models: submission, release, renaming, retraction and so on. Every worker reads
the topic. One transaction writes events, rejects and the next offset of the topic. It writes nothing if another reader
has moved the stored next offset meanwhile. Several readers thus store each event only once, and no event is skipped.

A record that is not an event is stored as a reject with its reason. An event that contradicts earlier events is stored,
but has no effect. It counts as a reject while the contradiction lasts (`pipeline.registry`). Both kinds of rejects are
published on the topic of rejects, through the worker's outbox.

Not handled: a registry topic with several partitions.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import BrokerRefused, BrokerUnavailable, StoreUnavailable
from pipeline.events import decode_registry
from pipeline.events.chunk import Chunk
from pipeline.events.record_signature import RecordVerifier
from pipeline.store import Store
from pipeline.store.alerting import outbox
from pipeline.store.votes import partitions, registry_events
from pipeline.stream.record_screening import decode_marked
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source import RegistryTopic
from pipeline.stream.topic_messages import rejected_event_message

_LIMIT = 1_000
# Seconds that a poll waits for records; seconds between two tries when the broker or the database is away.
_POLL, _RETRY = 0.5, 5.0


class RegistryReader:
    """Reads one registry topic into one store, in a thread of the worker.

    Attributes:
        read: number of records that this reader has stored.
    """

    def __init__(
        self,
        connect: Callable[[], RegistryTopic],
        store: Store,
        *,
        votes_source: str,
        rejected_topic: str | None,
        verifier: RecordVerifier | None = None,
    ) -> None:
        """Create a reader that continues at the store's position.

        Args:
            connect: opens the topic; called again until it succeeds.
            store: the store for the events.
            votes_source: name of the source of votes. The worker of this source sends the outbox.
            rejected_topic: topic for rejects; None publishes no rejects.
            verifier: checks the events' signatures; None if events need no signature.
        """
        self._connect, self._store, self._retry = connect, store, RetryPolicy(store)
        self._votes_source, self._rejected_topic = votes_source, rejected_topic
        self._verifier = verifier
        self._opened: RegistryTopic | None = None
        self._offset: int | None = None  # the store's position; None: to be read from the store
        self.read = 0

    @property
    def _topic(self) -> RegistryTopic:
        self._opened = self._opened or self._connect()
        return self._opened

    def catch_up(self) -> int:
        """Read the registry topic up to its present end.

        Returns:
            The number of records that this reader stored in this call. Records that another reader stored do not count.

        Raises:
            OffsetGap: records were deleted before they were read.
            BrokerUnavailable: the broker does not answer, or the topic is missing.
            BrokerRefused: an access rule forbids us to read the topic.
            StoreUnavailable: the database stayed unavailable.
        """
        end, before = self._topic.end(), self.read
        while self._position() < end:
            # Offsets at the end of the log may have no record (transaction markers).
            if not self.read_chunk(_POLL) and self._topic.next_offset >= end:
                break
        return self.read - before

    def read_chunk(self, seconds: float) -> int:
        """Read one chunk of the registry topic and store it, unless another reader has stored it meanwhile.

        Args:
            seconds: longest wait for the first record.

        Returns:
            The number of records that were read, 0 if none arrived.

        Raises:
            OffsetGap: records were deleted before they were read.
            BrokerUnavailable: the broker does not answer, or the topic is missing.
            BrokerRefused: an access rule forbids us to read the topic.
            StoreUnavailable: the database stayed unavailable.
        """
        chunk = self._topic.poll(self._position(), _LIMIT, seconds)
        if chunk is None:
            return 0
        _, positions, rejects = decode_marked(chunk.values, chunk.marks, self._verifier, self._decode)
        written = self._retry.write(partial(self._write, chunk=chunk, decoded=(positions, rejects)))
        self._offset = chunk.next_offset if written else None
        self.read += len(chunk.values) if written else 0
        return len(chunk.values)

    def follow(self, stopped: threading.Event, halt: Callable[[Exception], None]) -> None:
        """Read chunks of the registry topic until the caller ends the reading.

        While the broker or the database does not answer, the function tries again.

        Args:
            stopped: an event that the caller sets to end the reading.
            halt: a function that is called with the error that ends the reading: an offset gap, a refusal, or an
                unexpected error.
        """
        while not stopped.is_set():
            try:
                self.read_chunk(_POLL)
            except BrokerRefused as error:  # to wait does not help, and without the registry votes are judged wrongly
                halt(error)
                return
            except (BrokerUnavailable, StoreUnavailable):
                stopped.wait(_RETRY)
            except Exception as error:  # without this the thread would die unnoticed
                halt(error)
                return

    def close(self) -> None:
        """Close the connection to the topic."""
        if self._opened is not None:
            self._opened.close()

    def _position(self) -> int:
        if self._offset is None:
            self._offset = self._retry.read(self._next_offset)
        return self._offset

    def _decode(self, values: Sequence[bytes | None]) -> Any:
        return decode_registry(values)

    def _next_offset(self, connection: Connection) -> int:
        return registry_events.next_offset(connection, self._topic.name)

    def _append(self, connection: Connection, chunk: Chunk, decoded: Any) -> list[dict[str, Any]] | None:
        return registry_events.append_chunk(connection, self._topic.name, chunk, decoded)

    def _write(self, connection: Connection, chunk: Chunk, decoded: Any) -> bool:
        rejects = self._append(connection, chunk, decoded)
        if rejects and self._rejected_topic is not None:
            source_no = partitions.register_source(connection, self._votes_source)
            outbox.enqueue(
                connection, source_no, [rejected_event_message(self._rejected_topic, one) for one in rejects]
            )
        return rejects is not None


@contextmanager
def keep_registry_current(reader: RegistryReader, *, until_end: bool, halt: Callable[[], None]) -> Iterator[None]:
    """Keep the registry up to date within a `with` block, while a worker runs.

    Args:
        reader: reader of the registry topic.
        until_end: True reads only the present events, before the block begins. A missing topic or a silent broker is
            then ignored. False lets a thread read the topic during the block.
        halt: a function that is called to stop the worker if the thread fails.

    Raises:
        OffsetGap: registry events were deleted before they were read.
        BrokerRefused: an access rule forbids us to read the topic.
        Exception: any other error that ended the thread. Errors of the thread are raised at the end of the block.
    """
    errors: list[Exception] = []

    def stop(error: Exception) -> None:
        errors.append(error)
        halt()

    stopped = threading.Event()
    thread = threading.Thread(target=reader.follow, args=(stopped, stop), name="registry", daemon=True)
    if until_end:
        try:
            reader.catch_up()
        except BrokerRefused:
            raise
        except BrokerUnavailable:
            pass  # `work` has named the topic that is missing
    else:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        if thread.is_alive():
            thread.join(_RETRY)
        if not thread.is_alive():  # otherwise it waits for the database, and ends with the process
            reader.close()
    if errors:
        raise errors[0]
