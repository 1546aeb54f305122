"""Registry events as they came, for the fold "state as of t"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import BadRecord
from pipeline.events import registry as events
from pipeline.events.batch import microseconds
from pipeline.registry import Registry
from pipeline.store import schema
from pipeline.store.engine import Store
from pipeline.store.names import insert_or_ignore


def load(store: Store, path: Path) -> int:
    """Take a file of registry events (JSON Lines) into the store, which keeps it; known events stay.

    Returns:
        The number of events that are new.

    Raises:
        BadRecord: an event that is none; names its line. Then nothing of the file is kept.
    """
    rows = []
    with path.open("rb") as lines:
        for position, line in enumerate(lines):
            try:
                event = events.decode(line)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise BadRecord(path.name, position, "registry", str(error)) from None
            rows.append(
                {
                    "event_id": event.event_id,
                    "at": microseconds(event.at),
                    "type": str(msgspec.to_builtins(event)["type"]),
                    "body": line.decode(),
                }
            )
    with store.write() as connection:
        statement = insert_or_ignore(connection, schema.registry_event).returning(schema.registry_event.c.event_no)
        return sum(connection.scalar(statement, row) is not None for row in rows)


def events_since(connection: Connection, event_no: int) -> tuple[list[events.RegistryEvent], int]:
    """Events that came after the one with this number, in the order of arrival, and the number of the last."""
    c = schema.registry_event.c
    rows = connection.execute(sa.select(c.event_no, c.body).where(c.event_no > event_no).order_by(c.event_no)).all()
    return [events.decode(body.encode()) for _, body in rows], int(rows[-1][0]) if rows else event_no


def rejected(connection: Connection) -> list[dict[str, Any]]:
    """Registry events that contradict what was known before them, as `status.rejected` shows votes that are none.

    They are kept like any other event: what contradicts follows from all of them, and a later one may settle it.
    """
    c = schema.registry_event.c
    numbers = {event_id: int(no) for event_id, no in connection.execute(sa.select(c.event_id, c.event_no))}
    events_so_far, _ = events_since(connection, 0)
    return [
        {
            "source": "registry",
            "partition": 0,
            "offset": numbers[one.event.event_id],
            "origin": one.event.event_id,
            "reason": one.reason,
            "detail": one.detail,
        }
        for one in Registry(events_so_far).rejected
    ]
