"""Stores answers that a refresh computes in advance for the API.

These answers take long to compute, or need columns that the API may not read. Two kinds of answers stay stored. An
answer about the moves of ranks from one snapshot to the next never changes. A story says what was found about private
variants, claims and removals, and has a permanent address. Every other answer is about the newest snapshot, and the
next refresh replaces it.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema

Kind = Literal["provider", "moves", "recent_moves", "battles", "story"]
"""Kind of an answer.

provider: the page of a provider. moves: the moves of models from a snapshot to the next one. recent_moves: the moves
from an older snapshot to the newest one. battles: the battles of one model with each other model. story: what was found
about private variants, claims and removals.
"""

Answers = Mapping[tuple[Kind, str], Any]
_KEPT: tuple[Kind, ...] = ("moves", "story")
# Levels of compression: what stays is packed small, what the next refresh replaces in a third of the time.
_FAST = 1
_LEVELS: Mapping[Kind, int] = dict.fromkeys(_KEPT, 6)


def moves_name(before: str, after: str, view: str) -> str:
    """Return the name of a stored answer about the moves of ranks from one snapshot to another.

    Args:
        before, after: ids of the two snapshots.
        view: the view whose ranks are compared.
    """
    return f"{before}..{after} {view}"


def story_name(snapshot_id: str, event_no: int) -> str:
    """Return the name under which a story is stored.

    Args:
        snapshot_id: id of the snapshot.
        event_no: number of the newest registry event that the story covers.
    """
    return f"{snapshot_id}/{event_no}"


def newest_story(connection: Connection, snapshot_id: str | None = None) -> tuple[str, int] | None:
    """Return which story is the newest: the id of its snapshot, and the number of the newest registry event in it.

    Args:
        connection: reads the store.
        snapshot_id: only stories about this snapshot; None for any.

    Returns:
        None if there is no story.
    """
    p = schema.prepared.c
    query = sa.select(p.snapshot_id, p.event_no).where(p.kind == "story")
    if snapshot_id is not None:
        query = query.where(p.snapshot_id == snapshot_id)
    row = connection.execute(query.order_by(p.prepared_at.desc(), p.event_no.desc()).limit(1)).first()
    return None if row is None else (str(row[0]), int(row[1]))


def is_prepared(connection: Connection, snapshot_id: str, event_no: int) -> bool:
    """Return whether the store has answers about a snapshot that take all registry events into account.

    The answers are there if a story with this id and this number is stored, since a refresh stores the story together
    with its other answers. Answers of an early version, which stored no story, do not count.

    Args:
        connection: reads the store.
        snapshot_id: id of the snapshot.
        event_no: number of the newest registry event.
    """
    p = schema.prepared.c
    query = sa.select(p.kind).where(p.kind == "story", p.name == story_name(snapshot_id, event_no))
    return connection.scalar(query) is not None


def has_kind(connection: Connection, kind: Kind, snapshot_id: str) -> bool:
    """Return whether the store has a prepared answer of this kind about a snapshot."""
    p = schema.prepared.c
    query = sa.select(p.kind).where(p.kind == kind, p.snapshot_id == snapshot_id).limit(1)
    return connection.scalar(query) is not None


def replace(connection: Connection, snapshot_id: str, event_no: int, answers: Answers, now: int) -> None:
    """Replace the prepared answers by answers about the newest snapshot. Stored moves and stories stay.

    Args:
        connection: the transaction.
        snapshot_id: id of the newest snapshot.
        event_no: number of the newest registry event that the answers take into account.
        answers: (kind, name) → answer, a JSON value or a `msgspec.Struct`.
        now: present time in microseconds since 1970 UTC.
    """
    p = schema.prepared.c
    connection.execute(sa.delete(schema.prepared).where(p.kind.not_in(_KEPT)))
    rows = [
        {
            "kind": kind, "name": name, "snapshot_id": snapshot_id, "event_no": event_no, "prepared_at": now,
            "body": zlib.compress(msgspec.json.encode(answer), _LEVELS.get(kind, _FAST)),
        }
        for (kind, name), answer in answers.items()
    ]  # fmt: skip
    dialect.upsert(connection, schema.prepared, ["kind", "name"], rows)


def read(connection: Connection, name: str, *kinds: Kind) -> Any:
    """Return the prepared answer with this name and one of these kinds, as a JSON value; None if there is none."""
    p = schema.prepared.c
    body = connection.scalar(sa.select(p.body).where(p.name == name, p.kind.in_(kinds)).limit(1))
    return None if body is None else json.loads(zlib.decompress(bytes(body)))
