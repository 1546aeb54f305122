"""Gives the tasks of a DAG the settings of the board for which the DAG runs.

A setting can be set in four places: the process, the file of boards, the board's Airflow Connection, and the parameter
of the run. If several places set it, the one that is last in this list counts.

The fields of the Connection name the store. Its field "extra" may have further settings, also keys and passwords. For a
board with a Connection, the store, its password, name and keys in the settings of the process are ignored. So no board
uses the keys or the password of another.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from pipeline import settings
from pipeline.errors import Usage
from pipeline.settings import Settings, shown

_OF_ONE_BOARD = frozenset(
    {"store", "board", "voter_key", "ledger_key", "ledger_key_before", "archive_key", "postgres_password"}
)
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")
_POSTGRES = ("postgres", "postgresql")
# A task unpickles what a cluster sends, so whoever names the cluster can run programs in the task, which has the keys.
# Files that another run wrote into another folder are missing from the ledger, and a connection without TLS shows the
# password of the store. A held publication is released by a person who gives a name and a reason, not by a run.
_NOT_IN_RUNS = (
    "compute", "compute_ledger", "ledger", "board", "hold_places", "hold_top", *(f"postgres_{name}" for name in _TLS)
)  # fmt: skip


@contextmanager
def use_board(given: Mapping[str, Any]) -> Iterator[str]:
    """Use the settings of a board within a `with` block.

    Args:
        given: the data of a `Board` of `dags/integrity_boards.py`. "connection" has the fields of the board's Airflow
            Connection; None if the board has none. "connection_id" is the id of this Connection. "settings" are the
            settings in the file of boards, and "run" those in the parameter of the run.

    Yields:
        The URL of the store.

    Raises:
        Usage: a setting does not exist, has a value that is not valid, or must not be set in this place. The message
            names the place.
    """
    process = settings.load()
    values = {name: getattr(process, name) for name in process.model_fields_set}
    connection = given["connection"]
    if connection is not None:
        values = {name: value for name, value in values.items() if name not in _OF_ONE_BOARD}
    values |= _public(given["settings"], "settings")
    if connection is not None:
        place = f"Airflow Connection {given['connection_id']}"
        values |= {"store": store_url(connection, place), **_extra(connection, place)}
    values |= _of_run(given["run"])
    with settings.override(Settings(**values)):
        yield settings.load().store


def store_url(connection: Mapping[str, Any], place: str) -> str:
    """Return the store's URL that the fields of an Airflow Connection describe.

    Args:
        connection: conn_type, host, port, login, password, schema and extra.
        place: the name of the Connection, for messages.

    Raises:
        Usage: the type is neither PostgreSQL nor SQLite, or the name of the database is missing.
    """
    kind, host, database = connection["conn_type"], connection["host"] or "", connection["schema"] or ""
    if kind == "sqlite" and (host or database):
        return f"sqlite:///{host or database}"
    if kind not in _POSTGRES:
        raise Usage(f"{place}: expected the type postgres (or sqlite with a file as the host), got {kind!r}")
    if not database:
        raise Usage(f"{place}: expected the name of the database in the field schema, got none")
    login, password = (quote(connection[name] or "", safe="") for name in ("login", "password"))
    user = login + (f":{password}" if password else "") + "@" if login else ""
    port = f":{connection['port']}" if connection["port"] else ""
    parameters = urlencode({name: connection["extra"][name] for name in _TLS if name in connection["extra"]})
    return f"postgresql://{user}{host}{port}/{quote(database, safe='')}" + (f"?{parameters}" if parameters else "")


def _extra(connection: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the settings in the field "extra" of a Connection. `place` names the Connection in error messages."""
    found = {name: value for name, value in connection["extra"].items() if name not in _TLS}
    _expect_settings(found, f"{place}, extra")
    return found


def _public(found: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the settings from a place that others can read. Refuse keys, passwords and the address of a store."""
    _expect_settings(found, place)
    for name in found:
        if name == "store" or shown(name, "value") != "value":
            raise Usage(f"{place}: expected no keys, passwords and stores, got {name}: the Airflow Connection has them")
    return dict(found)


def _of_run(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in the parameter of a run.

    People who may start a run must not be able to run programs in its tasks, so some settings are refused here.

    Raises:
        Usage: a setting is not allowed in a run.
    """
    place = "parameter `settings` of the run"
    for name in _NOT_IN_RUNS:
        if name in found:
            expected = "no engine, no folder of the ledger, no name of the board, no TLS of its store and no hold"
            raise Usage(f"{place}: expected {expected}, got {name}: set it for the board")
    return _public(found, place)


def _expect_settings(found: Mapping[str, Any], place: str) -> None:
    for name in found:
        if name not in Settings.model_fields:
            raise Usage(f"{place}: expected a setting of `integrity doctor` in small letters, got {name!r}")
