"""Creates the web application: its routes, error handlers and middleware.

Every response has the security headers. Scripts of any web site may read the API, but cannot change anything through
it. Pages load nothing from other hosts. Costly requests run in a thread pool of their own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp

from pipeline import settings as configuration
from pipeline.api import (
    alert_routes,
    citation_routes,
    comparison_routes,
    diff_routes,
    incident_operator_routes,
    incident_routes,
    ledger_routes,
    model_routes,
    notice_routes,
    operator_routes,
    pages,
    snapshot_routes,
    status_routes,
    story_routes,
)
from pipeline.api.cache_policies import NO_STORE, RENDERED
from pipeline.api.change_token import ChangeToken
from pipeline.api.client_rates import ClientRates
from pipeline.api.costly_work import THREADS as COSTLY_THREADS
from pipeline.api.costly_work import CostlyWork
from pipeline.api.error_responses import add_error_handlers
from pipeline.api.login_guard import LoginGuard
from pipeline.api.middleware import BodyLimit, ResponseHeaders
from pipeline.api.openapi_responses import ERROR_RESPONSES
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.request_params import reject_unknown_params
from pipeline.api.response_cache import ResponseCache
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response
from pipeline.metrics import ApiMetrics
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.read import page_queries

# Each thread uses one connection of the pool, which has eight: further threads would only wait for a connection. One
# is kept for the change token, on which every cached page waits, and one for bundles, which take longest.
_THREADS = 8 - COSTLY_THREADS - 2


class _Site(FastAPI):
    """A FastAPI application inside the middleware `outermost`.

    The middleware also gets the responses of error handlers.
    """

    outermost: Any = None

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with its middleware; called once, by the first request."""
        wrapped: ASGIApp = self.outermost(super().build_middleware_stack())
        return wrapped


def create_app(store: Store, options: Settings | None = None, metrics: ApiMetrics | None = None) -> FastAPI:
    """Create the web application that serves the API and the pages of a store.

    Args:
        store: an open store, which the caller must close after use.
        options: the settings, such as limits for each client and the address for appeals. None to load the settings of
            this process.
        metrics: counters of responses and refused requests; None to create new counters.
    """
    options, metrics = options or configuration.load(), metrics or ApiMetrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        yield

    app = _Site(
        title="Leaderboard integrity",
        summary="Audited snapshots of a leaderboard: boards, moves and their reasons, alerts, proofs.",
        version=version("leaderboard-integrity"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,  # FastAPI would render it for every request; see below
        docs_url=None,  # FastAPI's page loads scripts from another host; /api lists the routes
        redoc_url=None,
        redirect_slashes=False,  # it redirects to the host that the client names
        lifespan=lifespan,
    )
    app.outermost = lambda inner: ResponseHeaders(inner, metrics.count_response, options.https_days)
    reader = StoreReader(store)
    rates = ClientRates(options.costly_per_minute)
    costly, bundling = CostlyWork(rates, metrics), CostlyWork(rates, metrics, threads=1)
    one_thread = anyio.CapacityLimiter(1)
    changes = ChangeToken(lambda: anyio.to_thread.run_sync(_read_change_token, store, limiter=one_thread))
    app.state.logins = LoginGuard(ClientRates(options.logins_per_minute), metrics)
    app.include_router(_api_routes(reader, options, costly, bundling, changes))
    templates = PageTemplates(options.appeals, options.external_url)
    app.include_router(pages.routes(reader, templates, costly, changes, app))
    add_error_handlers(app, templates.problem)

    @app.get("/api/v1/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        """Return the OpenAPI description, which is computed once."""
        return json_response(app.openapi(), RENDERED)

    @app.get("/empty", include_in_schema=False)
    async def empty() -> Response:
        """An empty response. The benchmark compares the speed of other responses with the speed of this one."""
        return Response(b"{}", media_type="application/json", headers=NO_STORE)

    app.add_middleware(BodyLimit)
    app.add_middleware(ResponseCache, token=changes, published=page_queries.publication_token)
    return app


def _api_routes(
    reader: StoreReader, options: Settings, costly: CostlyWork, bundling: CostlyWork, changes: ChangeToken
) -> APIRouter:
    """Return a router with all routes of the API, in the order in which OpenAPI lists them."""
    api = APIRouter(prefix="/api/v1", responses=ERROR_RESPONSES, dependencies=[Depends(reject_unknown_params)])
    for plain in (snapshot_routes, notice_routes, incident_routes, alert_routes, status_routes):
        api.include_router(plain.routes(reader))
    for linked in (citation_routes, story_routes):
        api.include_router(linked.routes(reader, options.external_url))
    for mixed, work in (
        (model_routes, costly),
        (comparison_routes, costly),
        (diff_routes, costly),
        (ledger_routes, bundling),
    ):
        api.include_router(mixed.routes(reader, work))
    api.include_router(operator_routes.routes(reader, changes))
    api.include_router(incident_operator_routes.routes(reader, changes))
    return api


def _read_change_token(store: Store) -> tuple[int, ...]:
    with store.read() as connection:
        return page_queries.change_token(connection)
