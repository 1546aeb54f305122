"""The mark that a migration leaves where windows must be counted again (`store.db.migrate`, `jobs.rebuild_windows`).

Laws: while windows are stale no process adds to them or reads them; they are deleted and counted again in one
transaction, during which no worker commits a batch.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import StoreUnavailable
from pipeline.store.db import dialect, schema

_ROW = schema.meta.c.name == "windows_stale"


def stale_since(connection: Connection) -> str | None:
    """Return the migration that marked the windows stale; None if they are current."""
    revision: str | None = connection.scalar(sa.select(schema.meta.c.value).where(_ROW))
    return revision


def expect_current(connection: Connection) -> None:
    """Check that windows are current.

    Raises:
        StoreUnavailable: a migration has marked them stale, and nothing has rebuilt them since.
    """
    revision = stale_since(connection)
    if revision is not None:
        raise StoreUnavailable(
            f"expected windows in the form of this code, found windows that migration {revision} marked stale: "
            "run `integrity migrate`, which counts them again from the votes"
        )


def clear(connection: Connection) -> bool:
    """Delete stale windows and the mark, and keep workers from committing until the transaction ends.

    Returns:
        False if the windows are current, so that nothing was deleted.
    """
    # Of two that rebuild at once, the second waits here for the first and then finds no mark.
    if not connection.execute(sa.delete(schema.meta).where(_ROW)).rowcount:
        return False
    # A batch begins by moving its partition's offset; SQLite has one writer at a time anyway.
    dialect.execute_on_server(connection, 'LOCK TABLE "partition" IN SHARE ROW EXCLUSIVE MODE')
    connection.execute(sa.delete(schema.window))
    return True
