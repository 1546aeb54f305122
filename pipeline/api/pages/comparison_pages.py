"""Serves the page that compares two models, and its chart."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline.api import charts
from pipeline.api.cache_policies import DRAWN, UNTIL_PUBLISHED
from pipeline.api.charts import Theme
from pipeline.api.comparison_routes import FirstParam, SecondParam
from pipeline.api.costly_work import CostlyWork
from pipeline.api.error_responses import not_found
from pipeline.api.model_comparison import compare_models
from pipeline.api.model_summaries import model_history
from pipeline.api.pages.page_templates import IntervalScale, PageTemplates
from pipeline.api.request_params import VIEWS, SnapshotParam
from pipeline.api.store_reader import StoreReader

# A form sends an empty text where nothing is chosen.
_Choice = Annotated[str, Query(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
# Rows of the table that says the same as the chart.
_POINTS = 12


def routes(reader: StoreReader, templates: PageTemplates, costly: CostlyWork) -> APIRouter:
    """Return a router with the routes of the page that compares two models, and of its chart."""
    router = APIRouter()

    @router.get("/compare")
    async def compare(request: Request, a: _Choice = "", b: _Choice = "") -> Response:
        def work() -> Response:
            with reader.connect() as connection:
                newest = reader.latest(connection)
                names = sorted(row["model"] for row in reader.listed_rows(connection, newest, "defended"))
                values = _values(reader, connection, a, b) if a and b else {"found": None}
            return templates.page("compare", UNTIL_PUBLISHED, names=names, chosen=(a, b), **values)

        return await costly.run(request, work)

    @router.get("/charts/{snapshot}/comparison.svg")
    async def chart(
        request: Request,
        snapshot: SnapshotParam,
        a: FirstParam,
        b: SecondParam,
        size: Literal["wide", "narrow"] = "wide",
        theme: Theme = "light",
    ) -> Response:
        """A picture (SVG) of the ratings of two models in the snapshots up to a given one."""
        width = charts.WIDE if size == "wide" else charts.NARROW

        def draw() -> bytes:
            with reader.connect() as connection:
                newest = reader.snapshot(connection, snapshot).sequence
                first, second = (_history(reader, connection, model, newest) for model in (a, b))
            return charts.comparison(first, second, width, theme)

        svg = await costly.run(request, draw, limited=False)
        return Response(svg, media_type="image/svg+xml", headers=DRAWN)

    return router


def _values(reader: StoreReader, connection: Connection, a: str, b: str) -> dict[str, Any]:
    found = compare_models(reader, connection, a, b)
    sides = [found[side] for side in "ab"]
    rows = [side[view] for side in sides for view in VIEWS if side[view]]
    histories = [model_history(reader, connection, side["model"], "defended")[-_POINTS:] for side in sides]
    by_snapshot = [{row["sequence"]: row for row in history} for history in histories]
    known = {row["sequence"]: row for history in histories for row in history}
    points = [(row, *(one.get(number) for one in by_snapshot)) for number, row in sorted(known.items(), reverse=True)]
    return {
        "found": found,
        "sides": sides,
        "scale": IntervalScale.covering(rows) if rows else None,
        "points": points[:_POINTS],
        "charted": all(histories),
    }


def _history(reader: StoreReader, connection: Connection, model: str, newest: int) -> list[dict[str, Any]]:
    rows = [] if model in reader.hidden(connection) else model_history(reader, connection, model, "defended")
    rows = [row for row in rows if row["sequence"] <= newest]
    if not rows:
        raise not_found("a model that the snapshot rates", model)
    return rows
