"""What a refresh prepares for readers, because it takes long to compute or needs columns that readers may not read.

Law: moves between two snapshots never change, so moves from one snapshot to the next are kept. Everything else is about
the newest snapshot and is replaced with the next refresh.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema

Kind = Literal["provider", "moves", "recent_moves"]
"""provider: the page of a provider. moves: to the next snapshot. recent_moves: from another one to the newest."""

Answers = Mapping[tuple[Kind, str], Any]
_KEPT: Kind = "moves"


def moves_name(before: str, after: str, view: str) -> str:
    """Return the name of the moves between two snapshots, given by id."""
    return f"{before}..{after} {view}"


def is_prepared(connection: Connection, snapshot_id: str, event_no: int) -> bool:
    """Return whether the answers about a snapshot are there, with the registry up to an event."""
    p = schema.prepared.c
    query = sa.select(p.kind).where(p.snapshot_id == snapshot_id, p.event_no == event_no).limit(1)
    return connection.scalar(query) is not None


def replace(connection: Connection, snapshot_id: str, event_no: int, answers: Answers, now: int) -> None:
    """Store the answers about the newest snapshot in place of those about the one before.

    Args:
        answers: JSON values by kind and name.
    """
    p = schema.prepared.c
    connection.execute(sa.delete(schema.prepared).where(p.kind != _KEPT))
    rows = [
        {
            "kind": kind, "name": name, "snapshot_id": snapshot_id, "event_no": event_no, "prepared_at": now,
            "body": zlib.compress(json.dumps(answer, ensure_ascii=False).encode()),
        }
        for (kind, name), answer in answers.items()
    ]  # fmt: skip
    dialect.upsert(connection, schema.prepared, ["kind", "name"], rows)


def read(connection: Connection, name: str, *kinds: Kind) -> Any:
    """Return an answer of one of these kinds, None if there is none."""
    p = schema.prepared.c
    body = connection.scalar(sa.select(p.body).where(p.name == name, p.kind.in_(kinds)).limit(1))
    return None if body is None else json.loads(zlib.decompress(bytes(body)))
