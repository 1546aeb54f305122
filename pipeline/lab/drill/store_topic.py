"""Checks that workers of a test store read the topic to which a drill would send votes.

A drill is permitted only on a store with a mark. But a drill sends its votes to a topic, not to the store. If only
other stores read this topic, the votes of the drill would stay in the logs of those stores.
"""

from __future__ import annotations

import sqlalchemy as sa

from pipeline import settings as configuration
from pipeline.errors import Usage
from pipeline.store import Store
from pipeline.store.db import schema
from pipeline.store.votes import partitions
from pipeline.stream.source.kafka_client import end_offsets, source_name
from pipeline.stream.source.kafka_security import client_security
from pipeline.stream.source.kafka_url import parse_kafka_url


def expect_read(store: Store, to: str) -> None:
    """Raise an error unless a store has read the topic to which the votes of a drill would go.

    Args:
        store: the test store.
        to: kafka://HOST:PORT or kafka://HOST:PORT/TOPIC.

    Raises:
        Usage: `to` is no address of a topic; the store has not read the topic; or the topic ends before the offset up
            to which the store has read it, because it was deleted and created again.
        BrokerUnavailable: no broker answers.
        BrokerRefused: the broker refuses our login, or forbids us to read the topic.
    """
    options = configuration.load()
    bootstrap, in_url = parse_kafka_url(to)
    topic, security = in_url or options.topic_votes, client_security(options)
    read = _read_topics(store)
    if not any(name.endswith(f"/{topic}") for name in read):
        raise _refusal(read, f"{bootstrap}/{topic}")
    name = source_name(bootstrap, topic, security)
    if name not in read:
        raise _refusal(read, name)
    ends = end_offsets(bootstrap, topic, security)
    for number, offset in read[name].items():
        if offset > ends.get(number, 0):
            raise Usage(
                f"--to: expected the topic that workers of the store read, of which partition {number} has {offset} "
                f"records or more, got {name} with {ends.get(number, 0)}: it was made anew. Nothing was sent"
            )


def _read_topics(store: Store) -> dict[str, dict[int, int]]:
    """Return name of a source → partition → next offset to read, for each topic that a worker has begun to read."""
    with store.read() as connection:
        s = schema.source.c
        names = connection.execute(sa.select(s.source_no, s.name).order_by(s.source_no)).all()
        read = {
            str(name): partitions.next_offsets(connection, number)
            for number, name in names
            if not partitions.is_file(name)
        }
    return {name: offsets for name, offsets in read.items() if offsets}


def _refusal(read: dict[str, dict[int, int]], got: str) -> Usage:
    return Usage(
        f"--to: expected a topic that workers of the store read ({', '.join(read) or 'they have read none'}), "
        f"got {got}: the votes would go to other boards. Nothing was sent"
    )
