"""Defines the routes with which operators decide about alerts, votes and snapshots, and read their log.

All of them need a token. Each decision is recorded in the operators' log with the name of the token's owner and the
reason.
"""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pipeline.api.cache_policies import NO_STORE
from pipeline.api.change_token import ChangeToken
from pipeline.api.documents.action_documents import (
    AlertActionDocument,
    AlertActionRequest,
    ExclusionActionDocument,
    ExclusionRequest,
    NoticeRequest,
    ReasonRequest,
    TokenDocument,
)
from pipeline.api.documents.notice_documents import NoticeDocument
from pipeline.api.documents.operator_documents import OperatorLogDocument
from pipeline.api.openapi_responses import TABLE_RESPONSES, TOKEN_RESPONSES
from pipeline.api.operator_access import authorize, client_address, require_scopes, require_token
from pipeline.api.request_params import (
    AlertParam,
    CursorParam,
    FormatParam,
    LimitParam,
    SnapshotParam,
    decode_cursor,
    encode_cursor,
)
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response, table_response
from pipeline.jobs import correction_notices, moderation
from pipeline.open_store import now
from pipeline.store.alerting import operators_log
from pipeline.store.alerting.operator_tokens import OperatorToken
from pipeline.store.alerting.operators_log import Operator


def routes(reader: StoreReader, changes: ChangeToken) -> APIRouter:
    """Return a router with the routes about decisions of operators, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["operators"], responses=TOKEN_RESPONSES)
    _add_decisions(router, reader, changes)
    _add_notices(router, reader, changes)
    _add_own_records(router, reader)
    return router


def _add_decisions(router: APIRouter, reader: StoreReader, changes: ChangeToken) -> None:
    may_exclude, has_token = require_scopes(reader, "exclusions"), require_token(reader)

    @router.post("/alerts/{alert}/{action}", response_model=AlertActionDocument)
    def change_alert(
        request: Request,
        alert: AlertParam,
        action: Literal["ack", "snooze", "appeal", "resolve", "reopen"],
        body: AlertActionRequest,
        token: OperatorToken = has_token,
    ) -> Response:
        """Change the state of an alert. `resolve` and `reopen` need the scopes `alerts` and `exclusions`."""
        operator = authorize(reader, request, token, *moderation.ALERT_SCOPES[action])
        with reader.store.write() as connection:
            result = moderation.change_alert_state(connection, alert, action, operator, body.reason, body.hours)
        changes.expire()
        return json_response(result, NO_STORE)

    @router.post("/alerts/{alert}/votes/{action}", response_model=ExclusionActionDocument)
    def exclude_alert_votes(
        alert: AlertParam,
        action: Literal["exclude", "restore"],
        body: ReasonRequest,
        operator: Operator = may_exclude,
    ) -> Response:
        """Exclude the votes of an alert, or restore them, from the next refresh on."""
        with reader.store.write() as connection:
            result = moderation.change_exclusion(connection, action, alert, operator, body.reason)
        changes.expire()
        return json_response(result, NO_STORE)

    @router.post("/exclusions", response_model=ExclusionActionDocument)
    def exclude(body: ExclusionRequest, operator: Operator = may_exclude) -> Response:
        """Exclude votes from the defended view, or restore them. The board changes at the next refresh."""
        target = f"{body.kind}:{body.target}"
        with reader.store.write() as connection:
            result = moderation.change_exclusion(connection, body.action, target, operator, body.reason)
        changes.expire()
        return json_response(result, NO_STORE)


def _add_notices(router: APIRouter, reader: StoreReader, changes: ChangeToken) -> None:
    may_add = require_scopes(reader, "notices")

    @router.post("/snapshots/{snapshot}/notices", response_model=NoticeDocument)
    def add_notice(snapshot: SnapshotParam, body: NoticeRequest, operator: Operator = may_add) -> Response:
        """Add a correction notice to a snapshot; the next manifest contains it."""
        with reader.connect() as connection:
            reader.snapshot(connection, snapshot)
        with reader.store.write() as connection:
            result = correction_notices.add_notice(connection, snapshot, body.text, operator)
        changes.expire()
        return json_response(result, NO_STORE)


def _add_own_records(router: APIRouter, reader: StoreReader) -> None:
    has_token, may_read = require_token(reader), require_scopes(reader, "log")

    @router.get("/operator", response_model=TokenDocument)
    def who_am_i(request: Request, token: OperatorToken = has_token) -> Response:
        """The owner and the scopes of the token. The operators' log records the request as a login."""
        operator = Operator(token.name, "api", client_address(request))
        with reader.store.write() as connection:
            operators_log.record(connection, operator, operators_log.LOGIN, token.name, now())
        return json_response({"name": token.name, "scopes": list(token.scopes)}, NO_STORE)

    # FastAPI reads the parameters of a route from its signature.
    @router.get("/operators/log", response_model=OperatorLogDocument, responses=TABLE_RESPONSES)
    def read_log(
        request: Request,
        table_format: FormatParam = None,
        limit: LimitParam = 100,
        cursor: CursorParam = None,
        operator: Operator = may_read,
    ) -> Response:
        """The operators' log, newest first. Each read adds an entry to the log, which later reads return."""
        key = decode_cursor(cursor, int)
        with reader.store.write() as connection:
            rows = operators_log.list_entries(connection, limit + 1, key[0] if key else None)
            operators_log.record(connection, operator, "export.operators_log", f"{len(rows[:limit])} rows", now())
        following = encode_cursor(rows[limit - 1]["number"]) if len(rows) > limit else None
        document = {"rows": rows[:limit], "next": following}
        columns, to_row = operators_log.TABLE_COLUMNS, operators_log.table_row
        return table_response(request, table_format, document, "operators_log", NO_STORE, columns, to_row)
