"""Carries out decisions of people about alerts and votes. The CLI and the API use this module.

A decision and its row in the operators' log are written in one transaction. The result of a decision states how many
votes the next refresh will count more or fewer than before. A target that does not exist raises an error.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import Usage
from pipeline.jobs.moderation_targets import active_targets, find_targets
from pipeline.jobs.refresh.board_method import stated_method
from pipeline.open_store import now
from pipeline.store.alerting import alert_lifecycle, operators_log
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import exclusion_effect, exclusion_list, snapshots, voter_labels
from pipeline.store.boards.exclusion_effect import ExclusionTarget, NextRefresh
from pipeline.vocabulary.method_rules import rule_mask

# The longest snooze: a year.
_MAX_HOURS = 24 * 366
ALERT_SCOPES = {
    "ack": ("alerts",),
    "snooze": ("alerts",),
    "appeal": ("alerts",),
    "resolve": ("alerts", "exclusions"),
    "reopen": ("alerts", "exclusions"),
}
"""Action on an alert → the scopes that an API token needs for it."""


def change_alert_state(
    connection: Connection, alert_id: str, action: str, operator: Operator, reason: str, hours: float | None = None
) -> dict[str, Any]:
    """Acknowledge, snooze, appeal, resolve or reopen an alert.

    Args:
        connection: a write transaction.
        alert_id: id of the alert.
        action: one of ALERT_SCOPES.
        operator, reason: the person who decides, and why.
        hours: duration of a snooze; None to snooze until the next action of a person.

    Returns:
        {"alert", "state", "next_refresh": {"votes_in", "votes_out"}, "done"}. "votes_in" is the number of votes that
        the next refresh will count again, "votes_out" the number that it will no longer count. "done" is a sentence
        that says what was done.

    Raises:
        UnknownAlert: no alert has this id.
        Usage: the alert is resolved and the action is neither `resolve` nor `reopen`, or `hours` is out of range.
    """
    expect_hours(hours)
    until = now() + round(hours * 3.6e9) if action == "snooze" and hours is not None else None
    before, expected = alert_lifecycle.read_state(connection, alert_id), expected_exclusions(connection)
    reason = voter_labels.without_codenames(connection, reason, alert_id)
    state = alert_lifecycle.change_state(connection, alert_id, action, operator.name, reason, now(), until)
    effect = exclusion_effect.count_change(connection, expected, expected_exclusions(connection), _left_out(connection))
    after = {"state": state, "snoozed_until": until, **asdict(effect)}
    why = voter_labels.without_voters(connection, voter_labels.hide(connection, reason, alert_id))
    operators_log.record(
        connection, operator, f"alert.{action}", alert_id, now(), reason=why, before=before, after=after
    )
    for_long = f" for {hours:g} hours" if until is not None else ""
    done = f"{alert_id} is {state}{for_long}: {effect}{_kept(connection, alert_id, action)}"
    return {"alert": alert_id, "state": state, "next_refresh": asdict(effect), "done": done}


def expect_hours(hours: float | None) -> None:
    """Raise `Usage` if `hours`, the duration of a snooze, is out of range. None is in range."""
    if hours is not None and not 0 < hours <= _MAX_HOURS:
        raise Usage(f"hours: expected a number above 0 and up to {_MAX_HOURS:,}, got {hours:g}")


def change_alert_states(
    connection: Connection,
    alert_ids: Sequence[str],
    action: str,
    operator: Operator,
    reason: str,
    about: str,
    hours: float | None = None,
) -> NextRefresh:
    """Change the states of many alerts by one decision. The operators' log gets one row for all of them.

    Args:
        connection: a connection to the store.
        alert_ids: ids of alerts whose states the action can change.
        action: one of ALERT_SCOPES.
        operator, reason: the person who decides, and why.
        hours: duration of a snooze; None to snooze until the next action of a person.
        about: the id of the incident, for the operators' log.

    Returns:
        The numbers of votes that go into and out of the defended view at the next refresh.

    Raises:
        Usage: `hours` is out of range.
    """
    expect_hours(hours)
    until = now() + round(hours * 3.6e9) if action == "snooze" and hours is not None else None
    expected = expected_exclusions(connection)
    before = {one: alert_lifecycle.read_state(connection, one)["state"] for one in alert_ids}
    reason = voter_labels.without_codenames(connection, reason)
    for one in alert_ids:
        alert_lifecycle.change_state(connection, one, action, operator.name, reason, now(), until)
    effect = exclusion_effect.count_change(connection, expected, expected_exclusions(connection), _left_out(connection))
    why = voter_labels.without_voters(connection, reason)
    after = {"alerts": len(alert_ids), "snoozed_until": until, **asdict(effect)}
    what, states = f"incident.{action}", {"states": before}
    operators_log.record(connection, operator, what, about, now(), reason=why, before=states, after=after)
    return effect


def change_exclusion(
    connection: Connection, action: str, target: str, operator: Operator, reason: str
) -> dict[str, Any]:
    """Exclude votes from the defended view, or restore excluded votes.

    Args:
        connection: a write transaction.
        action: `exclude` or `restore`.
        target: the id of an alert, voter:PSEUDONYM, vote:ID, or votes:from=TIME,to=TIME[,…]. With an alert, `exclude`
            excludes the votes that the alert is about, and `restore` undoes all exclusions because of the alert.
        operator, reason: the person who decides, and why.

    Returns:
        {"action", "kind", "target", "name", "reason", "next_refresh": {"votes_in", "votes_out"}, "done"}. "kind" and
        "target" describe the first exclusion that was added or undone. "name" is the operator. "votes_in" is
        the number of votes that the next refresh will count again, "votes_out" the number that it will no longer count.
        "done" is a sentence that says what was done.

    Raises:
        UnknownAlert: no alert has this id.
        Usage: the target is invalid or does not exist, the alert names no votes, or the reason is missing.
    """
    targets, alert_id = find_targets(connection, action, target)
    expected, active = expected_exclusions(connection), active_targets(connection)
    why = voter_labels.without_codenames(connection, reason, alert_id)
    for kind, subject in targets:
        exclusion_list.add_entry(connection, action, kind, subject, why, operator.name, now(), alert_id)
    effect = exclusion_effect.count_change(connection, expected, expected_exclusions(connection), _left_out(connection))
    # The log cannot forget a voter who is erased: it has labels, as the public has.
    shown = {one: _public_target(connection, one, alert_id) for one in targets}
    before = {"excluded": sorted(text for one, text in shown.items() if one in active)}
    after = {"excluded": list(shown.values()) if action == "exclude" else [], **asdict(effect)}
    about = target if alert_id is not None else shown[targets[0]]
    for (_, subject), text in shown.items():
        why = why.replace(subject, text.partition(":")[2])
    why = voter_labels.without_voters(connection, why)
    operators_log.record(
        connection, operator, f"exclusion.{action}", about, now(), reason=why, before=before, after=after
    )
    kind, subject = targets[0]
    what = ", ".join(f"{k} {s}" for k, s in targets)
    result = {"action": action, "kind": kind, "target": subject, "name": operator.name, "reason": reason}
    return {**result, "next_refresh": asdict(effect), "done": f"{action}d {what} ({reason}): {effect}"}


def change_exclusions(
    connection: Connection,
    action: str,
    targets: Sequence[tuple[ExclusionTarget, str | None]],
    operator: Operator,
    reason: str,
    about: str,
) -> NextRefresh:
    """Exclude or restore many targets by one decision. The operators' log gets one row for all of them.

    Args:
        connection: a connection to the store.
        action: `exclude` or `restore`.
        targets: pairs (target that exists, id of the alert that caused the decision about it, None if no alert did).
        operator, reason: the person who decides, and why. The operators' log shows the reason without pseudonyms.
        about: the id of the incident, for the operators' log.

    Returns:
        The numbers of votes that go into and out of the defended view at the next refresh.
    """
    expected, active = expected_exclusions(connection), active_targets(connection)
    shown = {one: _public_target(connection, one, alert_id) for one, alert_id in targets}
    reason = voter_labels.without_codenames(connection, reason)
    for (kind, subject), alert_id in targets:
        exclusion_list.add_entry(connection, action, kind, subject, reason, operator.name, now(), alert_id)
    effect = exclusion_effect.count_change(connection, expected, expected_exclusions(connection), _left_out(connection))
    before = {"excluded": sorted(text for one, text in shown.items() if one in active)}
    after = {"excluded": sorted(shown.values()) if action == "exclude" else [], **asdict(effect)}
    why, what = voter_labels.without_voters(connection, reason), f"incident.{action}"
    operators_log.record(connection, operator, what, about, now(), reason=why, before=before, after=after)
    return effect


def preview_change(connection: Connection, after: frozenset[ExclusionTarget]) -> NextRefresh:
    """Return how many votes would go into and out of the defended view if the exclusions were `after`."""
    return exclusion_effect.count_change(connection, expected_exclusions(connection), after, _left_out(connection))


def preview_resolve(connection: Connection, alert_ids: Sequence[str]) -> NextRefresh:
    """Return how many votes would go into and out of the defended view if these alerts were resolved."""
    return preview_change(connection, expected_exclusions(connection, frozenset(alert_ids)))


def _public_target(connection: Connection, target: ExclusionTarget, alert_id: str | None) -> str:
    kind, subject = target
    return f"{kind}:{voter_labels.label_of(connection, subject, alert_id) if kind == 'voter' else subject}"


def expected_exclusions(connection: Connection, resolved: Collection[str] = ()) -> frozenset[ExclusionTarget]:
    """Return the exclusions that a refresh would use now if the alerts with the ids `resolved` were resolved."""
    auto_voter = configuration.load().auto_voter
    return exclusion_effect.expected_exclusions(connection, auto_voter=auto_voter, resolved=resolved)


def _left_out(connection: Connection) -> int:
    """Return the rules by which the newest snapshot leaves votes out, one bit for each rule; 0 without a snapshot."""
    newest = snapshots.latest(connection)
    return 0 if newest is None else rule_mask(stated_method(newest.body).rules)


def _kept(connection: Connection, alert_id: str, action: str) -> str:
    """Return a clause about exclusions that people made and that stay when an alert is resolved; "" for none."""
    active = exclusion_list.read_active_of_alert(connection, alert_id) if action == "resolve" else []
    by_people = [one for one in active if one.name not in exclusion_list.POLICIES]
    if not by_people:
        return ""
    names = ", ".join(sorted({one.name for one in by_people}))
    return f"; what {names} excluded stays excluded: `integrity alerts restore {alert_id}` undoes it"
