"""Marks a store as a test, into which `integrity drill` may send invented votes.

Votes cannot be removed from a log, so the votes of a drill and the mark stay for ever. A store with votes or published
snapshots can therefore not be marked: it may be a real board. `make up` marks the new store that it creates.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.boards import snapshots
from pipeline.store.cold import cold_files
from pipeline.store.db import dialect, schema

_NAME = "test_store"


def is_test(connection: Connection) -> bool:
    """Return whether the store is marked as a test."""
    return connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == _NAME)) == "1"


def mark_as_test(connection: Connection) -> bool:
    """Mark the store as a test.

    Returns:
        True if the mark is new, False if the store was marked already.

    Raises:
        Usage: the store has votes, or has published a snapshot.
    """
    if is_test(connection):
        return False
    published = snapshots.count_published(connection)
    if published:
        raise Usage(
            f"expected a store without snapshots, got one with {published}: a board that was published is no test. "
            "`integrity drill --copy` drills on a copy of it"
        )
    if connection.scalar(sa.select(sa.exists().select_from(schema.vote))) or cold_files.any_archived(connection):
        raise Usage(
            "expected a store without votes, got one with votes: it may be a real board, and invented votes would stay "
            "in it. Mark a new store before its first vote; `integrity drill --copy` drills on a copy of a board"
        )
    dialect.upsert(connection, schema.meta, ["name"], [{"name": _NAME, "value": "1"}])
    return True
