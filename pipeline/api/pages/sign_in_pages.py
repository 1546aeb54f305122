"""Defines the page on which operators sign in with their token, and the form that signs them out.

After the sign-in, the browser is redirected only to a page of this site about incidents or an alert.
"""

import re
import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.api.cache_policies import NO_STORE
from pipeline.api.error_responses import Problem
from pipeline.api.operator_access import client_address, find_token
from pipeline.api.page_operator import FormFields, PageOperator, expect_csrf_token, page_operator_dependency
from pipeline.api.page_sessions import (
    PageSessions,
    delete_session_cookie,
    set_session_cookie,
    set_sign_in_cookie,
    sign_in_cookie,
)
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.store_reader import StoreReader
from pipeline.open_store import now
from pipeline.store.alerting import operator_tokens, operators_log
from pipeline.store.alerting.operators_log import Operator

_HOME = "/incidents"
_RETURN = re.compile(r"/incidents(/[0-9a-f]{4,12}(/(exclude|restore|resolve))?)?|/alerts/[0-9a-f]{16}")
_Next = Annotated[str, Query(max_length=100)]
_UNAUTHORIZED = 401


def routes(reader: StoreReader, templates: PageTemplates, sessions: PageSessions) -> APIRouter:
    """Return a router with the routes for signing in and out."""
    router = APIRouter()
    signed_in = page_operator_dependency(reader, sessions)

    @router.get("/sign-in")
    def form(request: Request, next: _Next = _HOME, operator: PageOperator | None = signed_in) -> Response:
        if operator is not None:
            return _redirect(next)
        return _form(request, next)

    @router.post("/sign-in")
    def sign_in(request: Request, fields: dict[str, str] = FormFields) -> Response:
        expect_csrf_token(sessions, sign_in_cookie(request), fields)
        given = fields.get("token", "").strip()
        try:
            token = find_token(reader, request, given, "page")
        except Problem as problem:
            if problem.status != _UNAUTHORIZED:
                raise
            return _form(
                request, fields.get("next", _HOME), "This token is not valid. `integrity tokens list` says why."
            )
        with reader.store.write() as connection:
            who = Operator(token.name, "page", client_address(request))
            operators_log.record(connection, who, operators_log.LOGIN, token.name, now())
        response = _redirect(fields.get("next", _HOME))
        set_session_cookie(request, response, sessions.start(operator_tokens.digest(given)))
        return response

    @router.post("/sign-out")
    def sign_out(
        request: Request, fields: dict[str, str] = FormFields, operator: PageOperator | None = signed_in
    ) -> Response:
        response = _redirect(fields.get("next", _HOME))
        if operator is not None:
            expect_csrf_token(sessions, operator.session_id, fields)
            sessions.end(operator.session_id)
            delete_session_cookie(request, response)
        return response

    def _form(request: Request, following: str, error: str = "") -> Response:
        bound = sign_in_cookie(request) or secrets.token_urlsafe(32)
        values = {"csrf": sessions.csrf_token(bound), "next": _safe(following), "error": error, "operator": None}
        response = templates.page("sign_in", NO_STORE, **values)
        response.status_code = _UNAUTHORIZED if error else 200
        set_sign_in_cookie(request, response, bound)
        return response

    return router


def _safe(address: str) -> str:
    return address if _RETURN.fullmatch(address) else _HOME


def _redirect(address: str) -> Response:
    return RedirectResponse(_safe(address), 303, headers=NO_STORE)
