"""Registry events as they came, for the fold "state as of t"."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import BadRecord
from pipeline.events import Reject, decode_registry
from pipeline.events import registry as events
from pipeline.events.chunk import Chunk
from pipeline.events.decode import SAMPLE_BYTES
from pipeline.registry import Registry
from pipeline.store.db import dialect, schema
from pipeline.store.db.engine import Store
from pipeline.vocabulary.time import to_microseconds

# What `rejected` calls the source of events that contradict others.
_CONTRADICTIONS = "registry"


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
            found, _, wrong = decode_registry([line])
            for one in wrong:
                raise BadRecord(path.name, position, one.reason, one.detail)
            rows.append(_row(found[0], line))
    with store.write() as connection:
        statement = dialect.insert_or_ignore(connection, schema.registry_event).returning(
            schema.registry_event.c.event_no
        )
        return sum(connection.scalar(statement, row) is not None for row in rows)


def position(connection: Connection, source: str) -> int:
    """The next offset to read of a registry topic; 0 before the first."""
    c = schema.position.c
    return int(connection.scalar(sa.select(c.position).where(c.name == _name(source))) or 0)


def append(
    connection: Connection, source: str, chunk: Chunk, decoded: tuple[Sequence[int], Sequence[Reject]]
) -> list[dict[str, Any]] | None:
    """Take a chunk of a registry topic into the store: events, rejects and the position in one transaction.

    Args:
        source: name of the topic.
        chunk: its records.
        decoded: positions in the chunk of those that are events, and the rejects.

    Returns:
        The rejects of this chunk as `rejected` shows them, contradictions included; None if another reader was
        quicker: then nothing is written.
    """
    table = schema.position
    connection.execute(dialect.insert_or_ignore(connection, table), {"name": _name(source), "position": 0})
    first = int(chunk.offsets[0])
    moved = connection.execute(
        sa.update(table)
        .where(table.c.name == _name(source), table.c.position <= first)
        .values(position=chunk.next_offset)
    )
    if not moved.rowcount:
        return None
    positions, rejects = decoded
    before = {one["origin"] for one in rejected(connection) if one["source"] == _CONTRADICTIONS}
    told = [_reject(source, chunk, one) for one in rejects]
    told += [again for place in positions if (again := _taken(connection, source, chunk, place))]
    told.sort(key=lambda one: int(one["offset"]))
    if told:
        connection.execute(dialect.insert_or_ignore(connection, schema.registry_reject), told)
    after = [one for one in rejected(connection) if one["source"] == _CONTRADICTIONS and one["origin"] not in before]
    return [*(_shown(one) for one in told), *after]


def _name(source: str) -> str:
    return f"registry:{source}"


def _reject(source: str, chunk: Chunk, one: Reject) -> dict[str, Any]:
    return {
        "source": source,
        "offset": int(chunk.offsets[one.position]),
        "appended_at": int(chunk.appended_at[one.position]),
        "reason": one.reason,
        "detail": one.detail,
        "origin": chunk.origins[one.position],
        "sha256": one.sha256,
        "sample": one.sample,
    }


def _taken(connection: Connection, source: str, chunk: Chunk, place: int) -> dict[str, Any] | None:
    """Keep one event; a reject if another event has its id. The same event again is nothing new."""
    raw = chunk.values[place] or b""
    event = events.decode(raw)
    c = schema.registry_event.c
    statement = dialect.insert_or_ignore(connection, schema.registry_event).returning(c.event_no)
    if connection.scalar(statement, _row(event, raw)) is not None:
        return None
    known = connection.scalar(sa.select(c.body).where(c.event_id == event.event_id))
    if events.decode(str(known).encode()) == event:
        return None
    detail = f"expected the event that {event.event_id} was before, got another one"
    one = Reject(place, "event_id_taken", detail, hashlib.sha256(raw).digest(), raw[:SAMPLE_BYTES])
    return _reject(source, chunk, one)


def _row(event: events.RegistryEvent, raw: bytes) -> dict[str, Any]:
    kind = str(msgspec.to_builtins(event)["type"])
    return {"event_id": event.event_id, "at": to_microseconds(event.at), "type": kind, "body": raw.decode()}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in ("source", "offset", "origin", "reason", "detail")}
    return {**kept, "partition": 0}


def events_since(connection: Connection, event_no: int) -> tuple[list[events.RegistryEvent], int]:
    """Events that came after the one with this number, in the order of arrival, and the number of the last."""
    c = schema.registry_event.c
    rows = connection.execute(sa.select(c.event_no, c.body).where(c.event_no > event_no).order_by(c.event_no)).all()
    return [events.decode(body.encode()) for _, body in rows], int(rows[-1][0]) if rows else event_no


def rejected(connection: Connection) -> list[dict[str, Any]]:
    """Registry records that are no events, and events that contradict what was known before them.

    In the form of `status.rejected`. Contradictions are kept like any other event: what contradicts follows from all of
    them, and a later one may settle it.
    """
    r = schema.registry_reject.c
    query = sa.select(r.source, r.offset, r.origin, r.reason, r.detail).order_by(r.source, r.offset)
    broken = [_shown(dict(row)) for row in connection.execute(query).mappings()]
    c = schema.registry_event.c
    numbers = {event_id: int(no) for event_id, no in connection.execute(sa.select(c.event_id, c.event_no))}
    events_so_far, _ = events_since(connection, 0)
    return broken + [
        {
            "source": _CONTRADICTIONS,
            "partition": 0,
            "offset": numbers[one.event.event_id],
            "origin": one.event.event_id,
            "reason": one.reason,
            "detail": one.detail,
        }
        for one in Registry(events_so_far).rejected
    ]
