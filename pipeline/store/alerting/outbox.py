"""Stores the messages that must still be sent to a topic (the outbox).

The transaction of a batch also stores its messages. A message is deleted once the broker has acknowledged it. Every
message is therefore sent at least once, and possibly twice.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema


def enqueue(connection: Connection, source_no: int, messages: Iterable[tuple[str, bytes, bytes]]) -> None:
    """Add messages to the outbox of a source (`source_no`), each as a tuple (topic, key, value)."""
    rows = [{"source_no": source_no, "topic": topic, "key": key, "value": value} for topic, key, value in messages]
    if rows:
        connection.execute(schema.outbox.insert(), rows)


def read_oldest(
    connection: Connection, source_no: int, limit: int, without: Sequence[str] = ()
) -> list[tuple[int, str, bytes, bytes]]:
    """Return the oldest undelivered messages of a source.

    Args:
        connection: reads the store.
        source_no: number of the source in the store.
        limit: largest number of messages.
        without: topics whose messages are left out.

    Returns:
        Tuples (outbox_no, topic, key, value), oldest first; `outbox_no` is the number of the message.
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
    """Delete the messages with these numbers (`outbox_no`), because the broker has acknowledged them."""
    connection.execute(sa.delete(schema.outbox).where(schema.outbox.c.outbox_no.in_(list(numbers))))
