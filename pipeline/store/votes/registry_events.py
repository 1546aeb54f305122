"""Stores registry events from files and from the registry topic, in the order of arrival.

Rejected records are stored too. Every valid event is stored, even if it contradicts others: an event that arrives later
may resolve the contradiction (`pipeline.registry`). An event is rejected only if a different event with the same id is
stored.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import BadRecord
from pipeline.events import Reject, decode_registry
from pipeline.events import registry_events as events
from pipeline.events.chunk import Chunk
from pipeline.events.reject_sample import sample_record
from pipeline.formats.json_pieces import read_lines
from pipeline.registry import Registry
from pipeline.store.db import dialect, schema
from pipeline.store.db.engine import Store
from pipeline.store.db.sort_order import CodePointOrder
from pipeline.vocabulary.time import format_rfc3339, to_microseconds

# The source under which `list_rejects` shows events that contradict others.
_CONTRADICTIONS = "registry"


def load_file(store: Store, path: Path) -> int:
    """Store the registry events of a file (JSON Lines). Events whose id is stored already are ignored.

    Returns:
        The number of new events.

    Raises:
        BadRecord: a line is not a valid event. The message names the line, and nothing of the file is stored.
    """
    rows = []
    with path.open("rb") as lines:
        for position, line in enumerate(read_lines(lines)):
            if not line.strip():  # an empty line is no record
                continue
            found, _, rejects = decode_registry([line])
            for reject in rejects:
                raise BadRecord(path.name, position, reject.reason, reject.detail)
            rows.append(_event_row(found[0], line))
    with store.write() as connection:
        return sum(_insert(connection, row) for row in rows)


def next_offset(connection: Connection, source: str) -> int:
    """Return the next offset to read of a registry topic, 0 if nothing was read."""
    c = schema.position.c
    return int(connection.scalar(sa.select(c.position).where(c.name == _position_name(source))) or 0)


def append_chunk(
    connection: Connection, source: str, chunk: Chunk, decoded: tuple[Sequence[int], Sequence[Reject]]
) -> list[dict[str, Any]] | None:
    """Store a chunk of a registry topic in the caller's transaction: its events, its rejects and the next offset.

    Args:
        connection: the transaction.
        source: name of the topic.
        chunk: records of the topic.
        decoded: two sequences. The first has the indices in the chunk of the records that are events. The second has
            the rejects.

    Returns:
        The rejects of this chunk and the new contradictions, in the form of `list_rejects`. An event is also rejected
        if a different event with the same id is stored. If another reader has already stored these offsets, nothing is
        written and the result is None.
    """
    if not move_position(connection, _position_name(source), chunk):
        return None
    positions, rejects = decoded
    known = {one["origin"] for one in _contradictions(connection)}
    rows = [_reject_row(source, chunk, reject) for reject in rejects]
    rows += [row for position in positions if (row := _store_event(connection, source, chunk, position))]
    rows.sort(key=lambda row: int(row["offset"]))
    if rows:
        connection.execute(dialect.insert_or_ignore(connection, schema.registry_reject), rows)
    return [
        *(_listed(row) for row in rows),
        *(one for one in _contradictions(connection) if one["origin"] not in known),
    ]


def move_position(connection: Connection, name: str, chunk: Chunk) -> bool:
    """Move the stored position of a topic's reader to the end of a chunk.

    Args:
        connection: the transaction that stores the chunk.
        name: name under which the position is stored; it contains the name of the topic.
        chunk: records of the topic.

    Returns:
        True if the position was moved. False if another reader has already moved it past the start of the chunk.
    """
    table = schema.position
    connection.execute(dialect.insert_or_ignore(connection, table), {"name": name, "position": 0})
    moved = connection.execute(
        sa.update(table)
        .where(table.c.name == name, table.c.position <= int(chunk.offsets[0]))
        .values(position=chunk.next_offset)
    )
    return bool(moved.rowcount)


def store_rejects(connection: Connection, source: str, chunk: Chunk, rejects: Sequence[Reject]) -> list[dict[str, Any]]:
    """Store the rejected records of a chunk.

    Args:
        connection: the transaction.
        source: name of the topic.
        chunk: records of the topic.
        rejects: the rejects. The field `position` of a reject is an index in the chunk.

    Returns:
        The rejects, in the form of `list_rejects`.
    """
    rows = [_reject_row(source, chunk, reject) for reject in rejects]
    if rows:
        connection.execute(dialect.insert_or_ignore(connection, schema.registry_reject), rows)
    return [_listed(row) for row in rows]


def _position_name(source: str) -> str:
    return f"registry:{source}"


def _reject_row(source: str, chunk: Chunk, reject: Reject) -> dict[str, Any]:
    return {
        "source": source,
        "offset": int(chunk.offsets[reject.position]),
        "appended_at": int(chunk.appended_at[reject.position]),
        "reason": reject.reason,
        "detail": reject.detail,
        "origin": chunk.origins[reject.position],
        "sha256": reject.sha256,
        "sample": reject.sample,
    }


def _store_event(connection: Connection, source: str, chunk: Chunk, position: int) -> dict[str, Any] | None:
    """Store one event. If a different event has its id, return a row for the table of rejects, otherwise None."""
    raw = chunk.values[position] or b""
    event = events.decode_event(raw)
    if _insert(connection, _event_row(event, raw)):
        return None
    c = schema.registry_event.c
    known = connection.scalar(sa.select(c.body).where(c.event_id == event.event_id))
    if events.decode_event(str(known).encode()) == event:
        return None
    detail = f"expected the event that is stored as {event.event_id}, got another one"
    reject = Reject(position, "event_id_taken", detail, hashlib.sha256(raw).digest(), sample_record(raw))
    return _reject_row(source, chunk, reject)


def _insert(connection: Connection, row: dict[str, Any]) -> bool:
    """Insert an event. Return False if its id is stored already."""
    table = schema.registry_event
    statement = dialect.insert_or_ignore(connection, table).returning(table.c.event_no)
    return connection.scalar(statement, row) is not None


def _event_row(event: events.RegistryEvent, raw: bytes) -> dict[str, Any]:
    kind = str(msgspec.to_builtins(event)["type"])
    return {"event_id": event.event_id, "at": to_microseconds(event.at), "type": kind, "body": raw.decode()}


def read_since(connection: Connection, event_no: int) -> tuple[list[events.RegistryEvent], int]:
    """Return the registry events that arrived after the event with the number `event_no`.

    Returns:
        Two values: the events in the order of arrival, and the number of the last one. Without an event, the number is
        `event_no`.
    """
    c = schema.registry_event.c
    rows = connection.execute(sa.select(c.event_no, c.body).where(c.event_no > event_no).order_by(c.event_no)).all()
    return [events.decode_event(body.encode()) for _, body in rows], int(rows[-1][0]) if rows else event_no


def list_events(connection: Connection) -> list[dict[str, Any]]:
    """Return all registry events in the order of arrival.

    Returns:
        {"number", "key", "type", "at", "model", "other", "sha256"} for each event. "key" is the event's id, "at" its
        time in RFC 3339, and "sha256" the SHA-256 of its record in hexadecimal digits. "model" is the model that the
        event is about. "other" is the new name that the event gives to the model, None if it gives none.
    """
    c = schema.registry_event.c
    query = sa.select(c.event_no, c.event_id, c.type, c.at, c.body).order_by(c.event_no)
    return [_described(*row) for row in connection.execute(query)]


def _described(number: int, key: str, kind: str, at: int, body: str) -> dict[str, Any]:
    event = events.decode_event(body.encode())
    return {
        "number": int(number), "key": key, "type": kind, "at": format_rfc3339(int(at)),
        "model": getattr(event, "model", None), "other": getattr(event, "to", None),
        "sha256": hashlib.sha256(body.encode()).hexdigest(),
    }  # fmt: skip


def list_rejects(connection: Connection) -> list[dict[str, Any]]:
    """Return the rejected records of registry topics, and the events that contradict earlier events.

    Returns:
        {"source", "partition", "offset", "origin", "reason", "detail"} for each record or event, as in
        `store_figures.list_rejects`. For a contradiction, "offset" is the number of the event.
    """
    r = schema.registry_reject.c
    query = sa.select(r.source, r.offset, r.origin, r.reason, r.detail).order_by(CodePointOrder(r.source), r.offset)
    return [_listed(dict(row)) for row in connection.execute(query).mappings()] + _contradictions(connection)


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in ("source", "offset", "origin", "reason", "detail")}, "partition": 0}


def _contradictions(connection: Connection) -> list[dict[str, Any]]:
    c = schema.registry_event.c
    numbers = {event_id: int(no) for event_id, no in connection.execute(sa.select(c.event_id, c.event_no))}
    known, _ = read_since(connection, 0)
    return [
        {
            "source": _CONTRADICTIONS,
            "partition": 0,
            "offset": numbers[one.event.event_id],
            "origin": one.event.event_id,
            "reason": one.reason,
            "detail": one.detail,
        }
        for one in Registry(known).contradictions
    ]
