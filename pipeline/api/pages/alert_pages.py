"""Defines the web pages about alerts and exclusions."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from pipeline import alert_text
from pipeline.api.alert_routes import exclusion_document
from pipeline.api.cache_policies import REVALIDATE
from pipeline.api.incident_views import find_incident_of
from pipeline.api.page_operator import PageOperator, page_operator_dependency
from pipeline.api.page_sessions import PageSessions
from pipeline.api.pages.page_templates import PAGE_ROWS, PageTemplates
from pipeline.api.pages.reader_bar import page_policy, reader_values
from pipeline.api.request_params import AlertParam, CursorParam, decode_cursor, encode_cursor
from pipeline.api.store_reader import StoreReader
from pipeline.store.alerting import alert_queries
from pipeline.store.alerting.public_alerts import publish_alert
from pipeline.store.boards import exclusion_list
from pipeline.store.read import page_queries
from pipeline.vocabulary.alert_states import ALERT_STATES

_SEVERITIES = ("warning", "critical")
_KINDS = ("voter", "model", "provider", "network", "board")
# A form sends an empty text for a filter that is not set.
_State = Annotated[Literal["", "open", "acknowledged", "snoozed", "appealed", "resolved"], Query()]
_Severity = Annotated[Literal["", "warning", "critical"], Query()]
_Kind = Annotated[Literal["", "voter", "model", "provider", "network", "board"], Query(alias="about")]
_Subject = Annotated[str, Query(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]


def routes(reader: StoreReader, templates: PageTemplates, sessions: PageSessions) -> APIRouter:
    """Return a router with the routes of the pages about alerts and exclusions."""
    router = APIRouter()
    signed_in = page_operator_dependency(reader, sessions)

    @router.get("/alerts")
    def alerts(
        state: _State = "",
        severity: _Severity = "",
        kind: _Kind = "",
        subject: _Subject = "",
        cursor: CursorParam = None,
    ) -> Response:
        key = decode_cursor(cursor, str)
        wanted: dict[str, Any] = {"state": state or None, "severity": severity or None, "subject_kind": kind or None}
        wanted["subject"] = subject or None
        with reader.connect() as connection:
            found = page_queries.list_alerts(
                connection, PAGE_ROWS + 1, key[0] if key else None, hidden=reader.hidden(connection), **wanted
            )
        given = (("state", state), ("severity", severity), ("about", kind), ("subject", subject))
        query = urlencode({name: value for name, value in given if value})
        return templates.page(
            "alerts", REVALIDATE, alerts=[one for _, one in found[:PAGE_ROWS]],
            next=encode_cursor(found[PAGE_ROWS - 1][0][1]) if len(found) > PAGE_ROWS else None,
            query=query + "&" if query else "", subject=subject,
            filters=[("state", state, ALERT_STATES), ("severity", severity, _SEVERITIES), ("about", kind, _KINDS)],
        )  # fmt: skip

    @router.get("/alerts/{alert}")
    def alert(alert: AlertParam, operator: PageOperator | None = signed_in) -> Response:
        sees = operator is not None and operator.sees_voters
        with reader.connect() as connection:
            hidden = reader.hidden(connection)
            whole = alert_queries.find_alert(connection, alert)
            found = whole if sees else publish_alert(whole, hidden)
            incident = find_incident_of(connection, alert, operator=sees)
            excluded = [
                {"kind": one.kind, "public": hidden.text(one.public), "name": one.name}
                for one in exclusion_list.read_active_of_alert(connection, alert)
            ]
        lines = alert_text.evidence_lines(found)
        return templates.page(
            "alert", page_policy(operator), alert=found, evidence_lines=lines, excluded=excluded, incident=incident,
            **reader_values(operator, f"/alerts/{alert}"),
        )  # fmt: skip

    @router.get("/exclusions")
    def list_exclusions(cursor: CursorParam = None) -> Response:
        key = decode_cursor(cursor, int)
        with reader.connect() as connection:
            found = page_queries.list_exclusions(
                connection, PAGE_ROWS + 1, key[0] if key else None, hidden=reader.hidden(connection)
            )
        rows = [exclusion_document(row) for row in found[:PAGE_ROWS]]
        following = encode_cursor(rows[-1]["number"]) if len(found) > PAGE_ROWS else None
        return templates.page("exclusions", REVALIDATE, rows=rows, next=following)

    return router
