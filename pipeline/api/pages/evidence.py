"""Alerts, and what is excluded."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from pipeline import alert_text
from pipeline.api.alerts import AlertId, entry
from pipeline.api.pages.rendering import PAGE, Templates
from pipeline.api.reader import WHILE_IT_HOLDS, Reader
from pipeline.api.request_params import Cursor, cursor_of, key_of
from pipeline.store.alerting import alert_queries
from pipeline.store.boards import exclusion_list
from pipeline.store.read import page_queries
from pipeline.vocabulary.alert_states import ALERT_STATES

SEVERITIES = ("warning", "critical")
KINDS = ("voter", "model", "provider", "network", "board")
# A form sends what was not chosen as an empty text.
_State = Annotated[Literal["", "open", "acknowledged", "snoozed", "appealed", "resolved"], Query()]
_Severity = Annotated[Literal["", "warning", "critical"], Query()]
_Kind = Annotated[Literal["", "voter", "model", "provider", "network", "board"], Query(alias="about")]


def routes(reader: Reader, templates: Templates) -> APIRouter:
    """The pages."""
    router = APIRouter()

    @router.get("/alerts")
    def listed(state: _State = "", severity: _Severity = "", kind: _Kind = "", cursor: Cursor = None) -> Response:
        wanted = {"state": state or None, "severity": severity or None, "subject_kind": kind or None}
        with reader.read() as connection:
            found = page_queries.list_alerts(connection, PAGE + 1, key_of(cursor, int, str), **wanted)
        query = urlencode({k: v for k, v in (("state", state), ("severity", severity), ("about", kind)) if v})
        return templates.page(
            "alerts", WHILE_IT_HOLDS, alerts=[one for _, one in found[:PAGE]],
            next=cursor_of(*found[PAGE - 1][0]) if len(found) > PAGE else None, query=query + "&" if query else "",
            filters=[("state", state, ALERT_STATES), ("severity", severity, SEVERITIES), ("about", kind, KINDS)],
        )  # fmt: skip

    @router.get("/alerts/{alert}")
    def one(alert: AlertId) -> Response:
        with reader.read() as connection:
            found = alert_queries.find_alert(connection, alert)
            excluded = exclusion_list.read_active_of_alert(connection, alert)
        facts = alert_text.evidence_lines(found)
        return templates.page("alert", WHILE_IT_HOLDS, alert=found, facts=facts, excluded=excluded)

    @router.get("/exclusions")
    def dated(cursor: Cursor = None) -> Response:
        key = key_of(cursor, int)
        with reader.read() as connection:
            found = page_queries.list_exclusions(connection, PAGE + 1, key[0] if key else None)
        rows = [entry(row) for row in found[:PAGE]]
        after = cursor_of(rows[-1]["number"]) if len(found) > PAGE else None
        return templates.page("exclusions", WHILE_IT_HOLDS, rows=rows, next=after)

    return router
