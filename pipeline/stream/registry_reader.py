"""Registry topic → store, beside the worker.

Every worker reads the topic, and the store's position decides whose chunk is written: events, rejects and position in
one transaction, so that each event is taken once however many readers there are. A record that is no event is a reject
with its reason; one that contradicts what is known is kept, changes nothing, and is a reject as long as it contradicts
(`pipeline.registry`). Both are told on the topic of rejects, by way of the worker's outbox.

Law: an event is in the store before its offset is passed. Not handled: a registry topic of several partitions.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import BrokerUnavailable, StoreUnavailable
from pipeline.events import decode_registry
from pipeline.events.chunk import Chunk
from pipeline.store import Store
from pipeline.store.alerting import outbox
from pipeline.store.votes import ingest, registry_events
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source import RegistryTopic

_LIMIT = 1_000
# Seconds that a poll waits, and until a broker or a database that is away is asked again.
_POLL, _AGAIN = 0.5, 5.0


class RegistryReader:
    """Reads one registry topic into one store."""

    def __init__(
        self, connect: Callable[[], RegistryTopic], store: Store, *, votes: str, rejected_topic: str | None
    ) -> None:
        """Prepare to read on where the store says.

        Args:
            connect: opens the topic; asked again as long as there is none.
            store: where to.
            votes: name of the votes' source, whose worker empties the outbox.
            rejected_topic: where rejects are told; None for nowhere.
        """
        self._connect, self._store, self._retry = connect, store, RetryPolicy(store)
        self._votes, self._rejected = votes, rejected_topic
        self._opened: RegistryTopic | None = None
        self._at: int | None = None  # as the store said; None where another reader was quicker
        self.read = 0

    @property
    def _topic(self) -> RegistryTopic:
        self._opened = self._opened or self._connect()
        return self._opened

    def catch_up(self) -> int:
        """Read everything that is there now; how many records that was.

        Raises:
            OffsetGap: records that were not read are gone.
            BrokerUnavailable: the broker does not answer.
        """
        end, before = self._topic.end(), self.read
        while self._position() < end:
            # Offsets at the end of the log may hold no record (transaction markers).
            if not self.step(_POLL) and self._topic.next_offset >= end:
                break
        return self.read - before

    def step(self, seconds: float) -> int:
        """Read and write one chunk; waits so long for it. Returns its number of records.

        Raises:
            OffsetGap: records that were not read are gone.
            BrokerUnavailable: the broker does not answer.
            StoreUnavailable: the database stayed away.
        """
        chunk = self._topic.poll(self._position(), _LIMIT, seconds)
        if chunk is None:
            return 0
        _, positions, rejects = decode_registry(chunk.values)
        written = self._retry.write(partial(self._write, chunk=chunk, decoded=(positions, rejects)))
        self._at = chunk.next_offset if written else None
        self.read += len(chunk.values) if written else 0
        return len(chunk.values)

    def follow(self, stopped: threading.Event, halt: Callable[[Exception], None]) -> None:
        """Read until told to stop; what is away is asked again.

        Args:
            stopped: set to end it.
            halt: told why nothing is read any more: records that are gone, or what nobody expected.
        """
        while not stopped.is_set():
            try:
                self.step(_POLL)
            except (BrokerUnavailable, StoreUnavailable):
                stopped.wait(_AGAIN)
            except Exception as error:  # a thread that dies in silence would leave the registry behind
                halt(error)
                return

    def close(self) -> None:
        """Let go of the topic."""
        if self._opened is not None:
            self._opened.close()

    def _position(self) -> int:
        if self._at is None:
            self._at = self._retry.read(partial(registry_events.position, source=self._topic.name))
        return self._at

    def _write(self, connection: Connection, chunk: Chunk, decoded: Any) -> bool:
        told = registry_events.append(connection, self._topic.name, chunk, decoded)
        if told and self._rejected is not None:
            source_no = ingest.source_number(connection, self._votes)
            outbox.add(connection, source_no, [_message(self._rejected, one) for one in told])
        return told is not None


def _message(topic: str, one: dict[str, Any]) -> tuple[str, bytes, bytes]:
    """The form of rejected votes, with the topic that it came from."""
    value = {"schema": 1, **one}
    return topic, str(one["origin"] or one["offset"]).encode(), json.dumps(value, sort_keys=True).encode()


@contextmanager
def beside(reader: RegistryReader, *, until_end: bool, halt: Callable[[], None]) -> Iterator[None]:
    """Keep the registry up to date while a worker works.

    Args:
        reader: of the registry topic.
        until_end: read what is there before the work begins, and nothing after that; a broker without a registry topic
            is a board without one. Else a thread of its own follows the topic.
        halt: ends the work when registry events are gone that were not read.

    Raises:
        OffsetGap: they are; after the work has ended. So is anything else that ended the thread.
    """
    gone: list[Exception] = []

    def stop(error: Exception) -> None:
        gone.append(error)
        halt()

    stopped = threading.Event()
    thread = threading.Thread(target=reader.follow, args=(stopped, stop), name="registry", daemon=True)
    if until_end:
        with suppress(BrokerUnavailable):
            reader.catch_up()
    else:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        if thread.is_alive():
            thread.join(_AGAIN)
        if not thread.is_alive():  # else it waits for a database that is away, and ends with the process
            reader.close()
    if gone:
        raise gone[0]
