"""Every error as a problem document (RFC 9457); a page where a browser asked for a page.

Laws: what the caller did wrong is a 4xx that names the field; a store that does not answer is a 503 that says so;
nothing of this program's insides is shown.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from pipeline.errors import BadInput, IntegrityError, Unavailable, UnknownAlert, Usage

_log = logging.getLogger("integrity.api")
MEDIA_TYPE = "application/problem+json"

# PostgreSQL: insufficient_privilege.
_DENIED = "42501"

PageOf = Callable[[Request, dict[str, Any]], Response]


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: of HTTP.
        detail: a sentence with what was expected and what came.
        headers: besides.
        more: further members of the document.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more


def not_found(what: str, got: str) -> Problem:
    """404: expected `what`, got something else."""
    return Problem(404, f"expected {what}, got {got[:200]!r}")


def install(app: FastAPI, page: PageOf) -> None:
    """Turn everything that is raised into a problem document.

    Args:
        app: the application.
        page: makes the page of a document.
    """

    def answer(request: Request, problem: Problem) -> Response:
        document = {
            "type": "about:blank",
            "title": HTTPStatus(problem.status).phrase,
            "status": problem.status,
            "detail": problem.detail,
            "instance": request.url.path,
            **problem.more,
        }
        response = page(request, document) if _wants_page(request) else _document(document)
        response.status_code = problem.status
        response.headers.update({"cache-control": "no-store", **problem.headers})
        return response

    def listen(kind: type[Exception], read: Callable[[Any], Problem]) -> None:
        async def handler(request: Request, error: Exception) -> Response:
            return answer(request, read(error))

        app.add_exception_handler(kind, handler)

    listen(Problem, lambda error: error)
    listen(HTTPException, _of_http)
    listen(RequestValidationError, _of_validation)
    listen(IntegrityError, _of_ours)
    listen(DBAPIError, _of_database)
    listen(PoolTimeout, _of_database)
    listen(Exception, _of_bug)


def _document(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document, ensure_ascii=False), media_type=MEDIA_TYPE)


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _of_http(error: HTTPException) -> Problem:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"expected one of the methods {(error.headers or {}).get('Allow', 'GET')}"
    elif error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this address; /api lists what there is"
    else:
        detail = str(error.detail)
    return Problem(error.status_code, detail, dict(error.headers or {}))


def _of_validation(error: RequestValidationError) -> Problem:
    errors = [
        {"field": ".".join(str(part) for part in one["loc"][1:]), "in": str(one["loc"][0]), "detail": one["msg"]}
        for one in error.errors()
    ]
    first = errors[0] if errors else {"field": "", "in": "request", "detail": "not valid"}
    return Problem(422, f"{first['in']} {first['field']}: {first['detail']}", errors=errors)


def _of_ours(error: IntegrityError) -> Problem:
    if isinstance(error, UnknownAlert):
        return Problem(404, str(error))
    if isinstance(error, Unavailable):
        _log.error("unavailable: %s", error)
        return Problem(503, "the store does not answer; try again", {"retry-after": "5"})
    if isinstance(error, Usage | BadInput):
        return Problem(422, str(error))
    return _of_bug(error)


def _of_database(error: Exception) -> Problem:
    if getattr(getattr(error, "orig", None), "sqlstate", None) == _DENIED:
        return Problem(403, "this server may only read: its role in the database decides nothing")
    _log.error("the store: %s", error)
    return Problem(503, "the store does not answer; try again", {"retry-after": "5"})


def _of_bug(error: Exception) -> Problem:
    _log.error("a fault of this program", exc_info=error)
    return Problem(500, "a fault of this program; it is in its log")
