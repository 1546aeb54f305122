"""Converts every exception to a problem document (RFC 9457), or to a page if the client is a browser.

A mistake of the client gets a 4xx status and a response that names the field. If the store does not answer, the status
is 503. No response shows internals such as a stack trace. A redirect leads only to a path of this site.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from pipeline.errors import BadInput, IntegrityError, Unavailable, UnknownAlert, Usage
from pipeline.vocabulary.visible_text import json_text

_log = logging.getLogger("integrity.api")
PROBLEM_MEDIA_TYPE = "application/problem+json"

# PostgreSQL's SQLSTATE insufficient_privilege.
_INSUFFICIENT_PRIVILEGE = "42501"

PageRenderer = Callable[[Request, dict[str, Any]], Response]


class Problem(Exception):
    """An error that is sent to the client as a problem document (RFC 9457).

    It may set response headers and add fields to the document.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more


def not_found(expected: str, got: str) -> Problem:
    """Return a `Problem` with status 404, for the caller to raise.

    Args:
        expected: what the client should have given, as the words after "expected" in the message.
        got: what the client gave. The message quotes its first 200 characters.
    """
    return Problem(404, f"expected {expected}, got {got[:200]!r}")


def add_error_handlers(app: FastAPI, render_page: PageRenderer) -> None:
    """Install handlers that convert every exception to a problem document or a page.

    Args:
        app: the application.
        render_page: returns the page that shows a problem document to a browser.
    """

    def respond(request: Request, problem: Problem) -> Response:
        document = {
            "type": "about:blank",
            "title": HTTPStatus(problem.status).phrase,
            "status": problem.status,
            "detail": problem.detail,
            "instance": request.scope["path"],
            **problem.more,
        }
        response = render_page(request, document) if _wants_page(request) else _document_response(document)
        response.status_code = problem.status
        response.headers.update({"cache-control": "no-store", **problem.headers})
        return response

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # it is the handler of these
        shorter = _without_last_slash(request) if error.status_code == HTTPStatus.NOT_FOUND else None
        if shorter is not None:
            return RedirectResponse(shorter, HTTPStatus.TEMPORARY_REDIRECT, {"cache-control": "no-store"})
        return respond(request, _from_http(error))

    def handle(kind: type[Exception], convert: Callable[[Any], Problem]) -> None:
        async def handler(request: Request, error: Exception) -> Response:
            return respond(request, convert(error))

        app.add_exception_handler(kind, handler)

    handle(Problem, lambda error: error)
    app.add_exception_handler(HTTPException, missing)
    handle(RequestValidationError, _from_validation)
    handle(IntegrityError, _from_integrity_error)
    handle(DBAPIError, _from_database)
    handle(PoolTimeout, _from_database)
    handle(Exception, _from_bug)


def _document_response(document: dict[str, Any]) -> Response:
    return Response(json_text(document), media_type=PROBLEM_MEDIA_TYPE)


def _wants_page(request: Request) -> bool:
    return not request.scope["path"].startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _without_last_slash(request: Request) -> str | None:
    """Return the path without slashes at its end, and the query. None if nothing was removed or no route has this path.

    The result has no host, so that a redirect to it stays on this site.
    """
    path = request.scope["path"]
    shorter = "/" + path.strip("/")
    if not path.endswith("/") or shorter == "/":
        return None
    scope = {**request.scope, "path": shorter}
    if all(route.matches(scope)[0] is Match.NONE for route in request.app.routes):
        return None
    query = request.scope["query_string"].decode("latin-1")
    return quote(shorter) + (f"?{query}" if query else "")


def _from_http(error: HTTPException) -> Problem:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"expected one of the methods {(error.headers or {}).get('Allow', 'GET')}"
    elif error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this address; /api lists all addresses"
    else:
        detail = str(error.detail)
    return Problem(error.status_code, detail, dict(error.headers or {}))


def _from_validation(error: RequestValidationError) -> Problem:
    places = [(one["msg"] + _found(one), *map(str, one["loc"])) for one in error.errors()]
    errors = [{"field": ".".join(field), "in": part, "detail": text} for text, part, *field in places]
    first = errors[0] if errors else {"field": "", "in": "request", "detail": "not valid"}
    return Problem(422, f"{first['in']} {first['field']}: {first['detail']}", errors=errors)


def _found(fault: dict[str, Any]) -> str:
    """Return the words ", got VALUE" for a query parameter; "" for a value in the body, which may contain a token."""
    return f", got {fault['input'][:100]!r}" if fault["loc"][0] == "query" and isinstance(fault["input"], str) else ""


def _from_integrity_error(error: IntegrityError) -> Problem:
    if isinstance(error, UnknownAlert):
        return Problem(404, str(error))
    if isinstance(error, Unavailable):
        _log.error("unavailable: %s", error)
        return _store_unavailable()
    if isinstance(error, Usage | BadInput):
        return Problem(422, str(error))
    return _from_bug(error)


def _from_database(error: Exception) -> Problem:
    if getattr(getattr(error, "orig", None), "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
        return Problem(403, "this server only reads: its database role may not write decisions")
    _log.error("database error: %s", error)
    return _store_unavailable()


def _store_unavailable() -> Problem:
    return Problem(503, "the store does not answer; try again", {"retry-after": "5"})


def _from_bug(error: Exception) -> Problem:
    _log.error("internal error", exc_info=error)
    return Problem(500, "internal error of this program; its log has the details")
