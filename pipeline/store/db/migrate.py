"""Bringing a store to this version's tables, with Alembic.

What is made of votes and has another form now, a migration drops and asks for (`remake`); it is made again in the same
transaction, after the last migration, by the code of the day.

Any number of processes may open a new store at once: one migrates, the others wait for it.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ProgrammingError

from pipeline.errors import StoreUnavailable

NEWEST = "0002"
"""The version that this code is written for; a test holds it against the migrations."""

# Any fixed number does: it names the one lock that migrations take.
_LOCK = 0x1EADE2
# PostgreSQL: the role may not change the tables.
_NOT_OURS = "42501"


def exists(engine: Engine) -> bool:
    """True if there is a store of any version."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return False
    with engine.connect() as connection:
        return sa.inspect(connection).has_table("alembic_version")


def upgrade(engine: Engine) -> None:
    """Migrate to the newest version.

    Raises:
        StoreUnavailable: the tables are of a later version than this code, or of an earlier one and not ours to change.
    """
    with engine.connect() as connection:
        found = _version(connection)
    if found == NEWEST:
        return
    if found is not None and found > NEWEST:
        raise StoreUnavailable(f"expected tables of version {NEWEST} at most, got {found}: later code was here")
    try:
        _run(engine)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_OURS:
            raise
        raise StoreUnavailable(
            f"expected tables of version {NEWEST}, got {found or 'none'}: `integrity migrate`, as the role that owns "
            "them, brings them up to date"
        ) from error


def _run(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415  # slow to import, and hardly ever needed
    from alembic.config import Config  # noqa: PLC0415

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # A worker's transactions may not idle or wait for seconds; a migration does, on a busy machine.
            connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if "windows" in config.attributes.get("remake", ()):
            from pipeline.store import remaking  # noqa: PLC0415  # it opens stores, and they are migrated here

            remaking.windows_of_all(connection)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found
