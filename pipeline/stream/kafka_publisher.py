"""Publishes battle files to Kafka: every record becomes an event, and every delivery is checked.

The client's `flush()` raises no error for a failed delivery. The future of every event is therefore checked. The
partition is computed here, with the hash of Kafka's Java client (murmur2). All publishers thus put the votes of a voter
on the same partition.
"""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.partitioner.default import murmur2

from pipeline.events.record_origins import ORIGIN_HEADER
from pipeline.formats import ColumnMapping, RecordCheck, read_records
from pipeline.formats.left_out import LeftOut
from pipeline.settings import Settings
from pipeline.stream.record_preparation import PreparedRecord, RecordPreparer
from pipeline.stream.source.kafka_client import RECONNECT_MS, REJECTED_HEADER
from pipeline.stream.source.kafka_connection import CONNECT_MS, broker_error, connect
from pipeline.stream.source.kafka_security import PLAINTEXT, Security
from pipeline.stream.topic_creation import MAX_MESSAGE, create_topics
from pipeline.vocabulary.visible_text import visible

__all__ = ["RecordProducer", "create_producer", "create_topics", "publish"]

# Unacknowledged records: enough to keep the broker busy, few enough for memory.
_IN_FLIGHT = 20_000
_FLUSH_SECONDS, _CLOSE_SECONDS = 1.0, 5.0


def create_producer(bootstrap: str, security: Security = PLAINTEXT, **options: Any) -> Any:
    """Create a producer whose records must be acknowledged by all replicas.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        security: options for TLS and SASL, from `client_security`.
        options: options of the client, which replace the defaults of this function.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerRefused: the broker refuses our login.
    """
    ours = {
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": "lz4",
        "linger_ms": 20,
        "batch_size": 128 * 1024,
        "max_request_size": MAX_MESSAGE,
        "allow_auto_create_topics": False,
        "reconnect_backoff_max_ms": RECONNECT_MS,
        "max_block_ms": CONNECT_MS,
        "metrics_enabled": False,
    }
    return connect(KafkaProducer, bootstrap, security, **ours | options)


class RecordProducer:
    """Sends prepared records to Kafka, and checks every delivery."""

    def __init__(self, bootstrap: str, topic: str, settings: Settings, security: Security = PLAINTEXT) -> None:
        """Connect to Kafka.

        Args:
            bootstrap: HOST:PORT of brokers, separated by commas.
            topic: the topic of votes.
            settings: names the topic of registry events.
            security: options for TLS and SASL, from `client_security`.

        Raises:
            BrokerUnavailable: no broker answers.
            BrokerRefused: the broker refuses our login.
        """
        self._client = create_producer(bootstrap, security)
        self._topic, self._registry_topic = topic, settings.topic_registry
        self._waiting: deque[tuple[str, int, Any]] = deque()
        self._partitions = 0

    @property
    def waiting(self) -> int:
        """Number of sent records whose acknowledgement has not been checked yet."""
        return len(self._waiting)

    def send(self, record: PreparedRecord, name: str, row: int) -> bool:
        """Send a record. If too many earlier records are not acknowledged yet, wait for the oldest of these.

        Args:
            record: the prepared record.
            name: name of the file that contains the record.
            row: record number in the file.

        Returns:
            True if the call waited for acknowledgements.

        Raises:
            BrokerUnavailable: a delivery failed. The message names the file and the record.
            BrokerRefused: an access rule forbids the delivery.
        """
        try:
            self._partitions = self._partitions or len(self._client.partitions_for(self._topic))
            topic = self._topic if record.is_vote else self._registry_topic
            partition = _partition(record.key, self._partitions) if record.is_vote else 0
            headers = _headers(record, name, row)
            future = self._client.send(topic, value=record.value, key=record.key, headers=headers, partition=partition)
        except KafkaError as error:
            raise broker_error(f"{name}: publishing stopped", error) from error
        self._waiting.append((name, row, future))
        waits = len(self._waiting) >= _IN_FLIGHT
        if waits:
            self._await(_IN_FLIGHT // 2)
        return waits

    def flush(self, give_up: Callable[[float], bool] = lambda _: False) -> bool:
        """Wait until all sent records are acknowledged.

        Args:
            give_up: a function that is called about every second with the number of seconds waited so far. If it
                returns True, the wait ends.

        Returns:
            True if all records are acknowledged, False if `give_up` ended the wait.

        Raises:
            BrokerUnavailable: a delivery failed.
            BrokerRefused: an access rule forbids the delivery.
        """
        started = time.monotonic()
        while True:
            try:
                self._client.flush(timeout=_FLUSH_SECONDS)
                break
            except KafkaTimeoutError:
                if give_up(time.monotonic() - started):
                    return False
            except KafkaError as error:
                raise broker_error("publishing stopped", error) from error
        self._await(len(self._waiting))
        return True

    def close(self) -> None:
        """Close the connection. Records that are not acknowledged yet may be lost."""
        try:
            self._client.close(timeout=_CLOSE_SECONDS)
        except KafkaTimeoutError:  # the library leaves its thread running if the last records are not acknowledged
            self._client.flush = lambda *_: None
            self._client.close(timeout=_FLUSH_SECONDS)

    def _await(self, count: int) -> None:
        for _ in range(count):
            name, row, future = self._waiting.popleft()
            try:
                future.get(timeout=120)
            except KafkaError as error:
                raise broker_error(f"{name}, record {row}: not acknowledged", error) from error


# Many parameters: what is sent, where to, how, and who is told.
def publish(
    path: Path,
    bootstrap: str,
    topic: str,
    settings: Settings,
    mapping: ColumnMapping | None = None,
    progress: Callable[[int], None] = lambda _: None,
    preparer: RecordPreparer | None = None,
    security: Security = PLAINTEXT,
    waits: Callable[[str], None] = lambda _: None,
    check: RecordCheck | None = None,
    rejects: LeftOut | None = None,
) -> dict[str, int]:
    """Publish the records of one file to Kafka.

    Invalid records are sent too, unless `rejects` leaves them out. The worker then rejects them and stores their
    origin.

    Args:
        path: path of the battle file.
        bootstrap: HOST:PORT of brokers, separated by commas.
        topic: the topic of votes.
        settings: settings, which name the topic of registry events.
        mapping: the user's names of columns and outcomes, for a file whose format is not recognised; None if there are
            none.
        progress: a function that is called with the number of records acknowledged so far.
        preparer: prepares the records. None sends the records as they are.
        security: options for TLS and SASL, from `client_security`.
        waits: a function that is called with a description of an incomplete record at the end of the file.
        check: a function that returns fields computed from the texts of a record; None if texts need not be read.
        rejects: counts the records that the preparer marks as invalid, and leaves them out if its `skip_bad` is true.
            None sends them uncounted.

    Returns:
        {"votes": number of sent votes, "registry": number of sent registry events}, all acknowledged. Invalid records
        that were sent count as votes.

    Raises:
        BrokerUnavailable: a delivery failed. The message names the file and the record.
        BrokerRefused: an access rule forbids the delivery.
    """
    preparer = preparer or RecordPreparer(topic, settings.topic_registry)
    producer = RecordProducer(bootstrap, topic, settings, security)
    sent = {"votes": 0, "registry": 0}
    try:
        name = visible(path.name)
        for row, one in enumerate(preparer.prepare(read_records(path, mapping, waits, check), name)):
            if _is_left_out(one, row, rejects):
                continue
            if producer.send(one, name, row):
                progress(row + 1 - producer.waiting)
            sent["votes" if one.is_vote else "registry"] += 1
        producer.flush()
        progress(sum(sent.values()))
    finally:
        producer.close()
    return sent


def _is_left_out(one: PreparedRecord, row: int, rejects: LeftOut | None) -> bool:
    """Count an invalid record in `rejects`, and return whether it is left out instead of sent."""
    why = dict(one.marks).get(REJECTED_HEADER)
    if why is None or rejects is None:
        return False
    reason, _, detail = why.decode().split(" ", 2)
    rejects.add(reason, row, detail)
    return rejects.skip_bad


def _partition(key: bytes, count: int) -> int:
    return int((murmur2(key) & 0x7FFFFFFF) % count)


def _headers(record: PreparedRecord, name: str, row: int) -> list[tuple[str, bytes]]:
    """Return the headers of a record: those of CloudEvents 1.0 in binary mode, file and row, and `record.marks`."""
    source = name.encode()
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", record.event_id),
        ("ce_source", b"/files/" + source),
        ("ce_type", b"arena.vote" if record.is_vote else b"arena.registry"),
        ("content-type", b"application/json"),
        (ORIGIN_HEADER, source + b"#%d" % row),
        *record.marks,
    ]
