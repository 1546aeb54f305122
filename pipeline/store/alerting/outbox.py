"""Stores the messages that must still be sent to a topic (the outbox).

A message is added in the transaction of its batch, and deleted when the broker has acknowledged it.

Every message is delivered at least once.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema


def enqueue(connection: Connection, source_no: int, messages: Iterable[tuple[str, bytes, bytes]]) -> None:
    """Add messages (topic, key, value) to the outbox of a source."""
    rows = [{"source_no": source_no, "topic": topic, "key": key, "value": value} for topic, key, value in messages]
    if rows:
        connection.execute(schema.outbox.insert(), rows)


def read_oldest(
    connection: Connection, source_no: int, limit: int, without: Sequence[str] = ()
) -> list[tuple[int, str, bytes, bytes]]:
    """Return the oldest messages of a source as (outbox_no, topic, key, value).

    Args:
        connection: reads the store.
        source_no: the source number (source_no).
        limit: largest number of messages.
        without: topics whose messages are left out.
    """
    c = schema.outbox.c
    query = (
        sa.select(c.outbox_no, c.topic, c.key, c.value)
        .where(c.source_no == source_no, c.topic.not_in(list(without)))
        .order_by(c.outbox_no)
        .limit(limit)
    )
    return [(number, topic, bytes(key), bytes(value)) for number, topic, key, value in connection.execute(query)]


def delete_delivered(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete messages that the broker has acknowledged. `numbers` are their `outbox_no`."""
    connection.execute(sa.delete(schema.outbox).where(schema.outbox.c.outbox_no.in_(list(numbers))))
