"""Reads for which boards the DAGs of this folder run. Every DAG file imports this module, which has no DAG itself.

Without a file of boards there is one board. Its store is the setting INTEGRITY_STORE of the tasks. The path of a file
of boards is set in Airflow's configuration (section `integrity`, key `boards`: AIRFLOW__INTEGRITY__BOARDS). The default
is `boards.toml` beside this module:

    [[boards]]
    name = "text"                   # in the names of the DAGs: refresh_ratings__text
    connection = "board_text"       # the Airflow Connection of its store
    refresh_ratings = "0 * * * *"   # optional: schedule of a DAG, "" for none
    settings = { hold_places = 3 }  # optional: settings of `integrity doctor`, without keys and passwords

A fault in the file makes the import of every DAG file fail, with a message that has the place of the fault.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Connection, Param, get_current_context
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
from croniter import croniter

DAGS = ("refresh_ratings", "sweep_integrity", "reevaluate", "audit_ledger")
KEYS = ("name", "connection", "settings", *DAGS)
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
SETTINGS = "Settings of this run by name, such as nightly_weeks, in place of those of the board. No keys, no passwords."


class BoardsError(ValueError):
    """Raised if the file of boards has a fault. The message names the place in the file."""


@dataclass(frozen=True)
class Board:
    """A board for which each DAG runs.

    Attributes:
        name: name of the board, which is a part of the names of its DAGs, tags and assets. "" for the only board if
            there is no file of boards.
        connection: id of the Airflow Connection that names the board's store. "" if the settings of the tasks name it.
        schedules: name of a DAG → its schedule for this board. A DAG that is missing here has its usual schedule.
        settings: name of a setting → its value for this board. It replaces the value that the process has.
        place: the place in the file that describes the board, for error messages.
    """

    name: str = ""
    connection: str = ""
    schedules: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    place: str = "the settings of the task"

    def about(self, dag: str, usual: str) -> dict[str, Any]:
        """Return those arguments of `@dag` that depend on the board: name, schedule and parameters of a run.

        Args:
            dag: name of the DAG without the name of the board.
            usual: the schedule, unless the board has its own.
        """
        return {
            "dag_id": f"{dag}__{self.name}" if self.name else dag,
            "schedule": self.schedules.get(dag, usual) or None,
            "params": {"settings": Param({}, type="object", title="Settings", description=SETTINGS)},
        }

    def tags(self, *tags: str) -> list[str]:
        """Return `tags` and, if the board has a name, one more tag with this name."""
        return [*tags, *([f"board:{self.name}"] if self.name else [])]

    @property
    def snapshot(self) -> Asset:
        """The Airflow asset that stands for the newest snapshot of the board."""
        if not self.name:
            return Asset(name="integrity_snapshot", uri="integrity://snapshots/latest")
        return Asset(name=f"integrity_snapshot_{self.name}", uri=f"integrity://snapshots/{self.name}/latest")

    @contextmanager
    def use(self) -> Iterator[str]:
        """Use the settings of this board within a `with` block of a task.

        Yields:
            The URL of the store.

        Raises:
            AirflowFailException: the Connection does not exist, or a setting is not valid. Airflow does not retry the
                task, because it would fail again.
        """
        from pipeline.jobs import dag_api  # noqa: PLC0415 - DAG files are parsed every 30 s

        with ExitStack() as stack:
            try:
                store = stack.enter_context(dag_api.use_board(self._given()))
            except (dag_api.Usage, AirflowNotFoundException) as fault:
                raise AirflowFailException(f"{self.place}: {fault}") from None
            yield store

    def _given(self) -> dict[str, Any]:
        """Return the argument of `dag_api.use_board`. The fields of the Connection are read from Airflow."""
        found = Connection.get(self.connection) if self.connection else None
        names = ("conn_type", "host", "port", "login", "password", "schema")
        fields = {name: getattr(found, name) for name in names} | {"extra": found.extra_dejson} if found else None
        return {
            "connection": fields,
            "connection_id": self.connection,
            "settings": dict(self.settings),
            "run": dict(get_current_context()["params"]["settings"]),
        }


def read_boards() -> list[Board]:
    """Return the boards that the file of boards describes. Without a file, one board without a name is returned.

    Raises:
        BoardsError: the file cannot be read, or has a fault.
    """
    named = conf.get("integrity", "boards", fallback="")
    path = Path(named) if named else Path(__file__).with_name("boards.toml")
    if not named and not path.is_file():
        return [Board()]
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise BoardsError(f"{path}: expected a file of boards that can be read, got: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise BoardsError(f"{path}: expected TOML, got: {error}") from None
    return list(_boards(document, path))


def _boards(document: Mapping[str, Any], path: Path) -> Iterator[Board]:
    listed = document.get("boards")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise BoardsError(f"{path}: expected a table [[boards]] for each board, got {_shown(listed)}")
    if others := sorted(set(document) - {"boards"}):
        raise BoardsError(f"{path}: expected tables [[boards]] alone, got also {others[0]!r}")
    names: dict[str, int] = {}
    for number, one in enumerate(listed, 1):
        board = _board(one, f"{path}, board {number}" + (f" ({one['name']})" if one.get("name") else ""))
        if board.name in names:
            raise BoardsError(f"{board.place}, name: expected a name of its own, got that of board {names[board.name]}")
        names[board.name] = number
        yield board


def _board(one: Mapping[str, Any], place: str) -> Board:
    for key in one:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            meant = f"; is {near[0]} meant?" if near else ""
            raise BoardsError(f"{place}, {key}: expected one of {', '.join(KEYS)}{meant}")
    name = _text(one, "name", place)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise BoardsError(f"{place}, name: expected 1 to 40 small letters, digits, - and _, got {name!r}")
    connection = _text(one, "connection", place)
    if not re.fullmatch(r"[\w.-]{1,250}", connection):
        raise BoardsError(f"{place}, connection: expected the id of an Airflow Connection, got {connection!r}")
    schedules = {dag: _schedule(one[dag], f"{place}, {dag}") for dag in DAGS if dag in one}
    return Board(name, connection, schedules, _settings(one.get("settings", {}), f"{place}, settings"), place)


def _text(one: Mapping[str, Any], key: str, place: str) -> str:
    if not isinstance(one.get(key), str):
        raise BoardsError(f"{place}, {key}: expected a text, got {_shown(one.get(key))}")
    return str(one[key])


def _schedule(value: Any, place: str) -> str:
    if not isinstance(value, str) or (value and value not in PRESETS and not croniter.is_valid(value)):
        expected = f'five fields of cron such as "0 * * * *", one of {", ".join(PRESETS)}, or "" for none'
        raise BoardsError(f"{place}: expected {expected}; got {_shown(value)}")
    return value


def _settings(values: Any, place: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise BoardsError(f"{place}: expected a table of settings, got {_shown(values)}")
    for name, value in values.items():
        if re.search("key|password|publishers|^store$", name):
            raise BoardsError(f"{place}.{name}: expected no keys, passwords and stores here: the Connection has them")
        if not isinstance(value, str | int | float | bool):
            raise BoardsError(f"{place}.{name}: expected a text, a number, true or false, got {_shown(value)}")
    return values


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:100]
