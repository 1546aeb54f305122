"""Parses the URLs of stores, and shows them without secrets. No error message contains a password."""

from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from pipeline.errors import Usage

# Parameters of libpq whose values are secrets.
_SECRET_PARAMETERS = ("password", "sslpassword", "passfile", "oauth_client_secret")
_EXPECTED = "postgresql://USER@HOST:PORT/DATABASE, sqlite:///FILE or a file"


def parse_url(url: str) -> sa.URL:
    """Parse the URL of a store. A path without a scheme means a SQLite file.

    Raises:
        Usage: the text is not a URL of SQLite or PostgreSQL, or the SQLite store is in memory.
    """
    if "://" not in url:
        return sa.URL.create("sqlite", database=str(Path(url).expanduser()))
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        # Not the library's message, nor the URL: a password with a / or : makes part of itself a port.
        found = url.partition("://")[0]
        raise Usage(
            f"expected a store as {_EXPECTED}, got a URL of {found!r} that cannot be read: "
            "write / : @ and % of a password as %2F %3A %40 %25"
        ) from None
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise Usage(f"expected a store on sqlite or postgresql, got {backend!r}")
    if parsed.database in (None, "", ":memory:"):
        raise Usage("expected a file for the SQLite store, got memory: workers and readers must share it")
    return parsed


def is_on_server(url: sa.URL) -> bool:
    """Return whether a store with this URL is a database of a PostgreSQL server."""
    return url.get_backend_name() == "postgresql"


def with_parameters(url: str, parameters: Mapping[str, str], password: str) -> str:
    """Add parameters and a password to a PostgreSQL URL. Return any other URL unchanged.

    Args:
        url: URL of a store.
        parameters: name of a libpq parameter → value. An empty value, and a parameter that the URL has, is not added.
        password: the password. It is not added if it is "" or if the URL has one.
    """
    parsed = parse_url(url)
    more = {name: value for name, value in parameters.items() if value and name not in parsed.query}
    if not is_on_server(parsed):
        return url
    if password and parsed.password is None and "password" not in parsed.query:
        parsed = parsed.set(password=password)
    return parsed.update_query_dict(more).render_as_string(hide_password=False)


def shown_url(url: sa.URL) -> str:
    """Return a URL as text, with `***` in place of passwords and other secrets."""
    hidden = {name: "***" for name in _SECRET_PARAMETERS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)
