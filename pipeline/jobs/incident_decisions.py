"""Decisions of people about a whole incident: its state, its exclusions, splits, merges and notes.

Laws: `restore` undoes what `exclude` did, and nothing else: what the policy auto-voter/1 leaves out stays left out
until the incident is resolved. `split` and `merge` undo each other. Each decision is one entry of the incident's
history and at least one row of the operators' log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.jobs import moderation
from pipeline.open_store import now
from pipeline.store.alerting import alert_lifecycle, alert_queries, incident_table, operators_log
from pipeline.store.alerting.incident_grouping import regroup
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import exclusion_list, voter_labels
from pipeline.store.boards.exclusion_effect import ExclusionTarget

STATE_ACTIONS = tuple(moderation.ALERT_SCOPES)
_NEXT = {"ack": "acknowledged", "snooze": "snoozed", "appeal": "appealed", "resolve": "resolved", "reopen": "open"}

Cause = tuple[ExclusionTarget, str | None]


def find_incident(connection: Connection, given: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an incident with its history and alerts, in the public form, and its form for operators.

    Args:
        connection: a connection to the store.
        given: an id, a former id, or the unique beginning of one.

    Raises:
        Usage: no incident or several have it.
    """
    incident_id = incident_table.resolve_id(connection, given)
    (found,) = (one for one in incident_table.read_all(connection) if one.incident_id == incident_id)
    history = incident_table.read_events(connection, [incident_id, *found.body["former_ids"]])
    return {**found.body, "history": history}, found.private


def change_state(
    connection: Connection, given: str, action: str, operator: Operator, reason: str, hours: float | None = None
) -> dict[str, Any]:
    """Acknowledge, snooze, appeal, resolve or reopen all alerts of an incident.

    Alerts that have the state already, and resolved ones unless they are reopened, stay as they are.

    Returns:
        {"incident", "state", "alerts": number changed, "next_refresh", "done"}, as `moderation.change_alert_state`.
    """
    incident, _ = find_incident(connection, given)
    changed = []
    for alert_id in incident["alert_ids"]:
        state = alert_lifecycle.read_state(connection, alert_id)["state"]
        if state != _NEXT[action] and (state != "resolved" or action == "reopen"):
            changed.append(alert_id)
    if not changed:
        raise Usage(f"incident {incident['id']}: no alert of it can be changed by {action}; it is {incident['state']}")
    effect = moderation.change_alert_states(connection, changed, action, operator, reason, incident["id"], hours)
    _record(connection, incident["id"], action, operator, reason, log=False)
    regroup(connection)
    return {
        "incident": incident["id"],
        "state": _NEXT[action],
        "alerts": len(changed),
        "next_refresh": asdict(effect),
        "done": f"incident {incident['id']} is {_NEXT[action]} ({len(changed)} alerts): {effect}",
    }


def exclusion_targets(connection: Connection, given: str, action: str) -> list[Cause]:
    """Return what `exclude` or `restore` of an incident would change, each with the alert that is its cause.

    `exclude` is about the accounts that its alerts name, or, if they name none, about the votes of its first alert
    with votes. `restore` is about what people have excluded of that.

    Raises:
        Usage: there is nothing to exclude or restore.
    """
    incident, _ = find_incident(connection, given)
    active = {(one.kind, one.target): one.name for one in exclusion_list.read_active(connection)}
    if action == "restore":
        by_people = [one for one in _causes(connection, incident, active) if _is_by_person(active.get(one[0]))]
        if not by_people:
            raise Usage(
                f"incident {incident['id']}: nobody excluded votes of it by hand; `resolve` ends what the policy does"
            )
        return by_people
    found = [one for one in _causes(connection, incident, active) if one[0] not in active]
    if not found:
        raise Usage(
            f"incident {incident['id']}: expected votes that can be left out, got none that are not left out already"
        )
    return found


def change_exclusions(
    connection: Connection, given: str, action: str, operator: Operator, reason: str
) -> dict[str, Any]:
    """Exclude or restore the votes of an incident by one decision.

    Returns:
        {"incident", "action", "targets": number, "next_refresh", "done"}.

    Raises:
        Usage: there is nothing to change, or the reason is missing.
    """
    targets = exclusion_targets(connection, given, action)
    incident_id = incident_table.resolve_id(connection, given)
    effect = moderation.change_exclusions(connection, action, targets, operator, reason, incident_id)
    _record(connection, incident_id, action, operator, reason, log=False)
    regroup(connection)
    text = f"incident {incident_id}: {action}d {len(targets)} of its accounts and selections: {effect}"
    return {
        "incident": incident_id,
        "action": action,
        "targets": len(targets),
        "next_refresh": asdict(effect),
        "done": text,
    }


def split(connection: Connection, given: str, alerts: Sequence[str], operator: Operator, reason: str) -> dict[str, Any]:
    """Make some alerts of an incident an incident of their own.

    Raises:
        Usage: an alert is not of the incident, or none or all of its alerts are given.
    """
    incident, _ = find_incident(connection, given)
    strange = sorted(set(alerts) - set(incident["alert_ids"]))
    if strange:
        raise Usage(f"incident {incident['id']}: expected ids of its alerts, got {strange[0]!r}")
    if not alerts or len(set(alerts)) == len(incident["alert_ids"]):
        raise Usage(
            f"incident {incident['id']}: expected some of its {incident['alerts']} alerts, got {len(set(alerts))}"
        )
    _record(connection, incident["id"], "split", operator, reason, sorted(set(alerts)))
    regroup(connection)
    return {
        "incident": incident["id"],
        "done": f"{len(set(alerts))} alerts of incident {incident['id']} are one of their own",
    }


def merge(connection: Connection, given: str, other: str, operator: Operator, reason: str) -> dict[str, Any]:
    """Make two incidents one.

    Raises:
        Usage: both names are of the same incident.
    """
    (one, _), (two, _) = find_incident(connection, given), find_incident(connection, other)
    if one["id"] == two["id"]:
        raise Usage(f"expected two incidents, got {one['id']} twice")
    _record(connection, one["id"], "merge", operator, reason, [one["alert_ids"][0], two["alert_ids"][0]])
    regroup(connection)
    return {"incident": one["id"], "done": f"incidents {one['id']} and {two['id']} are one"}


def add_note(connection: Connection, given: str, operator: Operator, text: str) -> dict[str, Any]:
    """Add a note of a person to an incident.

    Raises:
        Usage: the note is empty.
    """
    if not text.strip():
        raise Usage("expected the text of the note in --reason, got none")
    incident_id = incident_table.resolve_id(connection, given)
    _record(connection, incident_id, "note", operator, text)
    return {"incident": incident_id, "done": f"noted on incident {incident_id}"}


def _causes(connection: Connection, incident: Mapping[str, Any], active: Mapping[ExclusionTarget, str]) -> list[Cause]:
    """Return the accounts of an incident, and the selections of votes that are or can be excluded."""
    alerts = alert_queries.read_alerts(connection, incident["alert_ids"])
    found: dict[ExclusionTarget, str | None] = {}
    for alert in alerts:
        subject = alert["subject"]
        if subject["kind"] == "voter" and not voter_labels.is_label(subject["id"]):
            found.setdefault(("voter", subject["id"]), alert["id"])
    selections = dict(_selections(connection, incident["alert_ids"], active))
    if found or selections:
        return [*found.items(), *selections.items()]
    for alert in alerts:
        try:
            selected = alert_queries.select_votes(alert_queries.find_alert(connection, alert["id"]))
        except Usage:
            continue
        return [(("votes", str(selected)), alert["id"])]
    return []


def _selections(
    connection: Connection, alert_ids: Sequence[str], active: Mapping[ExclusionTarget, str]
) -> Iterator[Cause]:
    """Yield the selections of votes that are left out because of these alerts."""
    for alert_id, targets in exclusion_list.read_targets_by_alert(connection).items():
        if alert_id in alert_ids:
            yield from ((("votes", one), alert_id) for one in sorted(targets) if ("votes", one) in active)


def _is_by_person(name: str | None) -> bool:
    return name is not None and name != exclusion_list.AUTO_VOTER


def _record(
    connection: Connection,
    incident_id: str,
    action: str,
    operator: Operator,
    reason: str,
    alerts: Sequence[str] | None = None,
    *,
    log: bool = True,
) -> None:
    why = voter_labels.without_voters(connection, reason)
    incident_table.add_event(connection, incident_id, action, operator.name, why, now(), alerts)
    if log:
        operators_log.record(connection, operator, f"incident.{action}", incident_id, now(), reason=why)
