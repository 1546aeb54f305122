"""Reads the registry topic of Kafka, which has one partition, from any offset and without a consumer group.

Every worker may read the topic. The store keeps the next offset to read (`store.votes.registry_events`). No record is
skipped.
"""

import time

from kafka import TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError, RetriableError

from pipeline.errors import BrokerUnavailable
from pipeline.events.chunk import Chunk
from pipeline.stream.source.event_source import find_offset_gap
from pipeline.stream.source.kafka_client import ANSWER_MS, create_consumer, source_name, to_chunk
from pipeline.stream.source.kafka_connection import broker_error
from pipeline.stream.source.kafka_security import PLAINTEXT, Security


class RegistryTopic:
    """Reads one topic with one partition, such as the registry topic."""

    def __init__(self, bootstrap: str, topic: str, security: Security = PLAINTEXT) -> None:
        """Connect to Kafka.

        Args:
            bootstrap: HOST:PORT of brokers, separated by commas.
            topic: an existing topic with one partition, because events of two partitions would have no common order.
            security: options for TLS and SASL, from `client_security`.

        Raises:
            BrokerUnavailable: no broker answers, or the topic is missing or has several partitions.
            BrokerRefused: the broker refuses our login, or forbids us to read the topic.
        """
        self.name = source_name(bootstrap, topic, security)
        self._partition = TopicPartition(topic, 0)
        self._consumer = create_consumer(bootstrap, security, group_id=None)
        try:
            partitions = sorted(self._consumer.partitions_for_topic(topic) or ())
        except KafkaError as error:
            self.close()
            raise broker_error(f"{self.name}: the broker did not return its partitions", error) from error
        if partitions != [0]:
            self.close()
            raise BrokerUnavailable(f"{self.name}: expected one partition, got {len(partitions)}")
        self._consumer.assign([self._partition])
        # Offsets of this range [start, position] hold no record to read; the client stands at its end.
        self._empty_range = (-1, -1)

    @property
    def next_offset(self) -> int:
        """Next offset to read after the last `poll`.

        If the log ends with offsets that have no record, these are skipped.
        """
        return self._empty_range[1]

    def end(self) -> int:
        """Return the next offset that will be written to the topic.

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        return self._bounds()[1]

    def poll(self, offset: int, limit: int, seconds: float) -> Chunk | None:
        """Return up to `limit` records from `offset` on, as a chunk.

        Returns:
            None if no record arrives within `seconds`, for example because the broker does not answer.

        Raises:
            OffsetGap: the topic does not have this offset.
            BrokerRefused: an access rule forbids us to read the topic.
            BrokerUnavailable: the broker refuses the request for another reason.
        """
        if not self._empty_range[0] <= offset <= self._empty_range[1]:
            self._consumer.seek(self._partition, offset)
            self._empty_range = (offset, offset)
        try:
            polled = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=limit)
            records = polled.get(self._partition)
            first = records[-1].offset + 1 if records else self._empty_range[0]
            self._empty_range = (first, self._consumer.position(self._partition, timeout_ms=ANSWER_MS))
        except OffsetOutOfRangeError as error:
            first, end = self._bounds()
            missing = find_offset_gap(self.name, 0, offset, first, end)
            raise missing or BrokerUnavailable(f"{self.name}: {error}") from error
        except RetriableError:
            time.sleep(seconds)  # the client may fail without waiting
            return None
        except KafkaError as error:
            raise broker_error(self.name, error) from error
        return to_chunk(0, records) if records else None

    def _bounds(self) -> tuple[int, int]:
        try:
            first = self._consumer.beginning_offsets([self._partition], timeout_ms=ANSWER_MS)[self._partition]
            return int(first), int(self._consumer.end_offsets([self._partition], timeout_ms=ANSWER_MS)[self._partition])
        except KafkaError as error:
            raise broker_error(f"{self.name}: the broker did not return its offsets", error) from error

    def close(self) -> None:
        """Close the connection to the broker."""
        self._consumer.close(timeout_ms=3000)
