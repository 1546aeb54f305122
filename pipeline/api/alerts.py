"""Alerts, and the dated list of what does not count."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from pipeline.api import documents
from pipeline.api.reader import WHILE_IT_HOLDS, Reader, time_text
from pipeline.api.request_params import TEXT, Cursor, FormOf, Limit, cursor_of, form_of, key_of
from pipeline.api.snapshots import TABLE
from pipeline.api.tables import answer, as_json
from pipeline.store.alerting import alert_queries
from pipeline.store.read import page_queries

State = Literal["open", "acknowledged", "snoozed", "appealed", "resolved"]
Kind = Literal["voter", "model", "provider", "network", "board"]
AlertId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="An alert's id.")]
_SHOWN = ("id", "detector", "severity", "subject", "direction", "state", "opened_at", "e_value", "evidence")
_PLACE = ("partition", "offset", "window", "until")
# As they are in a table: `subject` is two columns there.
_COLUMNS = ("id", "detector", "severity", "subject_kind", "subject_id", *_SHOWN[4:], *_PLACE)
_ENTRY = ("number", "action", "kind", "target", "reason", "name", "at", "alert")
_Text = Annotated[str | None, Query(max_length=300, pattern=TEXT)]


def routes(reader: Reader) -> APIRouter:
    """The routes, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["alerts"])

    @router.get("/alerts", response_model=documents.alerts.Alerts, responses=TABLE)
    def listed(
        request: Request,
        state: State | None = None,
        severity: Literal["warning", "critical"] | None = None,
        detector: _Text = None,
        subject_kind: Kind | None = None,
        subject: _Text = None,
        form: FormOf = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Alerts, newest first."""
        about = {"detector": detector, "subject_kind": subject_kind, "subject": subject}
        wanted = {"state": state, "severity": severity, **about}
        with reader.read() as connection:
            found = page_queries.list_alerts(connection, limit + 1, key_of(cursor, int, str), **wanted)
        after = cursor_of(*found[limit - 1][0]) if len(found) > limit else None
        rows = [alert for _, alert in found[:limit]]
        form = form_of(form, request.headers.get("accept", ""))
        if form != "json":
            rows = [_line(alert) for alert in rows]
        return answer({"rows": rows, "next": after}, form, "alerts", WHILE_IT_HOLDS, _COLUMNS)

    @router.get("/alerts/{alert}", response_model=documents.alerts.AlertWhole)
    def one(alert: AlertId) -> Response:
        """An alert with its evidence, its newest votes, and what became of it."""
        with reader.read() as connection:
            return as_json(alert_queries.find_alert(connection, alert), WHILE_IT_HOLDS)

    @router.get("/exclusions", response_model=documents.alerts.Exclusions, responses=TABLE)
    def exclusions(request: Request, form: FormOf = None, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """The dated list of what does not count in the defended view, newest first; the last entry decides."""
        key = key_of(cursor, int)
        with reader.read() as connection:
            found = page_queries.list_exclusions(connection, limit + 1, key[0] if key else None)
        rows = [entry(row) for row in found[:limit]]
        after = cursor_of(rows[-1]["number"]) if len(found) > limit else None
        form = form_of(form, request.headers.get("accept", ""))
        return answer({"rows": rows, "next": after}, form, "exclusions", WHILE_IT_HOLDS, _ENTRY)

    return router


def entry(row: dict[str, Any]) -> dict[str, Any]:
    """An entry of the list, as `documents.alerts.Exclusion`."""
    return {
        "number": row["exclusion_no"],
        "action": row["action"],
        "kind": row["kind"],
        "target": row["target"],
        "reason": row["reason"],
        "name": row["name"],
        "at": time_text(row["at"]),
        "alert": row["alert_id"],
    }


def _line(alert: dict[str, Any]) -> dict[str, Any]:
    """An alert as one line, the same columns in each."""
    return {name: alert[name] for name in _SHOWN} | {name: alert.get(name) for name in _PLACE}
