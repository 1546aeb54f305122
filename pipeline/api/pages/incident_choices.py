"""Finds what an operator can decide about the votes of an incident, and which of the votes still count.

A page offers only decisions that change something, and says why it does not offer the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.page_operator import PageOperator
from pipeline.errors import Usage
from pipeline.jobs import incident_actions, incident_decisions, moderation
from pipeline.store.boards.exclusion_list import POLICIES

_RUNBOOKS = {"lifted": "incident-lifted", "lowered": "incident-lowered"}
_RUNBOOKS_OF_FACTS = {"audit_ledger": "audit-failed", "worker_halted": "worker-halted", "voter_share": "voter-share"}


@dataclass(frozen=True, slots=True)
class IncidentChoices:
    """What an operator can decide about the votes of an incident.

    Attributes:
        exclude: why the votes cannot be excluded; "" if they can, None if the operator may not decide this.
        restore: why the votes cannot be restored; "" if they can, None if the operator may not decide this.
        returning: number of votes that a policy leaves out now and that count again if the incident is resolved.
        policies: the policies that leave out votes of the incident.
    """

    exclude: str | None = None
    restore: str | None = None
    returning: int = 0
    policies: tuple[str, ...] = ()


def find_choices(connection: Connection, incident: Mapping[str, Any], operator: PageOperator | None) -> IncidentChoices:
    """Return what an operator can decide about the votes of an incident.

    Args:
        connection: a connection to the store.
        incident: the incident as operators see it, with its accounts (`incident_views.find_incident`).
        operator: the operator who is signed in. None for the public, which can decide nothing.
    """
    if operator is None or not operator.sees_voters:
        return IncidentChoices()
    policies = tuple(one for one in incident["excluded_by"] if one in POLICIES)
    alerts = incident_decisions.changeable(connection, incident, "resolve") if policies else []
    returning = moderation.preview_resolve(connection, alerts).votes_in if alerts else 0
    why = {
        action: _why_not(connection, incident["id"], action)
        for action in ("exclude", "restore")
        if operator.may(*incident_actions.SCOPES[action])
    }
    return IncidentChoices(why.get("exclude"), why.get("restore"), returning, policies)


def _why_not(connection: Connection, incident_id: str, action: str) -> str:
    try:
        incident_decisions.exclusion_targets(connection, incident_id, action)
    except Usage as error:
        return str(error).partition(": ")[2]
    return ""


def still_counting(incident: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of an incident's accounts (voters) that still have a vote that counts.

    The result is empty for the public form of an incident, which has no accounts.
    """
    if incident["votes_left_out"] >= incident["votes"]:
        return []
    return [one for one in incident.get("account_rows", ()) if one["excluded_by"] is None and one["votes"]]


def runbook_of(incident: Mapping[str, Any]) -> str:
    """Return the name of the runbook for an incident. The notification about the incident links to this runbook."""
    about = incident["about"][0]
    if about["kind"] == "fact":
        return _RUNBOOKS_OF_FACTS.get(about["name"].partition(" ")[0], "incident-fact")
    if about["effect"] in _RUNBOOKS:
        return _RUNBOOKS[about["effect"]]
    return "incident-habit" if about["kind"] == "habit" else "incident-more-votes"
