"""Defines the routes of the API about alerts and exclusions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pipeline.api.documents.alert_documents import AlertDetailDocument, AlertListDocument, ExclusionListDocument
from pipeline.api.openapi_responses import TABLE_RESPONSES
from pipeline.api.operator_view import operator_dependency, policy
from pipeline.api.request_params import (
    TEXT_PATTERN,
    AlertParam,
    CursorParam,
    FormatParam,
    LimitParam,
    decode_cursor,
    encode_cursor,
)
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response, table_response
from pipeline.store.alerting import alert_queries
from pipeline.store.alerting.public_alerts import publish_alert
from pipeline.store.read import page_queries
from pipeline.vocabulary.time import format_rfc3339

State = Literal["open", "acknowledged", "snoozed", "appealed", "resolved"]
SubjectKind = Literal["voter", "model", "provider", "network", "board"]
_FIELDS = ("id", "detector", "severity", "subject", "direction", "state", "opened_at", "e_value", "evidence")
_POSITION = ("partition", "offset", "window", "until")
# Column names in a table, where `subject` is two columns.
_COLUMNS = ("id", "detector", "severity", "subject_kind", "subject_id", *_FIELDS[4:], *_POSITION)
_EXCLUSION_COLUMNS = ("number", "action", "kind", "target", "reason", "name", "at", "alert")
_TextParam = Annotated[str | None, Query(max_length=300, pattern=TEXT_PATTERN)]


def routes(reader: StoreReader) -> APIRouter:
    """Return a router with the routes about alerts and exclusions, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["alerts"])
    is_operator = operator_dependency(reader)

    # Many parameters, because OpenAPI describes a filter only if it is one.
    @router.get("/alerts", response_model=AlertListDocument, responses=TABLE_RESPONSES)
    def alerts(
        request: Request,
        state: State | None = None,
        severity: Literal["warning", "critical"] | None = None,
        detector: _TextParam = None,
        subject_kind: SubjectKind | None = None,
        subject: _TextParam = None,
        table_format: FormatParam = None,
        limit: LimitParam = 100,
        cursor: CursorParam = None,
        operator: bool = is_operator,
    ) -> Response:
        """List alerts, newest first. Without a token, a random name stands in place of a voter's pseudonym."""
        about = {"detector": detector, "subject_kind": subject_kind, "subject": subject}
        filters, key = {"state": state, "severity": severity, **about}, decode_cursor(cursor, str)
        with reader.connect() as connection:
            found = page_queries.list_alerts(
                connection, limit + 1, key[0] if key else None, public=not operator,
                hidden=reader.hidden(connection), **filters,
            )  # fmt: skip
        following = encode_cursor(found[limit - 1][0][1]) if len(found) > limit else None
        rows = [alert for _, alert in found[:limit]]
        document = {"rows": rows, "next": following}
        return table_response(request, table_format, document, "alerts", policy(operator), _COLUMNS, _table_row)

    @router.get("/alerts/{alert}", response_model=AlertDetailDocument)
    def alert(alert: AlertParam, operator: bool = is_operator) -> Response:
        """An alert with its evidence, its newest votes and its history.

        Without a token, an alert about a voter has no votes, and a random name (the voter label) in place of the
        pseudonym.
        """
        with reader.connect() as connection:
            found = alert_queries.find_alert(connection, alert)
            shown = found if operator else publish_alert(found, reader.hidden(connection))
        return json_response(shown, policy(operator))

    _add_exclusions(router, reader, is_operator)
    return router


def _add_exclusions(router: APIRouter, reader: StoreReader, is_operator: Any) -> None:
    @router.get("/exclusions", response_model=ExclusionListDocument, responses=TABLE_RESPONSES)
    def exclusions(
        request: Request,
        table_format: FormatParam = None,
        limit: LimitParam = 100,
        cursor: CursorParam = None,
        operator: bool = is_operator,
    ) -> Response:
        """The list of exclusions, newest first. An entry excludes stored votes from the defended view or restores them.

        Of several entries about the same votes, the newest is in force. Without a token, an entry about a voter has a
        random name (the voter label) in place of the pseudonym.
        """
        key = decode_cursor(cursor, int)
        with reader.connect() as connection:
            found = page_queries.list_exclusions(
                connection, limit + 1, key[0] if key else None, public=not operator, hidden=reader.hidden(connection)
            )
        rows = [exclusion_document(row) for row in found[:limit]]
        following = encode_cursor(rows[-1]["number"]) if len(found) > limit else None
        document = {"rows": rows, "next": following}
        return table_response(request, table_format, document, "exclusions", policy(operator), _EXCLUSION_COLUMNS)


def exclusion_document(row: dict[str, Any]) -> dict[str, Any]:
    """Convert a database row of the list of exclusions to a dictionary with the fields of `ExclusionDocument`."""
    texts = {name: row[name] for name in ("action", "kind", "target", "reason", "name")}
    return {"number": row["exclusion_no"], **texts, "at": format_rfc3339(row["at"]), "alert": row["alert_id"]}


def _table_row(alert: dict[str, Any]) -> dict[str, Any]:
    """Return an alert as a row, with the same columns for every alert."""
    return {name: alert[name] for name in _FIELDS} | {name: alert.get(name) for name in _POSITION}
