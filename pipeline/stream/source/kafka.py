"""A Kafka topic as a source, by kafka-python.

Rebalance listeners run on the client's IO thread, where a blocking call raises: they set a flag, and the worker's own
loop does the rest.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.errors import BrokerUnavailable, OffsetGap
from pipeline.events.chunk import Chunk
from pipeline.stream.source.contract import gap
from pipeline.stream.source.kafka_client import ANSWER_MS, chunk_of, consumer, describe

with warnings.catch_warnings():  # the client reads its own package data in a deprecated way
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import (
        ConsumerRebalanceListener,
        KafkaConsumer,
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

# How soon partitions that were added to a topic are read.
METADATA_MS = 30_000


class _Flag(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is not typed
    """Counts rebalances, on the client's thread, and says since when one goes on."""

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
    """One worker's share of a topic, as a member of a consumer group."""

    def __init__(
        self, bootstrap: str, topic: str, group: str, *, session_seconds: float = 10, poll_seconds: float = 60
    ) -> None:
        """Join a group.

        Args:
            bootstrap: HOST:PORT of a broker.
            topic: the votes topic; it must exist.
            group: the consumer group; all workers of one store share it.
            session_seconds: Kafka gives the partitions away when it hears nothing for so long.
            poll_seconds: … or when the worker does not poll for so long.

        Raises:
            BrokerUnavailable: no broker answers, or it has no such topic.
        """
        self._bootstrap, self._topic = bootstrap, topic
        self.name = f"kafka:{describe(bootstrap, topic)}/{topic}"
        self._flag = _Flag()
        self._consumer = consumer(
            bootstrap,
            group_id=group,
            enable_auto_commit=False,
            session_timeout_ms=int(session_seconds * 1000),
            heartbeat_interval_ms=int(session_seconds * 1000 / 6),
            max_poll_interval_ms=int(poll_seconds * 1000),
            metadata_max_age_ms=METADATA_MS,
            # Votes are 200 to 400 bytes: 1 MiB (the default) is 4,000 of them, less than a batch.
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        # A rebalance waits for members that have died, one session at most, and for busy ones, until they must poll.
        self._stuck_after = session_seconds + poll_seconds
        self._met: KafkaError | None = None  # while nothing was to be read
        try:
            self._subscribe()
        except KafkaError as error:
            self.close()
            raise BrokerUnavailable(f"{self.name}: the broker does not say its topics: {error}") from error
        self._sought: dict[int, int] = {}  # the next offset of each partition that was sought
        self._sought_in = -1

    def _subscribe(self) -> None:
        """Join the group, knowing the topic's partitions.

        A leader that learns of partitions after it joined joins again, and if a poll runs out of time meanwhile,
        kafka-python 3.0.12 forgets that join for ever: nothing is read, and the heartbeats go on. It must know them
        between subscribing and the first poll (before, it does not take notice).
        """
        self._consumer.subscribe([self._topic], listener=self._flag)
        self._consumer.topics()

    def generation(self) -> int:
        """Rebalances so far."""
        return self._flag.generation

    def partitions(self) -> list[int]:
        """The share of this member now."""
        return sorted(tp.partition for tp in self._consumer.assignment())

    def all_partitions(self) -> list[int]:
        """Every partition of the topic.

        Raises:
            BrokerUnavailable: it does not answer.
        """
        try:
            return sorted(self._consumer.partitions_for_topic(self._topic) or ())
        except KafkaError as error:
            raise BrokerUnavailable(f"{self.name}: the broker does not say its partitions: {error}") from error

    def bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """First and next offset of each partition, asked of the broker.

        Raises:
            BrokerUnavailable: it does not answer.
        """
        topic_partitions = [TopicPartition(self._topic, number) for number in partitions]
        try:
            first = self._consumer.beginning_offsets(topic_partitions, timeout_ms=ANSWER_MS)
            end = self._consumer.end_offsets(topic_partitions, timeout_ms=ANSWER_MS)
        except KafkaError as error:
            raise BrokerUnavailable(f"{self.name}: the broker does not say its offsets: {error}") from error
        return {tp.partition: (first[tp], end[tp]) for tp in topic_partitions}

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets; partitions that are not ours any more are passed over."""
        self._sought_in = self.generation()
        mine = set(self.partitions())
        self._sought = {number: offset for number, offset in offsets.items() if number in mine}
        for number, offset in self._sought.items():
            self._consumer.seek(TopicPartition(self._topic, number), offset)

    def ends(self) -> Mapping[int, int]:
        """Of the sought partitions, as the last fetches told."""
        known = ((n, self._consumer.highwater(tp)) for n, tp in self._places(self._sought) if n in self.partitions())
        return {number: end for number, end in known if end is not None}

    def replaced(self, read: Mapping[int, tuple[int, int]]) -> list[int]:
        """The partitions whose log was truncated and written to again, beyond what was read.

        Each of the records is fetched again, by a client of its own: the group's position stays where it is.

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        wanted = dict(self._places(read))
        try:
            found = self._fetched({tp: read[number][0] for number, tp in wanted.items()}) if read else {}
        except OffsetOutOfRangeError as error:
            return sorted(tp.partition for tp in error.args[0])
        except KafkaError as error:
            raise BrokerUnavailable(f"{self.name}: the broker does not give what was read: {error}") from error
        return [n for n, (offset, at) in read.items() if found[wanted[n]] != (offset, at // 1000)]

    def _fetched(self, offsets: Mapping[Any, int]) -> dict[Any, tuple[int, int]]:
        """Offset and append time in milliseconds of the first record from each offset on."""
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            auto_offset_reset="none",
            max_partition_fetch_bytes=1,  # one batch all the same
            metrics_enabled=False,
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

    def _places(self, numbers: Iterable[int]) -> list[tuple[int, Any]]:
        return [(number, TopicPartition(self._topic, number)) for number in numbers]

    def poll(self, limit: int, seconds: float) -> list[Chunk]:
        """Records of the partitions that were sought; those of others are left for after their seek.

        None while the broker is away: the client connects again by itself, twice a second.

        Raises:
            OffsetGap: the log does not hold our next offset.
            BrokerUnavailable: the broker refuses us for good.
        """
        met, self._met = self._met, None
        try:
            if met is not None:
                raise met
            self._unstick()
            polled = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=limit)
        except NoOffsetForPartitionError:
            return []  # assigned a moment ago and not sought yet: the worker claims, then seeks
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            if self.generation() != self._sought_in:
                return []  # the group's own offset, which proves nothing: the store's comes with the seek
            raise self._gap(error) from error
        except RetriableError:
            time.sleep(seconds)  # it may be refused at once
            return []
        except KafkaError as error:
            raise BrokerUnavailable(f"{self.name}: {error}") from error
        chunks = [
            chunk_of(tp.partition, records)
            for tp, records in sorted(polled.items())
            if records and tp.partition in self._sought
        ]
        self._sought |= {chunk.partition: chunk.next_offset for chunk in chunks}
        return chunks

    def _gap(self, error: OffsetOutOfRangeError | LogTruncationError) -> OffsetGap:
        """What is missing, with its size: the client names a partition and an offset at most."""
        about = error.divergent_offsets if isinstance(error, LogTruncationError) else error.args[0]
        numbers = sorted({tp.partition for tp in about} & self._sought.keys())
        try:
            bounds = self.bounds(numbers)
        except BrokerUnavailable:
            return OffsetGap(f"{self.name}: {error}")
        gaps = (gap(self.name, number, self._sought[number], *bounds[number]) for number in numbers)
        # The end has passed our offset again: the broker's epochs say that other records stand before it.
        again = f"{self.name}, partition {', '.join(map(str, numbers))}: the log was truncated and written to again"
        return next(filter(None, gaps), OffsetGap(f"{again}: {error}"))

    def _unstick(self) -> None:
        """Join anew when a join does not end: partitions added to the topic may bring that about."""
        since = self._flag.joining_since
        if since is not None and time.monotonic() - since > self._stuck_after:
            self._flag.joining_since = None
            self._consumer.unsubscribe()
            self._subscribe()

    def keep(self) -> None:
        """Stay in the group: poll with every partition paused."""
        mine = self._consumer.assignment()
        self._consumer.pause(*mine)
        try:
            self._consumer.poll(timeout_ms=0)
        except KafkaError as error:
            self._met = error  # the next poll says what it means
        finally:
            self._consumer.resume(*(mine & self._consumer.assignment()))

    def positions(self) -> Mapping[int, int]:
        """The next offset of each sought partition."""
        return {
            number: self._consumer.position(TopicPartition(self._topic, number), timeout_ms=1000)
            for number in self._sought
        }

    def done(self, offsets: Mapping[int, int]) -> None:
        """Tell the group coordinator, so that lag displays are right. Nothing depends on it."""
        self._consumer.commit_async(
            {TopicPartition(self._topic, n): OffsetAndMetadata(o, "", -1) for n, o in offsets.items()}
        )

    def close(self) -> None:
        """Leave the group, so that others get the partitions at once."""
        self._consumer.close(autocommit=False, timeout_ms=3000)
