"""Defines the routes of the API about incidents."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pipeline.api.documents.incident_documents import IncidentDetailDocument, IncidentListDocument, State
from pipeline.api.incident_views import IncidentFilter, find_incident, list_incidents, newest_first, page_after
from pipeline.api.openapi_responses import TABLE_RESPONSES
from pipeline.api.operator_view import operator_dependency, policy
from pipeline.api.request_params import (
    TEXT_PATTERN,
    CursorParam,
    FormatParam,
    IncidentParam,
    LimitParam,
    decode_cursor,
    encode_cursor,
)
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response, table_response
from pipeline.store.alerting import incident_table

_COLUMNS = (
    "id", "headline", "confidence", "severity", "state", "about", "named", "what", "opened_at", "begun_at", "last_at",
    "e_value", "alerts", "alert_ids", "detectors", "accounts", "accounts_left_out", "votes", "votes_left_out",
    "excluded_by", "raw_rank", "defended_rank",
)  # fmt: skip
_TextParam = Annotated[str | None, Query(min_length=1, max_length=300, pattern=TEXT_PATTERN)]
_SinceParam = Annotated[
    str | None, Query(max_length=64, pattern=TEXT_PATTERN, description="Only what went on after this time (RFC 3339).")
]


def routes(reader: StoreReader) -> APIRouter:
    """Return a router with the routes about incidents, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["incidents"])
    is_operator = operator_dependency(reader)

    # Many parameters, because OpenAPI describes a filter only if it is one.
    @router.get("/incidents", response_model=IncidentListDocument, responses=TABLE_RESPONSES)
    def incidents(
        request: Request,
        state: State | None = None,
        severity: Literal["critical", "warning", "note"] | None = None,
        about: _TextParam = None,
        subject: _TextParam = None,
        since: _SinceParam = None,
        table_format: FormatParam = None,
        limit: LimitParam = 100,
        cursor: CursorParam = None,
        operator: bool = is_operator,
    ) -> Response:
        """List incidents, newest first. Each has all alerts of one campaign of votes.

        Incidents of severity `note` are listed for operators only.

        `about` is the model, provider or network that an incident is about. `subject` is a model or provider that an
        incident or one of its alerts names in any role.
        """
        wanted, key = IncidentFilter(state, severity, about, subject, since), decode_cursor(cursor, int, str)
        with reader.connect() as connection:
            found = list_incidents(connection, wanted, reader.hidden(connection), operator=operator)
            current = incident_table.is_current(connection)
        rows, last = page_after(found, newest_first, key, limit)
        document = {"rows": rows, "next": encode_cursor(*last) if last else None, "current": current}
        return table_response(request, table_format, document, "incidents", policy(operator), _COLUMNS, _table_row)

    @router.get("/incidents/{incident}", response_model=IncidentDetailDocument)
    def incident(incident: IncidentParam, operator: bool = is_operator) -> Response:
        """An incident with its alerts and the decisions of people about it. A unique beginning of its id is enough.

        With a token, the response lists the accounts, times are exact, and alerts about voters are included. Without a
        token, the response has only the number of accounts, and times are rounded to hours.
        """
        with reader.connect() as connection:
            found = find_incident(connection, incident, reader.hidden(connection), operator=operator)
        return json_response(found, policy(operator))

    return router


def _table_row(incident: dict[str, Any]) -> dict[str, Any]:
    """Return an incident as a row, with the same columns for every incident."""
    rank = incident["rank"] or {}
    flat = {name: incident[name] for name in _COLUMNS if name in incident}
    # A mapping would become columns.
    return flat | {
        "detectors": [f"{name}: {number}" for name, number in incident["detectors"].items()],
        "raw_rank": rank.get("raw"),
        "defended_rank": rank.get("defended"),
    }
