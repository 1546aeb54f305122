"""Alerts and what became of them.

Law: what a detector said is never changed or deleted. An alert goes from state to state by dated
entries with a name and a reason; more evidence for an alert that is open is told as an escalation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.alerts import Raised, UnknownAlert
from pipeline.events.batch import instant
from pipeline.store import schema

_ACTIONS = {
    "ack": "acknowledged",
    "snooze": "snoozed",
    "appeal": "appealed",
    "resolve": "resolved",
    "reopen": "open",
}


def write(connection: Connection, raised: Iterable[Raised], names: Mapping[int, str], now: int) -> list[str]:
    """Open alerts, or tell of more evidence for those that are open.

    Args:
        raised: what detectors said, in order.
        names: model number → name, for the numbers in the evidence.
        now: wall clock in microseconds.

    Returns:
        The id of the alert that each one opened or escalated.
    """
    ids = []
    for r in raised:
        evidence = json.dumps(_named(r.evidence, names), sort_keys=True)
        current = _current(connection, r)
        if current is None:
            connection.execute(schema.alert.insert(), _row(r, evidence))
            _log(connection, r.alert_id, now, "opened", r.detector, f"e-value {_shown(r.e_value)}")
            ids.append(r.alert_id)
        else:
            connection.execute(
                sa.update(schema.alert)
                .where(schema.alert.c.alert_id == current)
                .values(severity=r.severity, level=r.level, e_value=r.e_value, evidence=evidence)
            )
            _log(connection, current, now, "escalated", r.detector, f"e-value {_shown(r.e_value)}")
            ids.append(current)
    return ids


def listed(connection: Connection, state: str | None = None) -> list[dict[str, Any]]:
    """Alerts, newest first, as `integrity alerts --json` shows them."""
    c = schema.alert.c
    query = sa.select(schema.alert).order_by(c.opened_at.desc(), c.alert_id)
    if state is not None:
        query = query.where(c.state == state)
    return [_shown_alert(dict(row)) for row in connection.execute(query).mappings()]


def one(connection: Connection, alert_id: str) -> dict[str, Any]:
    """One alert with its history.

    Raises:
        UnknownAlert: there is none of this id.
    """
    row = (
        connection.execute(sa.select(schema.alert).where(schema.alert.c.alert_id == alert_id)).mappings().one_or_none()
    )
    if row is None:
        raise UnknownAlert(f"expected the id of an alert, got {alert_id!r}: `integrity alerts` lists them")
    e = schema.alert_event.c
    history = connection.execute(
        sa.select(e.at, e.action, e.name, e.reason).where(e.alert_id == alert_id).order_by(e.event_no)
    )
    return {
        **_shown_alert(dict(row)),
        "partition": row["partition_no"],
        "offset": row["offset"],
        "history": [{**h, "at": _text(h["at"])} for h in history.mappings()],
    }


def move(connection: Connection, alert_id: str, action: str, name: str, reason: str, now: int) -> str:
    """Take an alert to another state, by somebody's hand.

    Returns:
        The new state.
    """
    one(connection, alert_id)
    state = _ACTIONS[action]
    connection.execute(sa.update(schema.alert).where(schema.alert.c.alert_id == alert_id).values(state=state))
    _log(connection, alert_id, now, action, name, reason)
    return state


def _current(connection: Connection, r: Raised) -> str | None:
    c = schema.alert.c
    return connection.scalar(
        sa.select(c.alert_id).where(
            c.detector == r.detector,
            c.subject == r.subject,
            c.direction == r.direction,
            c.state != "resolved",
        )
    )


def _row(r: Raised, evidence: str) -> dict[str, Any]:
    return {
        "alert_id": r.alert_id,
        "detector": r.detector,
        "severity": r.severity,
        "subject_kind": r.subject_kind,
        "subject": r.subject,
        "direction": r.direction,
        "state": "open",
        "opened_at": r.at,
        "partition_no": r.partition,
        "offset": r.offset,
        "level": r.level,
        "e_value": r.e_value,
        "evidence": evidence,
    }


def _named(evidence: Any, names: Mapping[int, str]) -> Any:
    if isinstance(evidence, Mapping):
        return {
            key: names.get(value, str(value)) if key == "model" and isinstance(value, int) else _named(value, names)
            for key, value in evidence.items()
        }
    if isinstance(evidence, list | tuple):
        return [_named(item, names) for item in evidence]
    return evidence


def _log(connection: Connection, alert_id: str, now: int, action: str, name: str, reason: str) -> None:
    connection.execute(
        schema.alert_event.insert(),
        {"alert_id": alert_id, "at": now, "action": action, "name": name, "reason": reason},
    )


def _shown_alert(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["alert_id"],
        "detector": row["detector"],
        "severity": row["severity"],
        "subject": {"kind": row["subject_kind"], "id": row["subject"]},
        "direction": row["direction"],
        "state": row["state"],
        "opened_at": _text(row["opened_at"]),
        "e_value": row["e_value"],
        "evidence": json.loads(row["evidence"]),
    }


def _text(time: int) -> str:
    return instant(time).isoformat().replace("+00:00", "Z")


def _shown(e_value: float | None) -> str:
    return "none: a fact" if e_value is None else f"{e_value:.3g}"
