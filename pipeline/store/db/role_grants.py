"""Gives the database roles of a PostgreSQL store their rights on its tables: runs `deploy/postgres/grants.sql`.

The rights name tables and columns, so they are given anew after each migration, by the role that owns the tables.
Running the statements again changes nothing.
"""

from pathlib import Path

from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError

from pipeline.errors import StoreUnavailable, Usage
from pipeline.store.db.store_url import is_on_server, shown_url

# The wheel has the statements inside the package (pyproject, force-include), the repository beside it.
_PACKAGE = Path(__file__).parents[2]
_FILES = (_PACKAGE / "_grants.sql", _PACKAGE.parent / "deploy" / "postgres" / "grants.sql")


def expect_roles_possible(url: URL) -> None:
    """Raise `Usage` unless the database with this URL has roles, which only PostgreSQL has."""
    if not is_on_server(url):
        raise Usage(f"--grant-roles: expected a PostgreSQL store, got {shown_url(url)}, which has no roles")


def grant_roles(engine: Engine) -> None:
    """Give each role its rights, in one transaction.

    Raises:
        Usage: the database is not PostgreSQL.
        StoreUnavailable: a role is missing, or the role of this connection does not own the tables.
    """
    expect_roles_possible(engine.url)
    text = next(path for path in _FILES if path.is_file()).read_text(encoding="utf-8")
    try:
        # The file begins and commits its own transaction.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT", no_parameters=True) as connection:
            connection.exec_driver_sql(text)
    except DBAPIError as error:
        found = str(error.orig).strip()
        raise StoreUnavailable(
            f"{shown_url(engine.url)}: expected the roles of deploy/postgres/roles.sql, and the role that owns the "
            f"tables; got: {found}. An administrator runs that file once in this database, then `integrity migrate "
            "--grant-roles` is run again"
        ) from error
