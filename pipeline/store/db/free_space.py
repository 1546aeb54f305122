"""Gives the space of deleted rows back to the disk, after votes were archived or erased.

SQLite: VACUUM writes a new copy of the database without the deleted rows. It needs free disk space for this copy, and
nobody can write to the database until it ends.

PostgreSQL: VACUUM makes the space reusable for new rows, and shortens a table whose end is empty. VACUUM FULL writes a
new copy of a table without the deleted rows. It needs free disk space for this copy, and nobody can use the table until
it ends. It waits less than a second for the table's lock and then tries again, because other statements queue behind a
waiting VACUUM FULL.
"""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from pipeline.store.db import dialect

_LOCK_WAIT = "900ms"
_TRIES, _PAUSE = 20, 1.0
# PostgreSQL's SQLSTATE lock_not_available.
_LOCKED = "55P03"


def database_bytes(engine: Engine) -> int:
    """Return the size of the database on the disk in bytes, indexes included."""
    if dialect.has_server(engine):
        with engine.connect() as connection:
            return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
    path = str(engine.url.database)
    return sum(one.stat().st_size for one in map(Path, (path, f"{path}-wal")) if one.exists())


def rewrite_sqlite(engine: Engine) -> bool:
    """Write the file of a SQLite database anew, without unused pages.

    Returns:
        False if the file could not be rewritten, because another process uses it; otherwise True.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        cursor = connection.connection.cursor()  # outside of a transaction, in which VACUUM is not allowed
        try:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            return False
        finally:
            cursor.close()
    return True


def give_back(engine: Engine, tables: Sequence[str], *, whole: bool) -> bool:
    """Give the space of deleted rows of some tables back to the disk.

    Args:
        engine: the database.
        tables: names of the tables. SQLite rewrites the whole database.
        whole: whether to rewrite the tables. If False, PostgreSQL's tables are only vacuumed, and SQLite's file is not
            changed. The space then stays in the files, and new rows reuse it.

    Returns:
        False if another process used the database all the time, and the space can only be reused; otherwise True.
    """
    if not dialect.has_server(engine):
        return rewrite_sqlite(engine) if whole else True
    done = True
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in tables:
            done = (not whole or _vacuum_full(connection, table)) and done
            connection.exec_driver_sql(f'VACUUM (ANALYZE) "{table}"')
    return done


def _vacuum_full(connection: Connection, table: str) -> bool:
    connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_WAIT}'")
    try:
        for attempt in range(_TRIES):
            try:
                connection.exec_driver_sql(f'VACUUM (FULL) "{table}"')
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCKED:
                    raise
                if attempt + 1 < _TRIES:
                    time.sleep(_PAUSE)
            else:
                return True
        return False
    finally:
        connection.exec_driver_sql("RESET lock_timeout")
