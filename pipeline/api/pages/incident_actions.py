"""Defines the forms with which operators decide about an incident on its page.

Each decision needs a session, the CSRF token of the session, a reason, and the scopes of everything that the decision
changes. The decision is recorded in the operators' log with the source `page`.
"""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.api.cache_policies import NO_STORE
from pipeline.api.change_token import ChangeToken
from pipeline.api.error_responses import Problem
from pipeline.api.incident_views import resolve_id
from pipeline.api.operator_access import authorize
from pipeline.api.page_operator import FormFields, PageOperator, expect_csrf_token, page_operator_dependency
from pipeline.api.page_sessions import PageSessions
from pipeline.api.request_params import IncidentParam
from pipeline.api.store_reader import StoreReader
from pipeline.jobs import incident_actions

_UNDO = {"exclude": "restore", "restore": "exclude"}


def routes(reader: StoreReader, sessions: PageSessions, changes: ChangeToken) -> APIRouter:
    """Return a router with the routes that receive the forms about incidents."""
    router = APIRouter()
    signed_in = page_operator_dependency(reader, sessions)

    @router.post("/incidents/{incident}/{action}")
    def decide(
        request: Request,
        incident: IncidentParam,
        action: Literal["ack", "snooze", "resolve", "reopen", "note", "exclude", "restore"],
        fields: dict[str, str] = FormFields,
        operator: PageOperator | None = signed_in,
    ) -> Response:
        """Carry out a decision, and redirect to the page of the incident, which then says what was done."""
        if operator is None:
            raise Problem(401, "expected an operator: nothing was changed; sign in at /sign-in first")
        expect_csrf_token(sessions, operator.session_id, fields)
        who = authorize(reader, request, operator.token, *incident_actions.SCOPES[action], via="page")
        reason, hours = _reason(fields), _hours(fields, action)
        with reader.connect() as connection:
            found = resolve_id(connection, incident)
        with reader.store.write() as connection:
            result = incident_actions.decide(connection, found, action, who, reason, hours)
        changes.expire()
        operator.session.message = f"Done: {result['done']}."
        operator.session.undo = f"/incidents/{found}/{_UNDO[action]}" if action in _UNDO else ""
        return RedirectResponse(f"/incidents/{found}", 303, headers=NO_STORE)

    return router


def _reason(fields: dict[str, str]) -> str:
    reason = fields.get("reason", "").strip()
    if not reason:
        raise Problem(422, "form reason: expected why you decide this, got nothing; nothing was changed")
    return reason


def _hours(fields: dict[str, str], action: str) -> float | None:
    text = fields.get("hours", "").strip()
    if not text or action != "snooze":
        return None
    try:
        return float(text)
    except ValueError:
        raise Problem(422, f"form hours: expected a number, got {text[:50]!r}; nothing was changed") from None
