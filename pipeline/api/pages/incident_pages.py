"""Defines the web pages about incidents: the list, one incident, and the preview of a decision about its votes.

The public and operators who are signed in read the same pages. For operators, the pages also show the accounts and the
forms for decisions.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.engine import Connection

from pipeline import incident_text
from pipeline.api.cache_policies import NO_STORE
from pipeline.api.costly_work import CostlyWork
from pipeline.api.incident_views import IncidentFilter, find_incident, list_incidents, page_after
from pipeline.api.model_summaries import model_history
from pipeline.api.operator_access import authorize
from pipeline.api.page_operator import PageOperator, page_operator_dependency
from pipeline.api.page_sessions import PageSessions
from pipeline.api.pages.incident_choices import find_choices, runbook_of, still_counting
from pipeline.api.pages.incident_timeline import build_timeline
from pipeline.api.pages.page_templates import PAGE_ROWS, PageTemplates
from pipeline.api.pages.reader_bar import page_policy, reader_values
from pipeline.api.request_params import CursorParam, IncidentParam, decode_cursor, encode_cursor
from pipeline.api.store_reader import StoreReader
from pipeline.errors import Usage
from pipeline.jobs import exclusion_preview, incident_actions, incident_decisions, moderation
from pipeline.jobs.exclusion_preview import ExclusionPreview
from pipeline.open_store import now
from pipeline.store.alerting import incident_table
from pipeline.store.boards import snapshots
from pipeline.store.boards.exclusion_list import POLICIES
from pipeline.store.boards.refresh_rhythm import read_rhythm
from pipeline.vocabulary.alert_states import ALERT_STATES
from pipeline.vocabulary.time import format_rfc3339

_SEVERITIES = ("critical", "warning", "note")
# Rows of the table that says the same as the chart.
_POINTS = 12
# A form sends an empty text for a filter that is not set.
_State = Annotated[Literal["", "open", "acknowledged", "snoozed", "appealed", "resolved"], Query()]
_Severity = Annotated[Literal["", "critical", "warning", "note"], Query()]
_Subject = Annotated[str, Query(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
_URGENCY_KEY = (int, int, int, int, int, int, int, str)
PreviewedAction = Literal["exclude", "restore", "resolve"]


def routes(reader: StoreReader, templates: PageTemplates, costly: CostlyWork, sessions: PageSessions) -> APIRouter:
    """Return a router with the routes of the pages about incidents."""
    router = APIRouter()
    signed_in = page_operator_dependency(reader, sessions)

    @router.get("/incidents")
    def incidents(
        state: _State = "",
        severity: _Severity = "",
        subject: _Subject = "",
        cursor: CursorParam = None,
        operator: PageOperator | None = signed_in,
    ) -> Response:
        wanted = IncidentFilter(state or None, severity or None, subject=subject or None)
        sees = operator is not None and operator.sees_voters
        with reader.connect() as connection:
            found = list_incidents(connection, wanted, reader.hidden(connection), operator=sees)
            current = incident_table.is_current(connection)
        rows, last = page_after(found, incident_text.urgency, decode_cursor(cursor, *_URGENCY_KEY), PAGE_ROWS)
        query = urlencode({k: v for k, v in (("state", state), ("severity", severity), ("subject", subject)) if v})
        severities = _SEVERITIES if sees else _SEVERITIES[:-1]
        return templates.page(
            "incidents", page_policy(operator), incidents=rows, next=encode_cursor(*last) if last else None,
            query=query + "&" if query else "", subject=subject, current=current,
            **reader_values(operator, "/incidents"),
            filters=[("state", state, ALERT_STATES), ("severity", severity, severities)],
        )  # fmt: skip

    @router.get("/incidents/{incident}")
    def incident(incident: IncidentParam, operator: PageOperator | None = signed_in) -> Response:
        with reader.connect() as connection:
            values = _incident_values(reader, connection, incident, operator)
        return templates.page("incident", page_policy(operator), **values)

    @router.get("/incidents/{incident}/{action}")
    async def preview(
        request: Request, incident: IncidentParam, action: PreviewedAction, operator: PageOperator | None = signed_in
    ) -> Response:
        """Show what would change if an incident were resolved, or if its votes were left out or counted again."""

        def compute(signed: PageOperator) -> Response:
            authorize(reader, request, signed.token, *incident_actions.SCOPES[action], via="page")
            with reader.connect() as connection:
                found = find_incident(connection, incident, reader.hidden(connection), operator=True)
                effect, suspects = _preview(connection, found, action)
                rhythm = read_rhythm(connection, now())
            return templates.page(
                "incident_preview", page_policy(signed), incident=found, action=action, refresh=rhythm,
                suspects=suspects, **_preview_values(found, effect),
                **reader_values(signed, f"/incidents/{found['id']}"),
            )  # fmt: skip

        if operator is None:
            return RedirectResponse(f"/sign-in?next=/incidents/{incident}/{action}", 303, headers=NO_STORE)
        return await costly.run(request, partial(compute, operator))

    return router


def _preview(
    connection: Connection, incident: Mapping[str, Any], action: PreviewedAction
) -> tuple[ExclusionPreview, int]:
    """Return what an action would change, and how many of the changed accounts are only suspected."""
    if action == "resolve":
        alerts = incident_decisions.changeable(connection, incident, action)
        if not alerts:
            raise Usage(f"incident {incident['id']}: no alert of it can be changed by resolve; it is resolved already")
        return exclusion_preview.preview_resolution(connection, alerts), 0
    causes = incident_decisions.exclusion_targets(connection, incident["id"], action)
    targets = [target for target, _ in causes]
    suspected = sum(kind == "voter" and who in incident["suspects"]["e_values"] for kind, who in targets)
    return exclusion_preview.preview(connection, action, targets), suspected


def _preview_values(incident: Mapping[str, Any], preview: ExclusionPreview) -> dict[str, Any]:
    moves = [
        {"model": one.model, "ranks": (one.before, one.after), "ratings": (one.rating_before, one.rating_after)}
        for one in preview.moves
    ]
    about = {one["name"] for one in incident["about"] if one["kind"] == "model"}
    return {
        "effect": preview.effect,
        "voters": preview.voters,
        "own": [one for one in moves if one["model"] in about],
        "others": [one for one in moves if one["model"] not in about],
        "without_ranks": preview.without_ranks,
        "policies": [one for one in incident["excluded_by"] if one in POLICIES],
    }


def _incident_values(
    reader: StoreReader, connection: Connection, given: str, operator: PageOperator | None
) -> dict[str, Any]:
    hidden = reader.hidden(connection)
    sees = operator is not None and operator.sees_voters
    found = find_incident(connection, given, hidden, operator=sees)
    about = found["about"][0]
    charted = about["kind"] == "model" and about["name"] not in hidden
    newest = snapshots.latest(connection)
    return {
        "incident": found,
        **reader_values(operator, f"/incidents/{found['id']}"),
        "sees": sees,
        "done": incident_text.what_was_done(found),
        "how_sure": incident_text.confidence,
        "advice": incident_text.next_step(found),
        "timeline": build_timeline(found),
        "choices": find_choices(connection, found, operator),
        "counting": still_counting(found),
        "runbook": runbook_of(found),
        "refresh": read_rhythm(connection, now()),
        "published": None if newest is None else format_rfc3339(newest.published_at),
        "newest": newest.snapshot_id if newest and charted else None,
        "points": _ratings(reader, connection, about["name"]) if newest and charted else [],
        "actions": _state_actions(found, operator),
    }


def _ratings(reader: StoreReader, connection: Connection, model: str) -> list[dict[str, Any]]:
    """Return {"defended", "raw"}, a model's rows in both views, for each of the newest snapshots, newest first."""
    raw = {row["sequence"]: row for row in model_history(reader, connection, model, "raw")}
    defended = model_history(reader, connection, model, "defended")[-_POINTS:]
    return [{"defended": row, "raw": raw.get(row["sequence"])} for row in reversed(defended)]


def _state_actions(incident: Mapping[str, Any], operator: PageOperator | None) -> list[str]:
    """Return the actions that the incident's state and the operator's scopes permit."""
    if operator is None or not operator.sees_voters:
        return []
    possible = ["reopen"] if incident["state"] == "resolved" else ["ack", "snooze", "resolve"]
    if incident["state"] == "acknowledged":
        possible.remove("ack")
    permitted = [one for one in possible if operator.may(*moderation.ALERT_SCOPES[one])]
    return [*permitted, *(["note"] if operator.may("alerts") else [])]
