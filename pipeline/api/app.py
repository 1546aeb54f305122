"""The application: routes, error handlers, middleware.

Laws: every response has the security headers; any site may read the API, and no other site can change anything through
it; pages load nothing from other hosts.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import Response

from pipeline import settings as configuration
from pipeline.api import (
    alert_routes,
    diff_routes,
    ledger_routes,
    model_routes,
    notice_routes,
    operator_routes,
    pages,
    snapshot_routes,
    status_routes,
)
from pipeline.api.cache_policies import NO_STORE
from pipeline.api.change_token import ChangeToken
from pipeline.api.error_responses import add_error_handlers
from pipeline.api.middleware import BodyLimit, ResponseHeaders
from pipeline.api.openapi_responses import ERROR_RESPONSES
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.request_params import reject_unknown_params
from pipeline.api.response_cache import ResponseCache
from pipeline.api.store_reader import StoreReader
from pipeline.store import Store
from pipeline.store.read import page_queries

# Each thread uses one connection of the pool, which has six: further threads would only wait for a connection.
_THREADS = 6


def create_app(store: Store) -> FastAPI:
    """Return the application with the API and the pages of an open store, which the caller closes."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        yield

    app = FastAPI(
        title="Leaderboard integrity",
        summary="Audited snapshots of a leaderboard: boards, moves and their reasons, alerts, proofs.",
        version=version("leaderboard-integrity"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # FastAPI's page loads scripts from another host; /api lists the routes
        redoc_url=None,
        lifespan=lifespan,
    )
    reader = StoreReader(store)
    changes = ChangeToken(lambda: anyio.to_thread.run_sync(_read_change_token, store))
    api = APIRouter(prefix="/api/v1", responses=ERROR_RESPONSES, dependencies=[Depends(reject_unknown_params)])
    for module in (
        snapshot_routes,
        notice_routes,
        model_routes,
        diff_routes,
        alert_routes,
        ledger_routes,
        status_routes,
    ):
        api.include_router(module.routes(reader))
    api.include_router(operator_routes.routes(reader, changes))
    app.include_router(api)
    templates = PageTemplates(configuration.load().appeals)
    app.include_router(pages.routes(reader, templates, app))
    add_error_handlers(app, templates.problem)

    @app.get("/empty", include_in_schema=False)
    async def empty() -> Response:
        """An empty response, with which the benchmark compares the others."""
        return Response(b"{}", media_type="application/json", headers=NO_STORE)

    app.add_middleware(BodyLimit)
    app.add_middleware(ResponseCache, token=changes, published=page_queries.publication_token)
    app.add_middleware(ResponseHeaders)
    return app


def _read_change_token(store: Store) -> tuple[int, ...]:
    with store.read() as connection:
        return page_queries.change_token(connection)
