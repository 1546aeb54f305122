"""Carries out the actions of operators on an incident over HTTP, and lists the scope that each action needs."""

from typing import Any

from sqlalchemy.engine import Connection

from pipeline.jobs import incident_decisions, moderation
from pipeline.store.alerting.operators_log import Operator

SCOPES: dict[str, tuple[str, ...]] = {
    **moderation.ALERT_SCOPES,
    "note": ("alerts",),
    "exclude": ("exclusions",),
    "restore": ("exclusions",),
}
"""Action → the scopes that an API token needs for it, one for each kind of data that the action changes."""


def decide(
    connection: Connection, incident: str, action: str, operator: Operator, reason: str, hours: float | None = None
) -> dict[str, Any]:
    """Carry out an action on an incident.

    Args:
        connection: a write transaction.
        incident: id of the incident, as for `incident_decisions.find_incident`.
        action: a key of SCOPES, such as "exclude" or "note".
        operator: the person who decides.
        reason: reason of the decision, or the text of a note.
        hours: duration of a snooze; None to snooze until the next action of a person.

    Returns:
        The dictionary that `add_note`, `change_exclusions` or `change_state` of `incident_decisions` returns for this
        action. Its keys always include "incident", the id, and "done", a sentence that says what was done.

    Raises:
        Usage: no incident or several have this id, or the action would change nothing.
    """
    if action == "note":
        return incident_decisions.add_note(connection, incident, operator, reason)
    if action in ("exclude", "restore"):
        return incident_decisions.change_exclusions(connection, incident, action, operator, reason)
    return incident_decisions.change_state(connection, incident, action, operator, reason, hours)
