"""Opens, escalates and clears alerts, and changes their states.

An escalation stores stronger evidence for an open alert. Every change of state and every escalation adds a dated entry,
with a name and a reason, to the history of the alert. No entry is ever changed or removed.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.scoring.signals import AlertSignal, ClearedSignal, Signal
from pipeline.store.alerting.alert_queries import format_evidence, source_partition, unknown_alert
from pipeline.store.boards import voter_labels
from pipeline.store.db import schema

_STATES = {
    "ack": "acknowledged",
    "snooze": "snoozed",
    "appeal": "appealed",
    "resolve": "resolved",
    "reopen": "open",
}


def record_signals(
    connection: Connection, signals: Iterable[Signal], names: Mapping[int, str], now: int
) -> list[str | None]:
    """Open, escalate or clear alerts as the signals of detectors state, in the order of the signals.

    Args:
        connection: the transaction.
        signals: the signals, in the order of emission.
        names: model number (model_no) → name of the model. Names replace the numbers in the stored evidence.
        now: present time in microseconds since 1970 UTC.

    Returns:
        One value for each signal: the id of the alert that was opened, escalated or cleared. The value is None if a
        signal should clear an alert that is already resolved.
    """
    ids: list[str | None] = []
    for signal in signals:
        if isinstance(signal, AlertSignal):
            ids += open_alerts(connection, [signal], names, now)
        else:
            ids.append(_clear(connection, signal, now))
    return ids


def open_alerts(
    connection: Connection, signals: Iterable[AlertSignal], names: Mapping[int, str], now: int
) -> list[str]:
    """Open, escalate or reopen an alert for each signal.

    An unresolved alert with the detector, subject and direction of the signal is escalated: it gets the severity,
    level, e-value and evidence of the signal. If there is none, the alert with the id of the signal is opened. It is
    reopened if it is stored as resolved. A snoozed alert stays snoozed, unless its severity rises from warning to
    critical.

    The id of an alert is a hash over, among others, the source's number of the partition. The store's number is not
    used, because it depends on the order in which workers claimed the partitions.

    Args:
        connection: the transaction.
        signals: the signals, in the order of emission.
        names: model number (model_no) → name of the model. Names replace the numbers in the stored evidence.
        now: present time in microseconds since 1970 UTC.

    Returns:
        One id for each signal: that of the alert that was opened, reopened or escalated.
    """
    ids = []
    for signal in signals:
        evidence = json.dumps(format_evidence(connection, signal.evidence, names), sort_keys=True)
        alert_id = replace(signal, partition=source_partition(connection, signal.partition)).alert_id
        current, action = _unresolved(connection, signal), "escalated"
        if current is None:
            current, action = alert_id, "reopened"
        values = {"severity": signal.severity, "level": signal.level, "e_value": signal.e_value, "evidence": evidence}
        if action == "reopened" or _wakes(connection, current, signal):
            values |= {"state": "open", "snoozed_until": None, "over_at": None}
        moved = connection.execute(sa.update(schema.alert).where(schema.alert.c.alert_id == current).values(**values))
        if not moved.rowcount:
            connection.execute(schema.alert.insert(), _alert_row(signal, alert_id, evidence))
            action = "opened"
        e_value = "none: a fact" if signal.e_value is None else f"{signal.e_value:.3g}"
        _log(connection, current, now, action, signal.detector, f"e-value {e_value}")
        ids.append(current)
    return ids


def _clear(connection: Connection, signal: ClearedSignal, now: int) -> str | None:
    current = _unresolved(connection, signal)
    if current is None:
        return None
    connection.execute(
        sa.update(schema.alert)
        .where(schema.alert.c.alert_id == current)
        .values(state="resolved", snoozed_until=None, over_at=signal.at)
    )
    _log(connection, current, now, "cleared", signal.detector, signal.reason)
    return current


def end_snoozes(connection: Connection, now: int) -> int:
    """Change the state of an alert from snoozed to open, for every alert whose snooze is over.

    Args:
        connection: the transaction.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The number of alerts whose state changed.
    """
    c = schema.alert.c
    ended = list(connection.scalars(sa.select(c.alert_id).where(c.state == "snoozed", c.snoozed_until <= now)))
    for alert_id in ended:
        connection.execute(
            sa.update(schema.alert).where(c.alert_id == alert_id).values(state="open", snoozed_until=None)
        )
        _log(connection, alert_id, now, "woke", "the clock", "the snooze is over")
    return len(ended)


def change_state(
    connection: Connection, alert_id: str, action: str, name: str, reason: str, now: int, until: int | None = None
) -> str:
    """Change the state of an alert as a person decided.

    Args:
        connection: the transaction.
        alert_id: id of the alert.
        action: ack, snooze, appeal, resolve or reopen.
        name: the person who decides.
        reason: reason of the decision. It is stored with labels in place of voters' pseudonyms.
        now: present time in microseconds since 1970 UTC.
        until: end of a snooze in microseconds since 1970 UTC; None for a snooze without an end. Only the action snooze
            uses it.

    Returns:
        The new state.

    Raises:
        UnknownAlert: no alert has this id.
        Usage: the alert is resolved, and the action is neither resolve nor reopen.
    """
    state = _STATES[action]
    before = read_state(connection, alert_id)["state"]
    if before == "resolved" and action not in {"resolve", "reopen"}:
        raise Usage(f"expected an alert that is not resolved, got {alert_id}: `integrity alerts reopen` opens it again")
    values = {"state": state, "snoozed_until": until if state == "snoozed" else None}
    connection.execute(sa.update(schema.alert).where(schema.alert.c.alert_id == alert_id).values(**values))
    _log(connection, alert_id, now, action, name, voter_labels.without_voters(connection, reason))
    return state


def read_state(connection: Connection, alert_id: str) -> dict[str, Any]:
    """Read the state of an alert, and lock its row until the end of the transaction.

    Returns:
        {"state", "snoozed_until"}. "snoozed_until" is in microseconds since 1970 UTC, None if no end of a snooze is
        set.

    Raises:
        UnknownAlert: no alert has this id.
    """
    a = schema.alert.c
    query = sa.select(a.state, a.snoozed_until).where(a.alert_id == alert_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise unknown_alert(alert_id)
    return dict(row)


def _unresolved(connection: Connection, signal: Signal) -> str | None:
    c = schema.alert.c
    return connection.scalar(
        sa.select(c.alert_id).where(
            c.detector == signal.detector,
            c.subject == signal.subject,
            c.direction == signal.direction,
            c.state != "resolved",
        )
    )


def _wakes(connection: Connection, alert_id: str, signal: AlertSignal) -> bool:
    """Return whether a signal ends an alert's snooze: only a critical signal for a warning does."""
    c = schema.alert.c
    row = connection.execute(sa.select(c.state, c.severity).where(c.alert_id == alert_id)).one_or_none()
    return row is not None and tuple(row) == ("snoozed", "warning") and signal.severity == "critical"


def _alert_row(signal: AlertSignal, alert_id: str, evidence: str) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "detector": signal.detector,
        "severity": signal.severity,
        "subject_kind": signal.subject_kind,
        "subject": signal.subject,
        "direction": signal.direction,
        "state": "open",
        "opened_at": signal.at,
        "partition_no": signal.partition,
        "offset": signal.offset,
        "level": signal.level,
        "e_value": signal.e_value,
        "evidence": evidence,
        "label": voter_labels.new_label() if signal.subject_kind == "voter" else None,
    }


def _log(connection: Connection, alert_id: str, now: int, action: str, name: str, reason: str) -> None:
    connection.execute(
        schema.alert_event.insert(),
        {"alert_id": alert_id, "at": now, "action": action, "name": name, "reason": reason},
    )
