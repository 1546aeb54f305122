"""The application: routes, errors, headers.

Laws: every answer carries the headers that keep a browser from doing more than showing it; the API may be read from any
other page, and changed from none; nothing is loaded from elsewhere, so a page works behind any wall.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.api import alerts, documents, ledger, models, moves, operators, pages, problems, snapshots, status
from pipeline.api.change_token import ChangeToken
from pipeline.api.reader import NEVER, Reader
from pipeline.api.request_params import nothing_else
from pipeline.api.response_cache import ResponseCache
from pipeline.store import Store
from pipeline.store.read import page_queries

_LONGEST_BODY = 64 << 10
# Each holds a connection of the pool, which has six, while it reads: more would only wait for one.
_READERS = 6

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_OPEN = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, X-Next-Cursor, Content-Disposition"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"description": what, "content": {problems.MEDIA_TYPE: {"schema": documents.Problem.model_json_schema()}}}
    for code, what in (("4XX", "The request is wrong; says where."), ("503", "The store does not answer; try again."))
}


def create_app(store: Store) -> FastAPI:
    """The API and the pages over a store.

    Args:
        store: open; the caller closes it.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _READERS
        yield

    app = FastAPI(
        title="Leaderboard integrity",
        summary="Audited snapshots of a leaderboard: boards, moves and their reasons, alerts, proofs.",
        version=version("leaderboard-integrity"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere; /api lists the routes
        redoc_url=None,
        lifespan=lifespan,
    )
    reader = Reader(store)
    changes = ChangeToken(lambda: anyio.to_thread.run_sync(_change_token, store))
    api = APIRouter(prefix="/api/v1", responses=_ERRORS, dependencies=[Depends(nothing_else)])
    for part in (snapshots, models, moves, alerts, ledger, status):
        api.include_router(part.routes(reader))
    api.include_router(operators.routes(reader, changes))
    app.include_router(api)
    templates = pages.Templates()
    app.include_router(pages.routes(reader, templates, app))
    problems.install(app, templates.problem)

    @app.get("/empty", include_in_schema=False)
    async def empty() -> Response:
        """Nothing: what the benchmark measures the others against."""
        return Response(b"{}", media_type="application/json", headers=NEVER)

    app.add_middleware(_Bounded)
    app.add_middleware(ResponseCache, token=changes, published=page_queries.publication_token)
    app.add_middleware(_Headers)
    return app


def _change_token(store: Store) -> tuple[int, ...]:
    with store.read() as connection:
        return page_queries.change_token(connection)


class _Bounded:
    """ASGI middleware: a body that is longer than any decision is refused while it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > _LONGEST_BODY:
                raise HTTPException(413, f"expected a body of at most {_LONGEST_BODY:,} bytes")
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)


class _Headers:
    """ASGI middleware: the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add them."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        more = _HEADERS + _OPEN if scope["path"].startswith("/api/") else _HEADERS

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, with_headers)
