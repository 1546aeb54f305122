"""Keeps the operators' log: one row for every decision, login, failed login, change of a token, export and erasure."""

import json
import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.db import schema
from pipeline.vocabulary.time import HOUR, format_rfc3339
from pipeline.vocabulary.visible_text import visible

LOGIN, FAILED_LOGIN, DENIED = "login", "login.failed", "login.denied"
# Refused requests cost their sender nothing: so many rows an hour, and the last one says that there were more.
_MOST_REFUSED = 1_000
_COLUMNS = (
    "entry_no", "at", "operator", "via", "origin", "action", "target", "reason", "before", "after", "database_role"
)  # fmt: skip

TABLE_COLUMNS = ("number", *_COLUMNS[1:])
"""The columns in which an export shows the log."""

Values = Mapping[str, Any] | None
Via = Literal["api", "page", "cli"]


@dataclass(frozen=True, slots=True)
class Operator:
    """The person or process that acts.

    Attributes:
        name: the owner of the token, or the person who runs a command.
        via: how the operator reached the store: "api", "page" for a form of the pages, or "cli" for a command.
        origin: address of the client, or LOGIN@HOST for a command.
    """

    name: str
    via: Via
    origin: str


def process_operator(name: str | None = None) -> Operator:
    """Return the operator who runs this process.

    Args:
        name: name of the operator; default: the login of the operating system. The origin is always LOGIN@HOST.
    """
    try:
        login = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container with an arbitrary user
        login = f"uid-{os.getuid()}"
    return Operator(name or login, "cli", f"{login}@{socket.gethostname()}")


def record(
    connection: Connection,
    operator: Operator,
    action: str,
    target: str,
    now: int,
    *,
    reason: str = "",
    before: Values = None,
    after: Values = None,
) -> None:
    """Append a row about an action to the operators' log, in the same transaction as the action.

    Args:
        connection: the transaction of the action.
        operator: the operator who acts.
        action: SUBJECT.VERB, such as alert.ack, exclusion.exclude or token.add.
        target: id of what the action changes, such as an alert or a vote; "" if there is none.
        now: present time in microseconds since 1970 UTC.
        reason: reason of the action, "" if it has none.
        before, after: name → value of the changed values, before and after the action.

    Raises:
        Usage: the operator's name or the reason has hidden characters or more than one line. Both texts are published,
            partly in signed files.
    """
    for what, text in (("name", operator.name), ("reason", reason)):
        if visible(text) != text:
            raise Usage(f"{what}: expected one line of visible characters, got {visible(text)[:200]}")
    connection.execute(
        schema.operator_log.insert().inline(),  # the number is not read back: a role may append and not read
        {
            "at": now,
            "operator": operator.name,
            "via": operator.via,
            "origin": operator.origin,
            "action": action,
            "target": target,
            "reason": reason,
            "before": _json(before),
            "after": _json(after),
        },
    )


def record_export(connection: Connection, what: str, target: str, now: int, after: Values = None) -> None:
    """Append a row about an export by a command. The caller must call this before it writes the export.

    Args:
        connection: the transaction.
        what: kind of the export. The action of the row is "export." followed by this word.
        target: what is exported, such as the id of a snapshot.
        now: present time in microseconds since 1970 UTC.
        after: name → value of values that describe the export.
    """
    record(connection, process_operator(), f"export.{what}", target, now, after=after)


def count_decisions(connection: Connection) -> dict[str, int]:
    """Count the rows of the operators' log by action.

    Returns:
        Action → number of rows. Exports, logins and refused requests are no decisions, so they are left out.
    """
    c = schema.operator_log.c
    decided = c.action.not_in((LOGIN, FAILED_LOGIN, DENIED)) & c.action.not_like("export.%")
    rows = connection.execute(sa.select(c.action, sa.func.count()).where(decided).group_by(c.action))
    return {action: int(number) for action, number in rows}


def record_refusal(connection: Connection, operator: Operator, action: str, target: str, now: int) -> None:
    """Append a row about a refused request, unless the last hour already has 1,000 such rows.

    The 1,000th row says that further refusals will not be recorded.

    Args:
        connection: the transaction.
        operator: who sent the request.
        action: FAILED_LOGIN (no valid token) or DENIED (the token lacks the scope).
        target: what the request was about.
        now: present time in microseconds since 1970 UTC.
    """
    number = count_refusals(connection, now)
    if number < _MOST_REFUSED:
        last = number == _MOST_REFUSED - 1
        record(connection, operator, action, target, now, reason="further refusals of this hour have no row" * last)


def takes_refusals(connection: Connection, now: int) -> bool:
    """Return whether `record_refusal` would append a row: fewer than 1,000 refusals were recorded in the last hour.

    A caller that gets False needs no write transaction.
    """
    return count_refusals(connection, now) < _MOST_REFUSED


def count_refusals(connection: Connection, now: int) -> int:
    """Return the number of rows about refused requests in the last hour."""
    c = schema.operator_log.c
    recent = sa.select(sa.func.count()).where(c.action.in_((FAILED_LOGIN, DENIED)), c.at > now - HOUR)
    return int(connection.scalar(recent) or 0)


def has_login(connection: Connection, operator: Operator, now: int) -> bool:
    """Return whether this operator logged in from this origin (client address) within the last hour."""
    c = schema.operator_log.c
    query = sa.select(c.entry_no).where(
        c.action == LOGIN, c.at > now - HOUR, c.operator == operator.name, c.origin == operator.origin
    )
    return connection.scalar(query.limit(1)) is not None


def list_entries(
    connection: Connection, limit: int, before: int | None = None, action: str | None = None, name: str | None = None
) -> list[dict[str, Any]]:
    """Return rows of the operators' log, newest first. The keys are TABLE_COLUMNS; the time is in RFC 3339.

    Args:
        connection: reads the store.
        limit: largest number of rows.
        before: only rows with a smaller number than this; None for no limit.
        action: only rows with this action; None for all.
        name: only rows of this operator; None for all.
    """
    c = schema.operator_log.c
    query = sa.select(*(c[column] for column in _COLUMNS)).order_by(c.entry_no.desc()).limit(limit)
    for column, value in ((c.action, action), (c.operator, name)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(c.entry_no < before)
    return [_shown(dict(row)) for row in connection.execute(query).mappings()]


def table_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `list_entries` as a table shows it: `before` and `after` become JSON text."""
    return {name: _json(row[name]) if name in {"before", "after"} else row[name] for name in TABLE_COLUMNS}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    values = {name: None if row[name] is None else json.loads(row[name]) for name in ("before", "after")}
    return {"number": row.pop("entry_no"), **row, "at": format_rfc3339(row["at"]), **values}


def _json(values: Values) -> str | None:
    return None if values is None else json.dumps(dict(values), ensure_ascii=False, sort_keys=True)
