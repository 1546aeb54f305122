"""Reads which program and version runs a database, for `integrity doctor`."""

import sqlite3

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from pipeline.store.db import dialect


def describe(engine: Engine) -> dict[str, str]:
    """Return facts about a database: "program" and "version", for PostgreSQL also "encoding" and "collation"."""
    if not dialect.has_server(engine):
        return {"program": "SQLite", "version": sqlite3.sqlite_version}
    query = (
        "SELECT current_setting('server_version'), current_setting('server_encoding'), "
        "coalesce(to_jsonb(d) ->> 'datlocale', d.datcollate) FROM pg_database d WHERE datname = current_database()"
    )
    with engine.connect() as connection:
        version, encoding, collation = connection.execute(sa.text(query)).one()
    return {"program": "PostgreSQL", "version": version, "encoding": encoding, "collation": collation}
