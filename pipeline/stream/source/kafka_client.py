"""kafka-python as every reader of a topic uses it: clients, the cluster's name, and what was polled as a `Chunk`.

Of the client's defaults four are unsafe: reset to latest, reading of uncommitted records and creation of topics by
accident, which are set here, and auto-commit, which whoever joins a group sets.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from pipeline.errors import BrokerUnavailable
from pipeline.events.chunk import Chunk

with warnings.catch_warnings():  # the client reads its own package data in a deprecated way
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, KafkaConsumer
    from kafka.errors import KafkaError

# A restarted broker is back within seconds; the client's default waits up to 30 before it looks again.
RECONNECT_MS = 500
# A broker that answers at all answers in milliseconds; a worker that is told to stop must not wait the client's 30 s.
ANSWER_MS = 5_000
# The header in which `publish` says which file and row a record came from.
ORIGIN_HEADER = "ce_origin"


def consumer(bootstrap: str, **options: Any) -> KafkaConsumer:
    """A client that reads committed records, makes no topic and never chooses an offset by itself.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    try:
        return KafkaConsumer(
            bootstrap_servers=bootstrap,
            auto_offset_reset="none",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            reconnect_backoff_max_ms=RECONNECT_MS,
            metrics_enabled=False,
            **options,
        )
    except KafkaError as error:
        raise BrokerUnavailable(f"no Kafka broker answers at {bootstrap}: {error}") from error


def describe(bootstrap: str, topic: str) -> str:
    """The id of the cluster that has a topic.

    Raises:
        BrokerUnavailable: no broker answers, or it has no such topic.
    """
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=10_000)
    except KafkaError as error:
        raise BrokerUnavailable(f"no Kafka broker answers at {bootstrap}: {error}") from error
    try:
        if topic not in set(admin.list_topics()):
            raise BrokerUnavailable(f"{bootstrap} has no topic {topic!r}: `integrity publish` creates it")
        return str(admin.describe_cluster()["cluster_id"])
    except KafkaError as error:  # it went away meanwhile
        raise BrokerUnavailable(f"the Kafka broker at {bootstrap} does not say what it has: {error}") from error
    finally:
        admin.close()


def chunk_of(partition: int, records: list[Any]) -> Chunk:
    """What the client polled of one partition."""
    return Chunk(
        partition,
        np.array([r.offset for r in records], dtype=np.int64),
        np.array([r.timestamp for r in records], dtype=np.int64) * 1000,
        [r.value for r in records],
        [_origin(r.headers) if r.headers else None for r in records],
        records[-1].offset + 1,
    )


def _origin(headers: Iterable[tuple[str, bytes]]) -> str | None:
    found = next(itertools.islice((v for k, v in headers if k == ORIGIN_HEADER), 1), None)
    # PostgreSQL's text holds no NUL, and a header may hold anything.
    return found.decode("utf-8", "replace").replace("\x00", "\\0")[:500] if found else None
