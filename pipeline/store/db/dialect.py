"""What differs between SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy.engine import Connection, Engine


def has_server(database: Connection | Engine) -> bool:
    """True for PostgreSQL: statements run in a server, and a thread that waits for one leaves the interpreter free.

    SQLite runs in this process and takes the interpreter back after every row: a thread of its own would wait for it
    up to 5 ms a row, so there work is done in line.
    """
    return database.dialect.name == "postgresql"
