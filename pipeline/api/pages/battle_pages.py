"""Serves the page about the battles between the best models, with a heatmap and a network.

Each of the two charts is also served at an address of its own.
"""

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pipeline.api import battle_charts
from pipeline.api.battle_records import Record, read_top_records
from pipeline.api.cache_policies import DRAWN, UNTIL_PUBLISHED
from pipeline.api.charts import Theme
from pipeline.api.costly_work import CostlyWork
from pipeline.api.error_responses import not_found
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.api.request_params import SnapshotParam
from pipeline.api.store_reader import StoreReader

# Pairs in each of the two short lists.
_LISTED = 5


def routes(reader: StoreReader, templates: PageTemplates, costly: CostlyWork) -> APIRouter:
    """Return a router with the routes of the page about battles and of its two charts."""
    router = APIRouter()

    @router.get("/battles")
    async def battles(request: Request) -> Response:
        def work() -> Response:
            with reader.connect() as connection:
                newest = reader.latest(connection)
                models, records = read_top_records(reader, connection, newest)
            values = _values(models, records or [])
            return templates.page("battles", UNTIL_PUBLISHED, snapshot=newest.snapshot_id, counted=records, **values)

        return await costly.run(request, work)

    async def chart(request: Request, snapshot: str, kind: str, theme: Theme, size: str) -> Response:
        def draw() -> bytes:
            with reader.connect() as connection:
                models, records = read_top_records(reader, connection, reader.snapshot(connection, snapshot))
            if not records:
                raise not_found("the digest of the newest snapshot, whose battles are stored", snapshot)
            drawn = battle_charts.heatmap if kind == "winrates" else battle_charts.network
            return drawn(models, records, theme, size == "narrow")

        svg = await costly.run(request, draw, limited=False)
        return Response(svg, media_type="image/svg+xml", headers=DRAWN)

    @router.get("/charts/{snapshot}/winrates.svg")
    async def winrates(
        request: Request, snapshot: SnapshotParam, theme: Theme = "light", size: Literal["wide", "narrow"] = "wide"
    ) -> Response:
        """How often each of the best models won against each of the others."""
        return await chart(request, snapshot, "winrates", theme, size)

    @router.get("/charts/{snapshot}/network.svg")
    async def network(
        request: Request, snapshot: SnapshotParam, theme: Theme = "light", size: Literal["wide", "narrow"] = "wide"
    ) -> Response:
        """Which of the best models met, and how often."""
        return await chart(request, snapshot, "network", theme, size)

    return router


def _values(models: Sequence[str], records: Sequence[Record]) -> dict[str, Any]:
    """Return the values of the page's template: the matrix of scores, totals, and two lists of pairs.

    The matrix is row model → column model → (share of battles that the row model won, number of battles). One list has
    the pairs with most battles. The other has the pairs whose score differs most from the expected score, in standard
    errors.
    """
    scores: dict[str, dict[str, tuple[float, int]]] = {model: {} for model in models}
    for one in records:
        scores[one["model"]][one["opponent"]] = one["score"], one["votes"]
        scores[one["opponent"]][one["model"]] = 1 - one["score"], one["votes"]
    by_votes = sorted(records, key=lambda one: -one["votes"])
    # In standard errors of the score, with the largest variance that it can have.
    surprises = sorted(records, key=lambda one: -abs(one["score"] - one["expected"]) * float(one["votes"]) ** 0.5)
    return {
        "models": models,
        "scores": scores,
        "pairs": len(records),
        "possible": len(models) * (len(models) - 1) // 2,
        "votes": sum(one["votes"] for one in records),
        "most": by_votes[:_LISTED],
        "surprises": surprises[:_LISTED],
    }
