"""Copies a whole database to a file and back.

SQLite's online backup makes the copy, or PostgreSQL's pg_dump and pg_restore. A copy has the data that one transaction
sees, even while others write. No password is passed to a program as an argument.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from pipeline.errors import Unavailable, Usage
from pipeline.store.db import dialect
from pipeline.store.db.store_url import shown_url

FILE_NAMES = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
"""Kind of database → name of the file in a backup that contains the copy of the database."""

# Secrets that libpq takes from the environment. The others could only be given in the arguments.
_IN_ENVIRONMENT = {"password": "PGPASSWORD", "passfile": "PGPASSFILE"}
_NOWHERE = ("sslpassword", "oauth_client_secret")


def dump(connection: Connection, to: Path) -> None:
    """Write a copy of the database to a new file that only its owner can read.

    The copy has the data that the transaction of the connection sees.

    Raises:
        Unavailable: pg_dump is missing or fails.
        Usage: the file exists, or the store's URL has a secret that cannot be passed to pg_dump.
    """
    try:
        os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise Usage(f"expected a new file for the database at {to}, got: {error.strerror}") from None
    if dialect.has_server(connection):
        # This transaction waits for pg_dump.
        dialect.execute_on_server(connection, "SET LOCAL idle_in_transaction_session_timeout = 0")
        snapshot = connection.scalar(sa.text("SELECT pg_export_snapshot()"))
        _run("pg_dump", connection.engine, "--format=custom", f"--snapshot={snapshot}", f"--file={to}")
        return
    with closing(sqlite3.connect(to)) as copy:
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        driver.backup(copy)


def restore(engine: Engine, copy: Path) -> None:
    """Fill an empty database from a copy that `dump` wrote.

    Raises:
        Unavailable: pg_restore is missing or fails. The database is then still empty.
        Usage: the database is not empty, or the store's URL has a secret that cannot be passed to pg_restore.
    """
    expect_empty(engine)
    if dialect.has_server(engine):
        options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        _run("pg_restore", engine, *options, str(copy))
        return
    engine.dispose()
    with copy.open("rb") as source, Path(str(engine.url.database)).open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def expect_empty(engine: Engine) -> None:
    """Check that a PostgreSQL database has no tables, or that a SQLite file does not exist.

    Raises:
        Usage: the database has tables, or the file exists.
    """
    if not dialect.database_exists(engine):
        return
    where = shown_url(engine.url)
    if not dialect.has_server(engine):
        raise Usage(f"expected no file yet at {where}, got one: a restore overwrites nothing, so name another")
    with engine.connect() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
    if tables:
        raise Usage(
            f"expected an empty database at {where}, got {len(tables)} tables, among them {tables[0]!r}: a restore "
            "overwrites nothing. `createdb --encoding=UTF8 --template=template0 NAME` makes one"
        )


def expect_programs(engine: Engine, *programs: str) -> None:
    """Check that PostgreSQL's client programs are installed. A SQLite database needs no programs and is not checked.

    Raises:
        Unavailable: a program is missing.
    """
    for program in programs if dialect.has_server(engine) else ():
        _find(program, engine)


def _find(program: str, engine: Engine) -> str:
    path = shutil.which(program)
    if path is None:
        raise Unavailable(
            f"expected PostgreSQL's program {program} on PATH for {shown_url(engine.url)}, got none: install the "
            "client programs of the server's version (Debian: postgresql-client)"
        )
    return path


def _run(program: str, engine: Engine, *options: str) -> None:
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415  # only PostgreSQL needs the driver

    path = _find(program, engine)
    # Without the objects that are for the driver alone.
    given = {k: v for k, v in engine.dialect.create_connect_args(engine.url)[1].items() if isinstance(v, (str, int))}
    for name in _NOWHERE:
        if given.get(name):
            raise Usage(f"expected a store's URL without {name}, got one: {program} cannot be given it in secret")
    environment = {variable: str(given.pop(name)) for name, variable in _IN_ENVIRONMENT.items() if given.get(name)}
    command = [path, "--no-password", f"--dbname={make_conninfo('', **given)}", *options]
    done = subprocess.run(  # our own arguments, no shell
        command, env={**os.environ, **environment}, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        said = "; ".join(done.stderr.strip().splitlines()[:5])
        raise Unavailable(f"{program} failed at {shown_url(engine.url)} (exit {done.returncode}): {said}")
