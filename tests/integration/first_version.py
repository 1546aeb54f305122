"""A store of the first version, as the code of 2026-11-23 wrote it (tests/golden/first_version.sql).

440 sealed votes of two files and 25 of a third that are not, under the voter key of OPTIONS. A voter was bought, and is
excluded for its alert; another one was excluded and restored by hand, a single vote excluded; one alert is acknowledged
and one snoozed; a late vote, two repeats (one says something else), two rejects, a registry; three snapshots over a
chain of two segments.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from pipeline.settings import Settings
from pipeline.store import migrate
from pipeline.store.engine import parse

OPTIONS = Settings(voter_key="6b" * 32)
SCRIPT = Path(__file__).parents[1] / "golden" / "first_version.sql"

Rows = dict[str, list[tuple[Any, ...]]]


def written(path: str) -> sqlite3.Connection:
    """The store as a file."""
    store = sqlite3.connect(path)
    store.executescript(SCRIPT.read_text(encoding="utf-8"))
    return store


def to_version(engine: sa.Engine, version: str) -> None:
    """Run the migrations up to one."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def put(url: str) -> None:
    """Make the store in either database: on PostgreSQL its rows in the tables that the first migration makes."""
    if "://" not in url:
        written(url).close()
        return
    engine = sa.create_engine(parse(url))
    to_version(engine, "0001")
    there, rows = sa.MetaData(), dump(written(":memory:"))
    with engine.begin() as connection:
        there.reflect(connection)
        for name, table in there.tables.items():
            columns = table.columns.keys()
            given = [dict(zip(columns, map(_typed, table.columns, row), strict=True)) for row in rows[name]]
            if name != "alembic_version" and given:
                connection.execute(table.insert(), given)
            for column in table.columns:
                if column.identity is not None:
                    last = f"SELECT max({column.name}) FROM {name}"
                    connection.execute(
                        sa.text(f"SELECT setval(pg_get_serial_sequence('{name}', '{column.name}'), ({last}))")
                    )
    engine.dispose()


def dump(store: sqlite3.Connection) -> Rows:
    """Every row of every table."""
    names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(store.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in names}


def _typed(column: sa.Column[Any], value: Any) -> Any:
    return bool(value) if isinstance(column.type, sa.Boolean) and value is not None else value
