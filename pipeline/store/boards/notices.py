"""Stores correction notices: dated notes in which a named person says what is wrong with a published snapshot.

A notice is never changed or deleted, which the database enforces. The manifest of a snapshot contains all notices that
were added before the snapshot was rated.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db import schema
from pipeline.vocabulary.time import format_rfc3339

MAX_TEXT = 2_000
"""Largest number of characters of a notice. It is limited because a notice becomes part of every later manifest."""

_PUBLISHED = ("sequence", "snapshot", "text", "name", "at")


def add_notice(connection: Connection, snapshot: PublishedSnapshot, text: str, name: str, now: int) -> dict[str, Any]:
    """Add a correction notice to a published snapshot.

    Args:
        connection: the transaction.
        snapshot: the published snapshot that the notice is about.
        text: one line that says what is wrong.
        name: name of the author.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The notice, as `list_notices` returns it.

    Raises:
        Usage: text or name is empty, or the text is too long or has control characters.
    """
    if not text.strip() or not name.strip():
        raise Usage("expected a text and a name: a notice is not added without both")
    if len(text) > MAX_TEXT or not text.isprintable():
        raise Usage(
            f"expected a text of one line, of at most {MAX_TEXT:,} visible characters, got {len(text):,} characters"
        )
    row = {
        "sequence": snapshot.sequence, "snapshot_id": snapshot.snapshot_id, "text": text, "name": name, "at": now
    }  # fmt: skip
    number = connection.execute(schema.notice.insert().returning(schema.notice.c.notice_no), row).scalar_one()
    return _shown({"notice_no": number, **row})


def count_notices(connection: Connection) -> int:
    """Return the number of correction notices on all snapshots."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(schema.notice)) or 0)


def list_notices(connection: Connection, snapshot_id: str | None = None) -> list[dict[str, Any]]:
    """Return correction notices, oldest first.

    Args:
        connection: reads the store.
        snapshot_id: only notices on this snapshot; None for the notices on all snapshots.

    Returns:
        {"number", "sequence", "snapshot", "text", "name", "at"} for each notice; "at" is in RFC 3339.
    """
    n = schema.notice.c
    query = sa.select(schema.notice).order_by(n.notice_no)
    if snapshot_id is not None:
        query = query.where(n.snapshot_id == snapshot_id)
    return [_shown(dict(row)) for row in connection.execute(query).mappings()]


def list_published(connection: Connection) -> list[dict[str, Any]]:
    """Return all notices, oldest first, as a manifest contains them: like `list_notices`, but without the number."""
    return [{name: one[name] for name in _PUBLISHED} for one in list_notices(connection)]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": int(row["notice_no"]),
        "sequence": row["sequence"],
        "snapshot": row["snapshot_id"],
        "text": row["text"],
        "name": row["name"],
        "at": format_rfc3339(row["at"]),
    }
