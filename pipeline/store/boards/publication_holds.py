"""Stores which candidates wait for a person's decision before they are published (holds).

A candidate is a snapshot before its publication. It is held if top models moved more places than the settings allow. A
hold is open until a person releases the candidate or another snapshot is published.
"""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.boards import snapshots
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.time import format_rfc3339

Moves = Sequence[dict[str, Any]]


def hold(connection: Connection, snapshot_id: str, after: int, moves: Moves, now: int) -> None:
    """Hold a candidate, so that it is published only after a person releases it. A second hold changes nothing.

    Args:
        connection: the transaction.
        snapshot_id: id of the candidate.
        after: sequence number of the snapshot that the candidate would follow.
        moves: one row for each model that moved too far: `model`, its ranks `before` and `after`, and the distance in
            `places`.
        now: present time in microseconds since 1970 UTC.
    """
    row = {"snapshot_id": snapshot_id, "after": after, "at": now, "moves": json.dumps(list(moves), ensure_ascii=False)}
    connection.execute(dialect.insert_or_ignore(connection, schema.publication_hold, "snapshot_id").values(row))


def is_released(connection: Connection, snapshot_id: str) -> bool:
    """Return whether a person has released this candidate."""
    h = schema.publication_hold.c
    query = sa.select(h.released_at).where(h.snapshot_id == snapshot_id, h.released_at.is_not(None))
    return connection.scalar(query) is not None


def release(connection: Connection, snapshot_id: str, name: str, reason: str, now: int) -> str:
    """Release a held candidate for publication.

    Args:
        connection: the transaction.
        snapshot_id: id of the candidate, or the beginning of the id.
        name, reason: who releases the candidate, and why.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The full id of the candidate.

    Raises:
        Usage: name or reason is empty, or not exactly one open hold has this id.
    """
    if not reason.strip() or not name.strip():
        raise Usage("expected a reason and a name: a candidate is not released without both")
    ids: list[str] = [
        one["snapshot"] for one in list_open(connection) if snapshot_id and one["snapshot"].startswith(snapshot_id)
    ]
    if len(ids) != 1:
        raise Usage(
            f"expected the id of one held candidate, got {snapshot_id!r}: `integrity doctor` lists those that are "
            "held, and `integrity refresh` makes a new candidate"
        )
    values = {"released_at": now, "released_by": name, "released_reason": reason}
    h = schema.publication_hold
    connection.execute(sa.update(h).where(h.c.snapshot_id == ids[0]).values(values))
    return ids[0]


def list_open(connection: Connection) -> list[dict[str, Any]]:
    """Return the candidates that are held now, newest first.

    Returns:
        {"snapshot", "at", "moves"} for each hold: the id of the candidate, the time in RFC 3339, and the rows given to
        `hold`.
    """
    h = schema.publication_hold.c
    query = (
        sa.select(h.snapshot_id, h.at, h.moves)
        .where(h.released_at.is_(None), h.after == snapshots.newest_sequence(connection))
        .order_by(h.at.desc(), h.snapshot_id)
    )
    return [
        {"snapshot": row.snapshot_id, "at": format_rfc3339(row.at), "moves": json.loads(row.moves)}
        for row in connection.execute(query)
    ]
