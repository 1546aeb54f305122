"""Applies decisions of people about a whole incident: its state, its exclusions, splits, merges and notes.

`restore` undoes only what `exclude` did. Votes that the policy auto-voter/1 leaves out stay left out until the incident
is resolved. `split` and `merge` undo each other. Each decision adds one entry to the incident's history and at least
one row to the operators' log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.incident_text import count
from pipeline.jobs import moderation
from pipeline.open_store import now
from pipeline.store.alerting import alert_lifecycle, alert_queries, incident_table, operators_log
from pipeline.store.alerting.incident_grouping import regroup
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import exclusion_list, voter_labels
from pipeline.store.boards.exclusion_effect import ExclusionTarget
from pipeline.store.votes import closed_windows

STATE_ACTIONS = tuple(moderation.ALERT_SCOPES)
_NEXT = {"ack": "acknowledged", "snooze": "snoozed", "appeal": "appealed", "resolve": "resolved", "reopen": "open"}

Cause = tuple[ExclusionTarget, str | None]


def find_incident(connection: Connection, given: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find an incident by its id, and return its public form and the facts for operators only.

    Args:
        connection: a connection to the store.
        given: the id, a former id, or a beginning of either that belongs to only one incident.

    Returns:
        Two dictionaries: the public form of the incident with its history, and the facts that only operators may read.

    Raises:
        Usage: no incident has such an id, or several have.
    """
    incident_id = incident_table.resolve_id(connection, given)
    (found,) = (one for one in incident_table.read_all(connection) if one.incident_id == incident_id)
    history = incident_table.read_events(connection, [incident_id, *found.body["former_ids"]])
    return {**found.body, "history": history}, found.private


def change_state(
    connection: Connection, given: str, action: str, operator: Operator, reason: str, hours: float | None = None
) -> dict[str, Any]:
    """Acknowledge, snooze, appeal, resolve or reopen all alerts of an incident, and group all alerts anew.

    Resolved alerts, and alerts that already have the new state, stay as they are. There are two exceptions: `snooze`
    gives alerts that are already snoozed the new end, and `reopen` reopens the alerts that the last `resolve` of the
    incident resolved.

    Args:
        connection: a write transaction.
        given: id of the incident, as for `find_incident`.
        action: one of STATE_ACTIONS.
        operator: the person who decides.
        reason: reason of the decision.
        hours: duration of a snooze; None to snooze until the next action of a person.

    Returns:
        {"incident", "state", "alerts", "next_refresh", "done"}. "alerts" is the number of alerts that were changed; the
        other keys are as in `moderation.change_alert_state`.

    Raises:
        Usage: no alert can be changed by the action, there is no such incident, or `hours` is out of range.
    """
    incident, _ = find_incident(connection, given)
    changed = changeable(connection, incident, action)
    if not changed:
        one_by_one = "; alerts that were resolved one by one are reopened by `integrity alerts reopen ID`"
        hint = one_by_one if action == "reopen" else ""
        raise Usage(
            f"incident {incident['id']}: no alert of it can be changed by {action}; it is {incident['state']}{hint}"
        )
    effect = moderation.change_alert_states(connection, changed, action, operator, reason, incident["id"], hours)
    _record(connection, incident["id"], action, operator, reason, changed, log=False)
    regroup(connection)
    return {
        "incident": incident["id"],
        "state": _NEXT[action],
        "alerts": len(changed),
        "next_refresh": asdict(effect),
        "done": f"incident {incident['id']} is {_NEXT[action]} ({count(len(changed), 'alert')}): {effect}",
    }


def exclusion_targets(connection: Connection, given: str, action: str) -> list[Cause]:
    """Return what `exclude` or `restore` of an incident would change, as (target, id of the alert behind it).

    `exclude` changes the accounts and the suspected accounts of the incident. If it has no account, `exclude` changes
    the suspected ones, and the votes of the first alert whose votes are not left out yet. `restore` changes everything
    that people excluded because of the incident's alerts.

    Args:
        connection: a connection to the store.
        given: id of the incident, as for `find_incident`.
        action: "exclude" or "restore".

    Raises:
        Usage: there is nothing to exclude or restore, or there is no such incident.
    """
    incident, private = find_incident(connection, given)
    if action == "restore":
        found = _excluded_by_people(connection, incident)
        if not found:
            policies = "; after `resolve`, what a policy leaves out counts again at the next refresh"
            raise Usage(f"incident {incident['id']}: nobody excluded votes because of one of its alerts{policies}")
        return found
    possible = _causes(connection, incident, private)
    if not possible:
        raise Usage(f"incident {incident['id']}: its alerts are about no votes that could be left out")
    expected = moderation.expected_exclusions(connection)
    found = [one for one in possible if one[0] not in expected]
    if not found:
        raise Usage(f"incident {incident['id']}: its votes are left out already, or will be at the next refresh")
    selections = [one for one in found if one[0][0] != "voter"]
    return [one for one in found if one[0][0] == "voter" or one is selections[0]]


def change_exclusions(
    connection: Connection, given: str, action: str, operator: Operator, reason: str
) -> dict[str, Any]:
    """Exclude or restore the votes of an incident by one decision. All alerts are grouped into incidents anew.

    Args:
        connection: a write transaction.
        given: id of the incident, as for `find_incident`.
        action: "exclude" or "restore"; `exclusion_targets` states what each of them changes.
        operator: the person who decides.
        reason: reason of the decision.

    Returns:
        {"incident", "action", "targets", "next_refresh", "done"}. "targets" is the number of accounts and selections of
        votes that were changed.

    Raises:
        Usage: there is nothing to change, the reason is missing, or there is no such incident.
    """
    targets = exclusion_targets(connection, given, action)
    before, _ = find_incident(connection, given)
    incident_id = before["id"]
    effect = moderation.change_exclusions(connection, action, targets, operator, reason, incident_id)
    _record(connection, incident_id, action, operator, reason, log=False)
    regroup(connection)
    text = f"incident {incident_id}: {action}d {len(targets)} of its accounts and selections: {effect}"
    if action == "exclude" and before["votes_left_out"] and not before["awaits_refresh"]:
        text += f"; {before['votes_left_out']:,} of its votes are left out now"
    return {
        "incident": incident_id,
        "action": action,
        "targets": len(targets),
        "next_refresh": asdict(effect),
        "done": text,
    }


def split(connection: Connection, given: str, alerts: Sequence[str], operator: Operator, reason: str) -> dict[str, Any]:
    """Move some alerts of an incident to a new incident. All alerts are grouped into incidents anew.

    Args:
        connection: a write transaction.
        given: id of the incident, as for `find_incident`.
        alerts: ids of the alerts.
        operator: the person who decides.
        reason: reason of the decision.

    Returns:
        {"incident", "rest", "done"}: the id of the incident that has these alerts, the id of the incident that has the
        other alerts, and a sentence that says what was done.

    Raises:
        Usage: an alert does not belong to the incident, or `alerts` names none or all of its alerts.
    """
    incident, _ = find_incident(connection, given)
    strange = sorted(set(alerts) - set(incident["alert_ids"]))
    if strange:
        raise Usage(f"incident {incident['id']}: expected ids of its alerts, got {strange[0]!r}")
    if not alerts or len(set(alerts)) == len(incident["alert_ids"]):
        total = count(incident["alerts"], "alert")
        raise Usage(f"incident {incident['id']}: expected some of its {total}, got {len(set(alerts))}")
    _record(connection, incident["id"], "split", operator, reason, sorted(set(alerts)))
    regroup(connection)
    rest = next(one for one in incident["alert_ids"] if one not in alerts)
    out, left = (incident_table.incident_of(connection, one) for one in (alerts[0], rest))
    moved = f"{count(len(set(alerts)), 'alert')} of incident {incident['id']}"
    return {"incident": out, "rest": left, "done": f"{moved} are incident {out} now, the others incident {left}"}


def merge(connection: Connection, given: str, other: str, operator: Operator, reason: str) -> dict[str, Any]:
    """Merge two incidents into one. All alerts are grouped into incidents anew.

    Args:
        connection: a write transaction.
        given, other: ids of the two incidents, as for `find_incident`.
        operator: the person who decides.
        reason: reason of the decision.

    Returns:
        {"incident", "done"}. "incident" is the id that the first incident had, by which the merged incident is found.
        "done" is a sentence that says what was done.

    Raises:
        Usage: both ids belong to the same incident, or there is no such incident.
    """
    (one, _), (two, _) = find_incident(connection, given), find_incident(connection, other)
    if one["id"] == two["id"]:
        raise Usage(f"expected two incidents, got {one['id']} twice")
    _record(connection, one["id"], "merge", operator, reason, [one["alert_ids"][0], two["alert_ids"][0]])
    regroup(connection)
    return {"incident": one["id"], "done": f"incidents {one['id']} and {two['id']} are one"}


def add_note(connection: Connection, given: str, operator: Operator, text: str) -> dict[str, Any]:
    """Add a note of a person to an incident.

    Args:
        connection: a write transaction.
        given: id of the incident, as for `find_incident`.
        operator: the person who writes the note.
        text: the note.

    Returns:
        {"incident", "done"}: the id of the incident, and a sentence that says what was done.

    Raises:
        Usage: the note is empty.
    """
    if not text.strip():
        raise Usage("expected the text of the note in --reason, got none")
    incident_id = incident_table.resolve_id(connection, given)
    _record(connection, incident_id, "note", operator, text)
    return {"incident": incident_id, "done": f"noted on incident {incident_id}"}


def changeable(connection: Connection, incident: Mapping[str, Any], action: str) -> list[str]:
    """Return the ids of the alerts of an incident that an action would change. `action` is one of STATE_ACTIONS."""
    state = {one: alert_lifecycle.read_state(connection, one)["state"] for one in incident["alert_ids"]}
    if action == "reopen":
        ids = [incident["id"], *incident["former_ids"]]
        last = incident_table.last_resolved(connection, ids)
        return [one for one in incident["alert_ids"] if one in last and state[one] == "resolved"]
    kept = {"resolved"} if action == "snooze" else {"resolved", _NEXT[action]}
    return [one for one, now_ in state.items() if now_ not in kept]


def _excluded_by_people(connection: Connection, incident: Mapping[str, Any]) -> list[Cause]:
    """Return the exclusions in force that a person decided because of an alert of the incident, sorted."""
    mine = set(incident["alert_ids"])
    return [
        ((one.kind, one.target), one.alert_id)
        for one in exclusion_list.read_active(connection)
        if one.alert_id in mine and one.name not in exclusion_list.POLICIES
    ]


def _causes(connection: Connection, incident: Mapping[str, Any], private: Mapping[str, Any]) -> list[Cause]:
    """Return what an operator can exclude in an incident, each with the alert that is recorded as the cause.

    First its accounts that are not erased, or if there are none, its alerts' vote selections; then suspected accounts.
    """
    alerts = alert_queries.read_alerts(connection, incident["alert_ids"])
    first = {alert["subject"]["id"]: alert["id"] for alert in reversed(alerts)}
    shared = next((first[one["name"]] for one in incident["about"] if one["name"] in first), alerts[0]["id"])
    found: dict[ExclusionTarget, str | None] = {
        ("voter", voter): first.get(voter, shared) for voter in private["voters"] if not voter_labels.is_label(voter)
    }
    closed, about = closed_windows.closed_until(connection), incident["about"][0]
    # Those of what the incident is about come before those of side effects.
    for alert in () if found else sorted(alerts, key=lambda one: one["subject"]["id"] != about["name"]):
        try:
            selected = alert_queries.select_votes(alert_queries.with_end(alert, closed))
        except (Usage, KeyError):
            continue
        found.setdefault(("votes", str(selected)), alert["id"])
    return [*found.items(), *((("voter", voter), shared) for voter in private["suspects"]["e_values"])]


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
    why = voter_labels.without_names(connection, reason)
    incident_table.add_event(connection, incident_id, action, operator.name, why, now(), alerts)
    if log:
        operators_log.record(connection, operator, f"incident.{action}", incident_id, now(), reason=why)
