"""Decisions of people about alerts and votes, for the CLI and the API alike."""

from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.open_store import now
from pipeline.store.alerting import alert_lifecycle, alert_queries
from pipeline.store.boards import exclusion_list
from pipeline.store.votes.vote_selections import VoteSelection

# The longest snooze: a year.
_MAX_HOURS = 24 * 366
ALERT_ACTIONS = ("ack", "snooze", "appeal", "resolve", "reopen")


def change_alert_state(
    connection: Connection, alert_id: str, action: str, name: str, reason: str, hours: float | None = None
) -> dict[str, Any]:
    """Do one of ALERT_ACTIONS; return {"alert", "state", "done"}. A snooze without `hours` lasts until somebody acts.

    Raises:
        UnknownAlert: no alert has this id.
    """
    if hours is not None and not 0 < hours <= _MAX_HOURS:
        raise Usage(f"hours: expected a number above 0 and up to {_MAX_HOURS:,}, got {hours:g}")
    until = now() + round(hours * 3.6e9) if action == "snooze" and hours is not None else None
    state = alert_lifecycle.change_state(connection, alert_id, action, name, reason, now(), until)
    for_long = f" for {hours:g} hours" if until is not None else ""
    return {"alert": alert_id, "state": state, "done": f"{alert_id} is {state}{for_long}"}


def change_exclusion(connection: Connection, action: str, target: str, name: str, reason: str) -> dict[str, Any]:
    """Exclude or restore votes; return {"action", "kind", "target", "name", "reason", "done"}.

    Args:
        action: exclude or restore.
        target: an alert's id, voter:ID, vote:ID, or votes:from=TIME,to=TIME[,…].

    Raises:
        UnknownAlert: no alert has this id.
        Usage: an invalid target, an alert that names no votes, or no reason.
    """
    targets, alert_id = _targets(connection, action, target)
    for kind, subject in targets:
        exclusion_list.add_entry(connection, action, kind, subject, reason, name, now(), alert_id)
    kind, subject = targets[0]
    what = ", ".join(f"{k} {s}" for k, s in targets)
    done = f"{action}d {what} ({reason}): the defended board follows at the next refresh"
    return {"action": action, "kind": kind, "target": subject, "name": name, "reason": reason, "done": done}


def _targets(connection: Connection, action: str, target: str) -> tuple[list[tuple[str, str]], str | None]:
    """Return the (kind, target) of each entry to exclude or restore, and the id of the alert behind them, if any."""
    kind, sign, subject = target.partition(":")
    if sign:
        return [(kind, str(VoteSelection.parse(subject)) if kind == "votes" else subject)], None
    found = alert_queries.find_alert(connection, target)
    if action == "restore":
        excluded = [(e.kind, e.target) for e in exclusion_list.read_active_of_alert(connection, target)]
        if not excluded:
            raise Usage(f"alert {target}: none of its votes are excluded; `integrity alerts exclusions` lists what is")
        return excluded, target
    if found["subject"]["kind"] == "voter":
        return [("voter", found["subject"]["id"])], target
    return [("votes", str(alert_queries.select_votes(found)))], target
