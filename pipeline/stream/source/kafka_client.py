"""Creates Kafka clients with safe options, identifies a topic, and turns polled records into a `Chunk`.

Four defaults of kafka-python are unsafe, and three of them are changed here. By default, a client whose offset is
missing skips to the latest offset. By default it also reads uncommitted records, and creates topics by accident. The
fourth default, automatic commits, is switched off where a consumer group is joined.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from pipeline.errors import BrokerRefused, BrokerUnavailable
from pipeline.events.chunk import Chunk
from pipeline.events.record_origins import HeaderOrigins
from pipeline.events.record_signature import NO_MARKS, RecordMarks
from pipeline.stream.source.kafka_connection import CONNECT_MS, broker_error, connect
from pipeline.stream.source.kafka_security import PLAINTEXT, Security
from pipeline.stream.source.kafka_topics import Access, topic_access

# A restarted broker is back within seconds; the client's default waits up to 30 s before it reconnects.
RECONNECT_MS = 500
# A live broker answers in milliseconds; a worker that is asked to stop must not wait the client's 30 s.
ANSWER_MS = 5_000
# The voter of the record is a pseudonym; the value names the key that made it.
PSEUDONYM_HEADER = "ce_pseudonymkey"
# The publisher found the record invalid: reason, SHA-256 of the whole record, detail.
REJECTED_HEADER = "ce_rejected"
# NAME:DIGITS, see `events.record_signature`.
SIGNATURE_HEADER = "ce_signature"
_MARKS = frozenset({PSEUDONYM_HEADER, REJECTED_HEADER, SIGNATURE_HEADER})


def create_consumer(bootstrap: str, security: Security = PLAINTEXT, **options: Any) -> KafkaConsumer:
    """Create a consumer that reads committed records only, creates no topic and never resets its offset.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        security: options for TLS and SASL, from `client_security`.
        options: options of the client, which replace the safe options.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerRefused: the broker refuses our login.
    """
    safe = {
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "reconnect_backoff_max_ms": RECONNECT_MS,
        "metrics_enabled": False,
    }
    return connect(KafkaConsumer, bootstrap, security, **safe | options)


def connect_admin(bootstrap: str, security: Security = PLAINTEXT) -> KafkaAdminClient:
    """Return a connected administration client.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        security: options for TLS and SASL, from `client_security`.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerRefused: the broker refuses our login.
    """
    return connect(KafkaAdminClient, bootstrap, security, request_timeout_ms=CONNECT_MS)


def source_name(bootstrap: str, topic: str, security: Security = PLAINTEXT) -> str:
    """Check that we may read a topic, and return the name that it has in the store, kafka:CLUSTER/TOPIC.

    CLUSTER is the id of the Kafka cluster, which stays the same when its brokers move.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        topic: name of the topic.
        security: options for TLS and SASL, from `client_security`.

    Raises:
        BrokerUnavailable: no broker answers, or the topic is missing.
        BrokerRefused: the broker refuses our login, or forbids us to read the topic.
    """
    admin = connect_admin(bootstrap, security)
    try:
        found = topic_access(admin, [topic])[topic]
        if found is Access.MISSING:
            raise BrokerUnavailable(f"{bootstrap} has no topic {topic!r}: `integrity publish` creates it")
        if not found.may_read:
            raise BrokerRefused(f"{bootstrap}: no ACL lets us read topic {topic!r} (READ and DESCRIBE on the topic)")
        return f"kafka:{admin.describe_cluster()['cluster_id']}/{topic}"
    except KafkaError as error:  # the broker stopped after the connection was made
        raise broker_error(f"the Kafka broker at {bootstrap} did not list its topics", error) from error
    finally:
        admin.close()


def end_offsets(bootstrap: str, topic: str, security: Security = PLAINTEXT) -> dict[int, int]:
    """Return the next offset to be written to each partition of a topic, as source's number of the partition → offset.

    Args:
        bootstrap: HOST:PORT of brokers, separated by commas.
        topic: name of the topic.
        security: options for TLS and SASL, from `client_security`.

    Raises:
        BrokerUnavailable: no broker answers.
        BrokerRefused: the broker refuses our login, or forbids us to read the topic.
    """
    consumer = create_consumer(bootstrap, security)
    try:
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        ends = consumer.end_offsets([TopicPartition(topic, number) for number in numbers], timeout_ms=ANSWER_MS)
    except KafkaError as error:
        raise broker_error(f"the Kafka broker at {bootstrap} did not return the offsets of {topic}", error) from error
    finally:
        consumer.close()
    return {tp.partition: int(end) for tp, end in ends.items()}


def to_chunk(partition: int, records: list[Any]) -> Chunk:
    """Convert the polled records of one partition to a chunk. There must be at least one record."""
    names = {name for r in records for name, _ in r.headers or ()}
    return Chunk(
        partition,
        np.array([r.offset for r in records], dtype=np.int64),
        np.array([r.timestamp for r in records], dtype=np.int64) * 1000,
        [r.value for r in records],
        HeaderOrigins([r.headers for r in records]),
        records[-1].offset + 1,
        marks=None if names.isdisjoint(_MARKS) else [_marks(dict(r.headers or ())) for r in records],
    )


def _marks(found: Mapping[str, bytes]) -> RecordMarks:
    if found.keys().isdisjoint(_MARKS):
        return NO_MARKS
    return found.get(PSEUDONYM_HEADER), found.get(REJECTED_HEADER), found.get(SIGNATURE_HEADER)
