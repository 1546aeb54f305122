"""Serves three things: the list of API addresses, the charts of models, and the static files."""

from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from pipeline.api import charts
from pipeline.api.cache_policies import DRAWN, UNTIL_PUBLISHED
from pipeline.api.costly_work import CostlyWork
from pipeline.api.error_responses import not_found
from pipeline.api.model_summaries import model_history
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.request_params import VIEWS, ModelParam, SnapshotParam
from pipeline.api.store_reader import StoreReader

_STATIC = Path(__file__).parents[1] / "static"
_SVG = "image/svg+xml"
_MEDIA_TYPES = {
    "site.css": "text/css; charset=utf-8",
    "board.js": "text/javascript; charset=utf-8",
    "icon.svg": _SVG,
}
# Read at import: the files change only with the version of this program.
_FILES = {name: (_STATIC / name).read_bytes() for name in _MEDIA_TYPES}


def routes(reader: StoreReader, templates: PageTemplates, costly: CostlyWork, app: FastAPI) -> APIRouter:
    """Return a router with the routes of the list of API addresses, the charts and the static files."""
    router = APIRouter()

    @router.get("/api")
    def api() -> Response:
        return templates.page("api", UNTIL_PUBLISHED, tags=_addresses(app.openapi()))

    @router.get("/charts/{snapshot}/{name}.svg")
    async def chart(
        request: Request,
        snapshot: SnapshotParam,
        name: Literal["rating", "share"],
        model: ModelParam,
        size: Literal["wide", "narrow"] = "wide",
        theme: charts.Theme = "light",
    ) -> Response:
        """A model's history up to a snapshot, in the colours of a light or a dark page."""
        width = charts.WIDE if size == "wide" else charts.NARROW
        # A page has up to four: they wait for their turn like other costly requests, and are not counted by client.
        svg = await costly.run(request, lambda: _draw(reader, snapshot, name, model, width, theme), limited=False)
        return Response(svg, media_type=_SVG, headers=DRAWN)

    @router.get("/static/{name}")
    async def static(name: Literal["site.css", "board.js", "icon.svg"]) -> Response:
        return Response(_FILES[name], media_type=_MEDIA_TYPES[name], headers={"cache-control": "public, max-age=300"})

    return router


def _draw(reader: StoreReader, snapshot: str, name: str, model: str, width: int, theme: charts.Theme) -> bytes:
    with reader.connect() as connection:
        newest = reader.snapshot(connection, snapshot).sequence
        if model in reader.hidden(connection):
            raise not_found("a model that the snapshot rates", model)
        views = {view: model_history(reader, connection, model, view) for view in VIEWS}
    raw, defended, style = ([row for row in views[view] if row["sequence"] <= newest] for view in VIEWS)
    if not defended and not raw:
        raise not_found("a model that the snapshot rates", model)
    if name == "rating":
        return charts.rating(defended, raw, width, theme, style)
    return charts.share(defended, width, theme)


def _addresses(openapi: dict[str, Any]) -> list[tuple[str, list[tuple[str, str, str, bool]]]]:
    """Return the API's routes by tag: method, path, description, and whether the path works as a link."""
    found: dict[str, list[tuple[str, str, str, bool]]] = {}
    for path, methods in openapi["paths"].items():
        for method, route in methods.items():
            required = any(p.get("required") for p in route.get("parameters", []))
            is_link = method == "get" and "{" not in path and not required
            line = (method.upper(), path, route.get("description", ""), is_link)
            found.setdefault(route["tags"][0], []).append(line)
    return list(found.items())
