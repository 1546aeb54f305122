"""Serves what other web sites may embed: badges, and the board as a small table in a frame.

No other response may be embedded (`security_headers`).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline.api import badges
from pipeline.api.cache_policies import REVALIDATE, UNTIL_PUBLISHED
from pipeline.api.citations import bibtex_entry, csl_item
from pipeline.api.head_check import is_newest_proved
from pipeline.api.incident_views import IncidentFilter, list_incidents
from pipeline.api.model_summaries import find_model
from pipeline.api.pages.page_templates import IntervalScale, PageTemplates
from pipeline.api.request_params import BoardParam, ModelParam
from pipeline.api.snapshot_summaries import summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.incident_text import count
from pipeline.store.boards.snapshot_intervals import shown_interval

_SVG = "image/svg+xml"
RowsParam = Annotated[int, Query(ge=1, le=100, description="Number of models.")]


def routes(reader: StoreReader, templates: PageTemplates) -> APIRouter:
    """Return a router with the routes of the badges, the embeddable table, and the page that explains them."""
    router = APIRouter()

    @router.get("/badges/model.svg")
    def model_badge(model: ModelParam) -> Response:
        with reader.connect() as connection:
            found = find_model(reader, connection, model)
        return Response(_draw_model(found), media_type=_SVG, headers=UNTIL_PUBLISHED)

    @router.get("/badges/board.svg")
    def board_badge() -> Response:
        with reader.connect() as connection:
            reader.latest(connection)  # raises a 404 if there is none
            svg = _draw_board(is_newest_proved(connection), _open_incidents(reader, connection))
        return Response(svg, media_type=_SVG, headers=REVALIDATE)

    @router.get("/embed/board")
    def table(rows: RowsParam = 10, board: BoardParam = None) -> Response:
        with reader.connect() as connection:
            newest = reader.latest(connection)
            found = reader.rows(connection, newest, "defended", board)
            values = {
                "snapshot": summarize_snapshot(reader, connection, newest),
                "board": board,
                "number": len(found),
                "rows": found[:rows],
                "incidents": _open_incidents(reader, connection),
            }
        return templates.page("embed", REVALIDATE, scale=IntervalScale.covering(found[:rows]), **values)

    @router.get("/share")
    def share() -> Response:
        with reader.connect() as connection:
            newest = reader.latest(connection)
            rows = reader.listed_rows(connection, newest, "defended")
            shown = summarize_snapshot(reader, connection, newest)
            bibtex = bibtex_entry(csl_item(reader.board_name(connection), shown, templates.site))
        model = rows[0]["model"] if rows else ""
        return templates.page("share", UNTIL_PUBLISHED, snapshot=newest.snapshot_id, model=model, bibtex=bibtex)

    return router


def _open_incidents(reader: StoreReader, connection: Connection) -> int:
    wanted = IncidentFilter(state="open")
    return len(list_incidents(connection, wanted, reader.hidden(connection), operator=False))


def _draw_model(model: Mapping[str, Any]) -> bytes:
    name, row = model["model"], model["defended"]
    if row is None:
        return badges.draw_badge(name, "not rated", badges.NEUTRAL, f"{name}: not rated")
    low, high = shown_interval(row)
    value = f"#{row['rank']} · {row['rating']:,.0f} ({low:,.0f}–{high:,.0f})"
    title = f"{name}: rank {row['rank']}, {row['rating']:,.1f} points, 95% interval {low:,.1f} to {high:,.1f}"
    return badges.draw_badge(name, value, badges.NEUTRAL, title)


def _draw_board(proved: bool, incidents: int) -> bytes:
    label = "leaderboard integrity"
    if not proved:
        title = "The newest snapshot is not in the signed log: do not rely on this board"
        return badges.draw_badge(label, "proof fails", badges.BAD, title)
    stated = count(incidents, "open incident") if incidents else "no open incident"
    title = f"The newest snapshot is in the signed log, checked when this was drawn; {stated}"
    return badges.draw_badge(label, f"verified · {stated}", badges.OPEN if incidents else badges.GOOD, title)
