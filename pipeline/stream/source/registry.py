"""The registry topic of Kafka: one partition, read from an offset on by whoever asks.

No consumer group: every worker may read it, and the store's own position says what is done (`store.registry.append`).
Law: an offset is always the next one to read; a record that was never read is never passed over.
"""

from __future__ import annotations

import time
import warnings

from pipeline.errors import BrokerUnavailable
from pipeline.events.chunk import Chunk
from pipeline.stream.source.contract import gap
from pipeline.stream.source.kafka_client import ANSWER_MS, chunk_of, consumer, describe

with warnings.catch_warnings():  # the client reads its own package data in a deprecated way
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import TopicPartition
    from kafka.errors import KafkaError, OffsetOutOfRangeError, RetriableError


class RegistryTopic:
    """The one partition of a registry topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """Connect.

        Args:
            bootstrap: HOST:PORT of a broker.
            topic: it must exist and have one partition: of two the order of events would be nobody's.

        Raises:
            BrokerUnavailable: no broker answers, it has no such topic, or the topic has several partitions.
        """
        self.name = f"kafka:{describe(bootstrap, topic)}/{topic}"
        self._place = TopicPartition(topic, 0)
        self._consumer = consumer(bootstrap, group_id=None)
        try:
            partitions = sorted(self._consumer.partitions_for_topic(topic) or ())
        except KafkaError as error:
            self.close()
            raise BrokerUnavailable(f"{self.name}: the broker does not say its partitions: {error}") from error
        if partitions != [0]:
            self.close()
            raise BrokerUnavailable(f"{self.name}: expected one partition, got {len(partitions)}")
        self._consumer.assign([self._place])
        # Nothing is to be read from the first of the two up to the second, which is where the client stands.
        self._free = (-1, -1)

    @property
    def next_offset(self) -> int:
        """The next offset that the client reads: past gaps at the end of the log too."""
        return self._free[1]

    def end(self) -> int:
        """The next offset to be written.

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        return self._bounds()[1]

    def poll(self, offset: int, limit: int, seconds: float) -> Chunk | None:
        """Up to `limit` records from an offset on, None if there are none within so many seconds.

        Raises:
            OffsetGap: the log does not hold that offset.
            BrokerUnavailable: the broker refuses us.
        """
        if not self._free[0] <= offset <= self._free[1]:
            self._consumer.seek(self._place, offset)
            self._free = (offset, offset)
        try:
            polled = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=limit)
            records = polled.get(self._place)
            first = records[-1].offset + 1 if records else self._free[0]
            self._free = (first, self._consumer.position(self._place, timeout_ms=ANSWER_MS))
        except OffsetOutOfRangeError as error:
            first, end = self._bounds()
            missing = gap(self.name, 0, offset, first, end)
            raise missing or BrokerUnavailable(f"{self.name}: {error}") from error
        except RetriableError:
            time.sleep(seconds)  # it may be refused at once
            return None
        except KafkaError as error:
            raise BrokerUnavailable(f"{self.name}: {error}") from error
        return chunk_of(0, records) if records else None

    def _bounds(self) -> tuple[int, int]:
        try:
            first = self._consumer.beginning_offsets([self._place], timeout_ms=ANSWER_MS)[self._place]
            return int(first), int(self._consumer.end_offsets([self._place], timeout_ms=ANSWER_MS)[self._place])
        except KafkaError as error:
            raise BrokerUnavailable(f"{self.name}: the broker does not say its offsets: {error}") from error

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close(timeout_ms=3000)
