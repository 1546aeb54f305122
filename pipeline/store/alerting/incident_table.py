"""Stores the newest incidents, and the history of people's decisions about incidents.

The rows of `incident` are derived from alerts, votes and decisions, so a new grouping replaces them. Entries are only
added to the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.incidents.grouping import Decision, Merge, Split
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.time import format_rfc3339


@dataclass(frozen=True, slots=True)
class StoredIncident:
    """An incident as the store keeps it, for readers of both the public and the operators' form.

    Attributes:
        incident_id: id of the incident, 12 hexadecimal digits.
        opened_at: when the incident's first alert opened, in microseconds since 1970 UTC.
        body: the facts and figures of the incident, without voters, networks of voters and exact times.
            `public_incidents` converts them to the form for the public.
        private: the voters, the suspected voters, their networks and the exact times, for operators only.
    """

    incident_id: str
    opened_at: int
    body: dict[str, Any]
    private: dict[str, Any]


_FORM = 7
"""Version of the stored incidents. It must grow when the fields of `StoredIncident.body` or the rules of grouping
change. Incidents of another version are computed again."""


# Of incidents that an earlier version has stored, until they are grouped again.
_NONE_SUSPECTED = {"suspected": dict.fromkeys(("accounts", "votes", "accounts_left_out", "votes_left_out"), 0)}
_NO_SUSPECTS: dict[str, Any] = {"suspects": {"of": "", "e_values": {}}}


def present_inputs(connection: Connection) -> dict[str, int]:
    """Return numbers that change when an input of the grouping changes.

    Returns:
        Name of an input, such as `alerts` or `snapshot` → number. Every new alert, escalation, decision, exclusion and
        snapshot changes at least one number. A table that the database role may not read has no number.
    """
    columns = {
        "alert_event": schema.alert_event.c.event_no,
        "incident_event": schema.incident_event.c.event_no,
        "exclusion": schema.exclusion.c.exclusion_no,
        "snapshot": schema.snapshot.c.sequence,
    }
    found = {
        name: int(connection.scalar(sa.select(sa.func.max(column))) or 0)
        for name, column in columns.items()
        if dialect.may_read(connection, name, column.name)
    }
    alerts = connection.execute(sa.select(sa.func.count(), sa.func.sum(schema.alert.c.level))).one()
    return {**found, "form": _FORM, "alerts": int(alerts[0]), "levels": int(alerts[1] or 0)}


def is_current(connection: Connection) -> bool:
    """Return whether the stored incidents still fit their inputs: alerts, decisions, exclusions and snapshots.

    Only inputs that the database role may read are compared.
    """
    return _stored_inputs(connection).items() >= present_inputs(connection).items()


def _stored_inputs(connection: Connection) -> dict[str, int]:
    text = connection.scalar(sa.select(schema.grouping.c.inputs))
    return {} if text is None else dict(json.loads(text))


def replace_all(connection: Connection, incidents: Iterable[StoredIncident]) -> None:
    """Replace all stored incidents by those of a new grouping.

    The result of `present_inputs` is stored too. From it `is_current` later finds whether an input has changed.
    """
    dialect.lock_table(connection, "grouping")
    connection.execute(sa.delete(schema.incident))
    rows = [
        {
            "incident_id": one.incident_id,
            "opened_at": one.opened_at,
            "body": json.dumps(one.body, ensure_ascii=False),
            "private": json.dumps(one.private, ensure_ascii=False),
        }
        for one in incidents
    ]
    if rows:
        connection.execute(schema.incident.insert(), rows)
    # Without what this role may not read: a role that may then sees that its part is missing.
    inputs = present_inputs(connection)
    connection.execute(sa.delete(schema.grouping))
    connection.execute(schema.grouping.insert(), {"inputs": json.dumps(inputs)})


def read_public(connection: Connection) -> list[dict[str, Any]]:
    """Return the field `body` of every stored incident, the newest incident first.

    The fields `alert_ids` and `former_ids` are not read, because they would tell which alerts are about one voter. So a
    database role without access to them can call this function.
    """
    i = schema.incident.c
    query = sa.select(i.body).order_by(i.opened_at.desc(), i.incident_id)
    return [_body(text) for text in connection.scalars(query)]


def count_ungrouped(connection: Connection, states: Iterable[str]) -> dict[tuple[str, str], int]:
    """Count the alerts that opened after the newest grouping, and are therefore in no incident yet.

    Args:
        connection: reads the store.
        states: only alerts in these states are counted.

    Returns:
        (detector, severity) → number of these alerts; 0 for a pair that only other stored alerts have.
    """
    a, e = schema.alert.c, schema.alert_event.c
    last = _stored_inputs(connection).get("alert_event", 0)
    total = {(row[0], row[1]): 0 for row in connection.execute(sa.select(a.detector, a.severity).distinct())}
    opened = sa.select(e.alert_id).where(e.event_no > last, e.action == "opened")
    rows = sa.select(a.detector, a.severity, sa.func.count()).where(a.state.in_(list(states)), a.alert_id.in_(opened))
    for detector, severity, number in connection.execute(rows.group_by(a.detector, a.severity)):
        total[detector, severity] = int(number)
    return total


def read_all(connection: Connection) -> list[StoredIncident]:
    """Return every stored incident in the form for operators, the newest first."""
    query = sa.select(schema.incident).order_by(schema.incident.c.opened_at.desc(), schema.incident.c.incident_id)
    return [
        StoredIncident(
            row.incident_id, int(row.opened_at), _body(row.body), {**_NO_SUSPECTS, **json.loads(row.private)}
        )
        for row in connection.execute(query)
    ]


def _body(text: str) -> dict[str, Any]:
    return {**_NONE_SUSPECTED, **json.loads(text)}


def resolve_id(connection: Connection, given: str) -> str:
    """Return the present id of the incident that an operator named.

    Args:
        connection: reads the store.
        given: a present or former id of an incident, or a beginning that no other incident's ids share.

    Raises:
        Usage: no incident has such an id, or several have.
    """
    known: dict[str, str] = {}
    for one in read_public(connection):
        known |= dict.fromkeys((one["id"], *one["former_ids"]), one["id"])
    try:
        return choose_id(given, known)
    except Usage as error:
        raise Usage(f"{error}; `integrity incidents` lists them") from None


def choose_id(given: str, known: Mapping[str, str]) -> str:
    """Return the present id of the incident that a person named.

    Args:
        given: a present or former id of an incident, or a beginning that no other incident's ids share.
        known: present or former id → present id, for every incident that the person may read.

    Raises:
        Usage: no incident has such an id, or several have.
    """
    found = {now for name, now in known.items() if name.startswith(given)} if given else set()
    if given in known:
        return known[given]
    if len(found) != 1:
        several = f"it begins the ids of {len(found)} incidents" if found else "no incident has it"
        raise Usage(f"expected the id of an incident, got {given!r}: {several}")
    return found.pop()


def add_event(
    connection: Connection,
    incident_id: str,
    action: str,
    name: str,
    reason: str,
    now: int,
    alerts: Sequence[str] | None = None,
) -> None:
    """Append a person's decision about an incident to the history.

    Args:
        connection: the transaction.
        incident_id: id of the incident.
        action: the decision, such as `resolve`, `split` or `merge`.
        name: the person who decides.
        reason: reason of the decision.
        now: present time in microseconds since 1970 UTC.
        alerts: ids of the alerts that the decision changed; None if it changed none.
    """
    row = {"incident_id": incident_id, "at": now, "action": action, "name": name, "reason": reason}
    connection.execute(
        schema.incident_event.insert(), {**row, "alerts": None if alerts is None else json.dumps(alerts)}
    )


def read_events(connection: Connection, incident_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return the history of an incident, the oldest entry first.

    Args:
        connection: reads the store.
        incident_ids: the present id of the incident and its former ids.

    Returns:
        {"at", "action", "name", "reason"} for each entry; "at" is in RFC 3339.
    """
    e = schema.incident_event.c
    return [
        {"at": format_rfc3339(row.at), "action": row.action, "name": row.name, "reason": row.reason}
        for row in _event_rows(connection, incident_ids, e.at, e.name, e.reason)
    ]


def ids_with_events(connection: Connection) -> set[str]:
    """Return the ids of the incidents that have an entry in the history of decisions."""
    return set(connection.scalars(sa.select(schema.incident_event.c.incident_id).distinct()))


def read_decisions(connection: Connection) -> list[Decision]:
    """Return every split and merge of incidents that a person decided, oldest first."""
    e = schema.incident_event.c
    query = sa.select(e.action, e.alerts).where(e.action.in_(("split", "merge"))).order_by(e.event_no)
    found: list[Decision] = []
    for action, text in connection.execute(query):
        alerts = json.loads(text)
        found.append(Split(frozenset(alerts)) if action == "split" else Merge(alerts[0], alerts[1]))
    return found


def last_resolved(connection: Connection, incident_ids: Iterable[str]) -> set[str]:
    """Return the ids of the alerts that the last decision `resolve` about an incident resolved.

    Args:
        connection: reads the store.
        incident_ids: the present id of the incident and its former ids.

    Returns:
        The ids; an empty set if the incident was never resolved.
    """
    rows = _event_rows(connection, incident_ids, schema.incident_event.c.alerts)
    found = [row.alerts for row in rows if row.action == "resolve"]
    return set(json.loads(found[-1])) if found else set()


def _event_rows(
    connection: Connection, incident_ids: Iterable[str], *columns: sa.ColumnElement[Any]
) -> list[sa.Row[Any]]:
    """Return the rows of the history of an incident, oldest first.

    The ids are queried in parts, because an incident has about one former id for each alert.
    """
    e, ids = schema.incident_event.c, sorted(set(incident_ids))
    rows: list[sa.Row[Any]] = []
    for start in range(0, len(ids), dialect.CHUNK):
        chosen = e.incident_id.in_(ids[start : start + dialect.CHUNK])
        rows += connection.execute(sa.select(e.event_no, e.action, *columns).where(chosen))
    return sorted(rows, key=lambda row: int(row.event_no))


def incident_of(connection: Connection, alert_id: str) -> str:
    """Return the id of the incident that contains an alert.

    Raises:
        StopIteration: no stored incident contains the alert.
    """
    return next(str(one["id"]) for one in read_public(connection) if alert_id in one["alert_ids"])
