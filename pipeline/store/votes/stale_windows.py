"""Reads and clears the mark with which a migration states that window counts are stale and must be computed again.

`store.db.migrate` describes the mark, `jobs.rebuild_windows` computes the counts.

While window counts are stale, no process adds to them or reads them. They are deleted and computed again in one
transaction, during which no worker commits a batch.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import StoreUnavailable
from pipeline.store.db import dialect, schema

_ROW = schema.meta.c.name == "windows_stale"


def stale_since(connection: Connection) -> str | None:
    """Return the revision of the migration that marked the window counts as stale; None if they are current."""
    revision: str | None = connection.scalar(sa.select(schema.meta.c.value).where(_ROW))
    return revision


def expect_current(connection: Connection) -> None:
    """Check that window counts are current.

    Raises:
        StoreUnavailable: a migration has marked them as stale, and they were not rebuilt since.
    """
    revision = stale_since(connection)
    if revision is not None:
        raise StoreUnavailable(
            f"expected windows in the form of this code, found windows that migration {revision} marked stale: "
            "run `integrity migrate`, which counts them again from the votes"
        )


def clear(connection: Connection) -> bool:
    """Delete all window counts and the mark, if a migration marked them as stale.

    Workers cannot commit until the transaction ends.

    Returns:
        True if window counts were deleted; False if there was no mark, because the window counts are current.
    """
    # Of two that rebuild at once, the second waits here for the first and then finds no mark.
    if not connection.execute(sa.delete(schema.meta).where(_ROW)).rowcount:
        return False
    # A batch begins by moving its partition's offset; SQLite has one writer at a time anyway.
    dialect.execute_on_server(connection, 'LOCK TABLE "partition" IN SHARE ROW EXCLUSIVE MODE')
    connection.execute(sa.delete(schema.window))
    return True
