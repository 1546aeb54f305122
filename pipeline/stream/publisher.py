"""Files → topics: every record of a battle file as an event, each delivery checked.

`flush()` of the client does not raise when a delivery failed, so every future is asked. The partition
is explicit: the one that Kafka's own clients would choose for the voter, so that all of a voter's
votes are on one partition whoever publishes.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import BrokerUnavailable
from pipeline.formats import ColumnMap, is_registry, read_records
from pipeline.settings import Settings
from pipeline.stream.source.kafka_client import ORIGIN_HEADER, RECONNECT_MS

with warnings.catch_warnings():  # the client reads its own package data in a deprecated way
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, KafkaProducer
    from kafka.errors import KafkaError, TopicAlreadyExistsError
    from kafka.partitioner.default import murmur2

# Deliveries that may be on their way at once: enough to keep the broker busy, little enough to hold.
_IN_FLIGHT = 20_000
# A broken event must arrive to be counted as rejected rather than vanish at its producer, so the topics
# take more than the 64 KiB that an event may have.
_MAX_MESSAGE = 16 * 1024 * 1024
_KEY = re.compile(rb'"(voter_id|vote_id)"\s*:\s*"((?:[^"\\]|\\.)+)"')


def create_topics(bootstrap: str, settings: Settings, topic: str, partitions: int) -> None:
    """Create the topics that are not there.

    All are stamped by the broker; votes and registry, of whose events append time is a part, are kept for ever.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    # Also where nobody asks for the time: a broker refuses what a producer whose clock is fast has stamped itself.
    stamped = {"message.timestamp.type": "LogAppendTime"}
    kept = {
        **stamped,
        "retention.ms": "-1",
        "max.message.bytes": str(_MAX_MESSAGE),
    }
    wanted = {
        topic: {"num_partitions": partitions, "replication_factor": -1, "configs": kept},
        settings.topic_registry: {"num_partitions": 1, "replication_factor": -1, "configs": kept},
        settings.topic_alerts: {"num_partitions": 1, "replication_factor": -1, "configs": stamped},
        settings.topic_rejected: {"num_partitions": 1, "replication_factor": -1, "configs": stamped},
    }
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=10_000)
    except KafkaError as error:
        raise BrokerUnavailable(f"no Kafka broker answers at {bootstrap}: {error}") from error
    try:
        for name in sorted(wanted.keys() - set(admin.list_topics())):
            try:
                admin.create_topics({name: wanted[name]}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue  # another publisher was quicker
    finally:
        admin.close()


def producer(bootstrap: str) -> Any:
    """A producer that is told of every acknowledged record, by all replicas."""
    try:
        return KafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=20,
            batch_size=128 * 1024,
            max_request_size=_MAX_MESSAGE,
            allow_auto_create_topics=False,
            reconnect_backoff_max_ms=RECONNECT_MS,
            metrics_enabled=False,
        )
    except KafkaError as error:
        raise BrokerUnavailable(f"no Kafka broker answers at {bootstrap}: {error}") from error


def publish(
    path: Path,
    bootstrap: str,
    topic: str,
    settings: Settings,
    mapping: ColumnMap | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Publish one file.

    Every record goes out, also one that is no vote: the worker rejects it with its row, and it is kept.

    Args:
        path: the file.
        topic: the votes topic; registry events go to theirs.
        progress: called with the number of records acknowledged so far.

    Returns:
        {"votes", "registry"}: records acknowledged, by topic.

    Raises:
        BrokerUnavailable: a delivery failed; names the file and the row.
    """
    client = producer(bootstrap)
    sent = {"votes": 0, "registry": 0}
    waiting: deque[tuple[int, Any]] = deque()
    try:
        count = len(client.partitions_for(topic))
        for row, raw in enumerate(read_records(path, mapping)):
            kind = "registry" if is_registry(raw) else "votes"
            destination = settings.topic_registry if kind == "registry" else topic
            key = _key(raw, path.name, row)
            partition = 0 if kind == "registry" else _partition(key, count)
            headers = _headers(raw, key, path.name, row, kind)
            future = client.send(destination, value=raw, key=key, headers=headers, partition=partition)
            waiting.append((row, future))
            sent[kind] += 1
            if len(waiting) >= _IN_FLIGHT:
                _settle(path, itertools.islice(_drained(waiting), _IN_FLIGHT // 2))
                progress(row + 1 - len(waiting))
        client.flush()
        _settle(path, _drained(waiting))
        progress(sum(sent.values()))
    except KafkaError as error:
        raise BrokerUnavailable(f"{path.name}: publishing stopped: {error}") from error
    finally:
        client.close(timeout=5)
    return sent


def _drained(waiting: deque[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    while waiting:
        yield waiting.popleft()


def _settle(path: Path, deliveries: Iterable[tuple[int, Any]]) -> None:
    for row, future in deliveries:
        try:
            future.get(timeout=120)
        except KafkaError as error:
            raise BrokerUnavailable(f"{path.name}, record {row}: not acknowledged: {error}") from error


def _key(raw: bytes, name: str, row: int) -> bytes:
    """The voter; a vote without voter has its own id; what has neither, its place."""
    found = dict(_KEY.findall(raw[: 64 * 1024]))
    return bytes(found.get(b"voter_id") or found.get(b"vote_id") or f"{name}#{row}".encode())


def _partition(key: bytes, count: int) -> int:
    return int((murmur2(key) & 0x7FFFFFFF) % count)


def _headers(raw: bytes, key: bytes, name: str, row: int, kind: str) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0, binary mode, with the row that the record came from."""
    found = dict(_KEY.findall(raw[: 64 * 1024]))
    event_id = found.get(b"vote_id") or hashlib.sha256(key + raw[: 64 * 1024]).hexdigest().encode()
    source = name.encode()
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id),
        ("ce_source", b"/files/" + source),
        ("ce_type", b"arena.vote" if kind == "votes" else b"arena.registry"),
        ("content-type", b"application/json"),
        (ORIGIN_HEADER, source + b"#%d" % row),
    ]
