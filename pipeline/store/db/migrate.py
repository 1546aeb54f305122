"""Upgrades the tables of a store to this version, with Alembic.

A store is migrated in one transaction, in SQLite and in PostgreSQL. If several processes open a store at the same time,
one migrates it and the others wait.

A migration runs no other code of the pipeline. A migration may change the form of data that are computed from votes.
Such a migration only marks these data as stale. To mark window counts, it executes

    INSERT INTO meta (name, value) VALUES ('windows_stale', '<its revision>') ON CONFLICT (name) DO NOTHING

and `integrity migrate` then computes the window counts again (`jobs.rebuild_windows`).
"""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ProgrammingError

from pipeline.errors import StoreUnavailable
from pipeline.store.db import dialect
from pipeline.store.db.store_url import shown_url

NEWEST = "0014"
"""The version of the tables that this code uses: the revision of the last migration."""

# 0002 is no migration of this code, and is restamped as the base.
_RESTAMPED, _BASE = "0002", "0003"
_UPGRADABLE = (
    *(None, _RESTAMPED, _BASE, "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012"),
    "0013",
)
# An arbitrary fixed number: the lock of all migrations.
_LOCK = 0x1EADE2
# PostgreSQL: the role may not change the tables.
_NOT_OURS = "42501"


def exists(engine: Engine) -> bool:
    """Return whether the database contains a store, of any version."""
    if not dialect.database_exists(engine):
        return False
    with engine.connect() as connection:
        return sa.inspect(connection).has_table("alembic_version")


def upgrade(engine: Engine) -> None:
    """Migrate a store to the newest version. In an empty database, create the tables.

    Raises:
        StoreUnavailable: the tables are of a later version, of a version too old to upgrade, or of another program. Or
            the database role may not change them.
    """
    with engine.connect() as connection:
        found = _version(connection)
    if found == NEWEST:
        return
    where = shown_url(engine.url)
    expect_upgradable(found, where)
    try:
        _run(engine)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_OURS:
            raise
        raise StoreUnavailable(
            f"{where}: expected tables of version {NEWEST}, found {found or 'none'}: `integrity migrate`, as the role "
            "that owns them, brings them up to date"
        ) from error


def expect_upgradable(found: str | None, where: str) -> None:
    """Check that this code can use the tables of a version, or upgrade them.

    Args:
        found: version of the tables, None for an empty database.
        where: the store's URL, for messages.

    Raises:
        StoreUnavailable: this code can neither use nor upgrade the tables.
    """
    if found not in (*_UPGRADABLE, NEWEST):
        raise StoreUnavailable(f"{where}: {_refusal(str(found))}")


def _refusal(found: str) -> str:
    if found.isdecimal() and found > NEWEST:
        return (
            f"expected tables of version {NEWEST} at most, found {found}: later code made them. "
            "Install the version of this package that made them, or a newer one"
        )
    return (
        f"expected tables of version {_RESTAMPED} to {NEWEST}, found {found}: this code cannot bring them up to date. "
        "Use the code that made this store, or read the votes into a new one (`integrity work --store`)"
    )


def _run(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415  # slow to import, and hardly ever needed
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    with engine.begin() as connection:
        # A worker's transactions may not idle or wait for seconds; a migration does, on a busy machine.
        dialect.execute_on_server(connection, "SET LOCAL idle_in_transaction_session_timeout = 0")
        dialect.execute_on_server(connection, "SET LOCAL lock_timeout = 0")
        dialect.lock(connection, _LOCK)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        # Read again: another process may have migrated while this one waited for the lock.
        if _version(connection) == _RESTAMPED:
            scripts = ScriptDirectory.from_config(config).walk_revisions()
            next(one for one in scripts if one.revision == _BASE).module.restamp(connection)
        command.upgrade(config, "head")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found
