"""Reads a Kafka topic as a source, with kafka-python.

The client calls rebalance listeners in its IO thread, where a blocking call raises an error. The listeners therefore
only count rebalances, and the worker's loop reacts to the count.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import (
    ConsumerRebalanceListener,
    OffsetAndMetadata,
    TopicPartition,
)
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RetriableError,
)

from pipeline.errors import BrokerUnavailable, OffsetGap
from pipeline.events.chunk import Chunk
from pipeline.stream.source.event_source import find_offset_gap
from pipeline.stream.source.kafka_client import ANSWER_MS, create_consumer, source_name, to_chunk
from pipeline.stream.source.kafka_connection import broker_error
from pipeline.stream.source.kafka_security import PLAINTEXT, Security

# Partitions added to a topic are noticed within this time.
METADATA_MS = 30_000


class _RebalanceCounter(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is not typed
    """Counts rebalances on the client's thread, and keeps the start time of an unfinished one."""

    def __init__(self) -> None:
        self.generation = 0
        self.joining_since: float | None = None

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002
        self.generation += 1
        self.joining_since = time.monotonic()

    def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ARG002
        self.generation += 1
        self.joining_since = None

    def on_partitions_lost(self, lost: Any) -> None:  # noqa: ARG002
        self.generation += 1


class KafkaSource:
    """Reads the partitions of a topic that Kafka assigns to this worker, as a member of a consumer group."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        group: str,
        *,
        security: Security = PLAINTEXT,
        session_seconds: float = 10,
        poll_seconds: float = 60,
    ) -> None:
        """Join a consumer group.

        Args:
            bootstrap: HOST:PORT of brokers, separated by commas.
            topic: the votes topic; it must exist.
            group: the consumer group; all workers of one store share it.
            security: options for TLS and SASL, from `client_security`.
            session_seconds: time without a heartbeat after which Kafka reassigns the partitions.
            poll_seconds: time without a poll after which Kafka reassigns the partitions.

        Raises:
            BrokerUnavailable: no broker answers, or the topic is missing.
            BrokerRefused: the broker refuses our login, or forbids us to read the topic.
        """
        self._bootstrap, self._security, self._topic = bootstrap, security, topic
        self.name = source_name(bootstrap, topic, security)
        self._rebalances = _RebalanceCounter()
        self._consumer = create_consumer(
            bootstrap,
            security,
            group_id=group,
            enable_auto_commit=False,
            session_timeout_ms=int(session_seconds * 1000),
            heartbeat_interval_ms=int(session_seconds * 1000 / 6),
            max_poll_interval_ms=int(poll_seconds * 1000),
            metadata_max_age_ms=METADATA_MS,
            # Votes have 200 to 400 bytes: 1 MiB (the default) is 4,000 of them, less than a batch.
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        # A rebalance waits at most one session for dead members, and until their next poll for busy ones.
        self._stuck_after = session_seconds + poll_seconds
        self._heartbeat_error: KafkaError | None = None
        try:
            self._subscribe()
        except KafkaError as error:
            self.close()
            raise broker_error(f"{self.name}: the broker did not return its topics", error) from error
        self._sought: dict[int, int] = {}  # partition → next offset, of those that `seek` named
        self._sought_in = -1  # the generation of that seek

    def _subscribe(self) -> None:
        """Subscribe to the topic, and fetch the list of its partitions before this client joins the consumer group.

        This avoids a fault of kafka-python 3.0.12. A group leader that learns of partitions only after it has joined
        must join again. If a poll times out during the second join, the client never finishes the join: heartbeats
        continue, but nothing is read.

        The subscription must come first, because the client ignores partitions that were fetched before it.
        """
        self._consumer.subscribe([self._topic], listener=self._rebalances)
        self._consumer.topics()

    def generation(self) -> int:
        """Return a number that grows with every rebalance."""
        return self._rebalances.generation

    def assigned_partitions(self) -> list[int]:
        """Return the partitions that are assigned to this worker now."""
        return sorted(tp.partition for tp in self._consumer.assignment())

    def all_partitions(self) -> list[int]:
        """Return every partition of the topic.

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        try:
            return sorted(self._consumer.partitions_for_topic(self._topic) or ())
        except KafkaError as error:
            raise broker_error(f"{self.name}: the broker did not return its partitions", error) from error

    def offset_bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """Ask the broker for the available offsets: partition → (first available offset, next offset to be written).

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        topic_partitions = [TopicPartition(self._topic, number) for number in partitions]
        try:
            first = self._consumer.beginning_offsets(topic_partitions, timeout_ms=ANSWER_MS)
            end = self._consumer.end_offsets(topic_partitions, timeout_ms=ANSWER_MS)
        except KafkaError as error:
            raise broker_error(f"{self.name}: the broker did not return its offsets", error) from error
        return {tp.partition: (first[tp], end[tp]) for tp in topic_partitions}

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Make `poll` continue at these offsets. Partitions that are no longer assigned are ignored."""
        self._sought_in = self.generation()
        mine = set(self.assigned_partitions())
        self._sought = {number: offset for number, offset in offsets.items() if number in mine}
        for number, offset in self._sought.items():
            self._consumer.seek(TopicPartition(self._topic, number), offset)

    def known_ends(self) -> Mapping[int, int]:
        """Return partition → next offset to be written, as the last fetch since `seek` showed it."""
        assigned = self.assigned_partitions()
        known = ((n, self._consumer.highwater(tp)) for n, tp in self._with_partitions(self._sought) if n in assigned)
        return {number: end for number, end in known if end is not None}

    def replaced_partitions(self, read: Mapping[int, tuple[int, int]]) -> list[int]:
        """Return the partitions whose log was replaced, so that a record that was read is no longer there.

        Each record is fetched again, and its append time is compared. A second client fetches, so that the next offset
        of the consumer group does not move.

        Args:
            read: partition → (offset of a record that was read, its append time in microseconds since 1970 UTC).

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        wanted = dict(self._with_partitions(read))
        try:
            found = self._fetch({tp: read[number][0] for number, tp in wanted.items()}) if read else {}
        except OffsetOutOfRangeError as error:
            return sorted(tp.partition for tp in error.args[0])
        except KafkaError as error:
            raise broker_error(f"{self.name}: the broker did not return the records that were read", error) from error
        return [n for n, (offset, at) in read.items() if found[wanted[n]] != (offset, at // 1000)]

    def _fetch(self, offsets: Mapping[Any, int]) -> dict[Any, tuple[int, int]]:
        """Return offset and append time (ms) of each partition's first record from the given offset on."""
        consumer = create_consumer(
            self._bootstrap,
            self._security,
            group_id=None,
            isolation_level="read_uncommitted",
            max_partition_fetch_bytes=1,  # a fetch returns one batch at least
        )
        found: dict[Any, tuple[int, int]] = {}
        deadline = time.monotonic() + ANSWER_MS / 1000
        try:
            consumer.assign(list(offsets))
            for tp, offset in offsets.items():
                consumer.seek(tp, offset)
            while len(found) < len(offsets) and time.monotonic() < deadline:
                for tp, records in consumer.poll(timeout_ms=100).items():
                    found[tp] = records[0].offset, records[0].timestamp
                    consumer.pause(tp)
        finally:
            consumer.close()
        if missing := offsets.keys() - found.keys():
            raise KafkaTimeoutError(f"no answer about {sorted(missing)} within {ANSWER_MS} ms")
        return found

    def _with_partitions(self, numbers: Iterable[int]) -> list[tuple[int, Any]]:
        return [(number, TopicPartition(self._topic, number)) for number in numbers]

    def poll(self, limit: int, seconds: float) -> list[Chunk]:
        """Return up to `limit` records of the partitions that `seek` named, as one chunk for each partition.

        Wait at most `seconds` for the first record. While the broker does not answer, the list is empty, and the client
        reconnects by itself, twice a second.

        Raises:
            OffsetGap: a partition does not have its next offset.
            BrokerUnavailable: the broker refuses the client permanently.
            BrokerRefused: the cause is an access rule.
        """
        pending, self._heartbeat_error = self._heartbeat_error, None
        try:
            if pending is not None:
                raise pending
            self._rejoin_if_stuck()
            polled = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=limit)
        except NoOffsetForPartitionError:
            return []  # newly assigned and not sought yet: the worker claims, then seeks
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            if self.generation() != self._sought_in:
                return []  # the group's committed offset is not authoritative: the worker seeks to the store's
            raise self._gap(error) from error
        except RetriableError:
            time.sleep(seconds)  # the client may fail without waiting
            return []
        except KafkaError as error:
            raise broker_error(self.name, error) from error
        chunks = [
            to_chunk(tp.partition, records)
            for tp, records in sorted(polled.items())
            if records and tp.partition in self._sought
        ]
        self._sought |= {chunk.partition: chunk.next_offset for chunk in chunks}
        return chunks

    def _gap(self, error: OffsetOutOfRangeError | LogTruncationError) -> OffsetGap:
        """Return an error that says which records are missing. The client's error names a partition at most."""
        about = error.divergent_offsets if isinstance(error, LogTruncationError) else error.args[0]
        numbers = sorted({tp.partition for tp in about} & self._sought.keys())
        try:
            bounds = self.offset_bounds(numbers)
        except BrokerUnavailable:
            return OffsetGap(f"{self.name}: {error}")
        gaps = (find_offset_gap(self.name, number, self._sought[number], *bounds[number]) for number in numbers)
        # The log has grown past our offset again; the broker's epochs show that earlier records were replaced.
        again = f"{self.name}, partition {', '.join(map(str, numbers))}: the log was truncated and written to again"
        return next(filter(None, gaps), OffsetGap(f"{again}: {error}"))

    def _rejoin_if_stuck(self) -> None:
        """Rejoin the group if a join does not end, which may happen after partitions are added to the topic."""
        since = self._rebalances.joining_since
        if since is not None and time.monotonic() - since > self._stuck_after:
            self._rebalances.joining_since = None
            self._consumer.unsubscribe()
            self._subscribe()

    def heartbeat(self) -> None:
        """Stay in the consumer group without reading. To this end, poll while every partition is paused."""
        assigned = self._consumer.assignment()
        self._consumer.pause(*assigned)
        try:
            self._consumer.poll(timeout_ms=0)
        except KafkaError as error:
            self._heartbeat_error = error  # the next poll raises it
        finally:
            self._consumer.resume(*(assigned & self._consumer.assignment()))

    def positions(self) -> Mapping[int, int]:
        """Return the next offset to read of each partition that `seek` named, as partition → offset."""
        return {
            number: self._consumer.position(TopicPartition(self._topic, number), timeout_ms=1000)
            for number in self._sought
        }

    def report_committed(self, offsets: Mapping[int, int]) -> None:
        """Commit offsets (partition → next offset) to the consumer group, only for displays of lag."""
        self._consumer.commit_async(
            {TopicPartition(self._topic, n): OffsetAndMetadata(o, "", -1) for n, o in offsets.items()}
        )

    def close(self) -> None:
        """Leave the group, so that its partitions are reassigned immediately."""
        self._consumer.close(autocommit=False, timeout_ms=3000)
