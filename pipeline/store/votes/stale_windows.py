"""Reads and clears the mark with which a migration says that window counts must be computed again (stale).

`store.db.migrate` describes the mark, and `jobs.rebuild_windows` computes the counts. While the mark is set, no process
adds to window counts or reads them. One transaction deletes and computes the counts, and no worker commits a batch
during it.
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
    """Check that no migration has marked the window counts as stale.

    Raises:
        StoreUnavailable: a migration has marked them, and they were not computed again since.
    """
    revision = stale_since(connection)
    if revision is not None:
        raise StoreUnavailable(
            f"expected windows in the form of this code, found windows that migration {revision} marked stale: "
            "run `integrity migrate`, which counts them again from the votes"
        )


def clear(connection: Connection) -> bool:
    """Delete all window counts and the mark, if a migration marked the counts as stale.

    Workers cannot commit until the transaction ends.

    Returns:
        True if window counts were deleted; False if there was no mark.
    """
    # Of two that rebuild at once, the second waits here for the first and then finds no mark.
    if not connection.execute(sa.delete(schema.meta).where(_ROW)).rowcount:
        return False
    # A batch begins by moving its partition's offset; SQLite has one writer at a time anyway.
    dialect.execute_on_server(connection, 'LOCK TABLE "partition" IN SHARE ROW EXCLUSIVE MODE')
    connection.execute(sa.delete(schema.window))
    return True
