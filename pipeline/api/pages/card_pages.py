"""Serves share cards of the board, models and incidents, as PNG. Pages name their card as `og:image`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline.api import share_cards
from pipeline.api.cache_policies import REVALIDATE
from pipeline.api.costly_work import CostlyWork
from pipeline.api.incident_views import IncidentFilter, find_incident, list_incidents
from pipeline.api.model_summaries import find_model
from pipeline.api.request_params import ModelParam
from pipeline.api.store_reader import StoreReader
from pipeline.incident_text import count, what_was_done
from pipeline.store.boards.snapshot_intervals import shown_interval

_PNG = "image/png"
_IncidentQuery = Annotated[str, Query(pattern="^[0-9a-f]{4,12}$", description="An incident's id.")]


def routes(reader: StoreReader, costly: CostlyWork) -> APIRouter:
    """Return a router with the routes of the share cards."""
    router = APIRouter()

    async def answer(request: Request, draw: Callable[[Connection, str], bytes], policy: Mapping[str, str]) -> Response:
        def work() -> Response:
            with reader.connect() as connection:
                png = draw(connection, reader.board_name(connection))
            return Response(png, media_type=_PNG, headers=dict(policy))

        return await costly.run(request, work)

    @router.get("/cards/board.png")
    async def of_board(request: Request) -> Response:
        def draw(connection: Connection, board: str) -> bytes:
            newest = reader.latest(connection)
            rows = reader.listed_rows(connection, newest, "defended")
            return share_cards.draw_board_card(board, rows, _footer(reader, connection))

        return await answer(request, draw, REVALIDATE)

    @router.get("/cards/model.png")
    async def of_model(request: Request, model: ModelParam) -> Response:
        def draw(connection: Connection, board: str) -> bytes:
            found = find_model(reader, connection, model)
            return share_cards.draw_text_card(board, found["model"], _model_lines(found), _footer(reader, connection))

        return await answer(request, draw, REVALIDATE)

    @router.get("/cards/incident.png")
    async def of_incident(request: Request, incident: _IncidentQuery) -> Response:
        def draw(connection: Connection, board: str) -> bytes:
            found = find_incident(connection, incident, reader.hidden(connection), operator=False)
            lines = [f"Done so far: {what_was_done(found)}"]
            footer = f"Incident {found['id']}: {found['severity']}, {found['state']}; {found['confidence']}"
            return share_cards.draw_text_card(board, found["headline"], lines, footer)

        return await answer(request, draw, REVALIDATE)

    return router


def _footer(reader: StoreReader, connection: Connection) -> str:
    newest = reader.latest(connection)
    until = reader.data_until_text(connection, newest.log_size)
    votes = f"{count(newest.body['votes_counted'], 'vote')}{f' up to {until[:10]}' if until else ''}"
    return f"Snapshot {newest.snapshot_id[:12]} · {votes} · {_open_incidents(reader, connection)}"


def _open_incidents(reader: StoreReader, connection: Connection) -> str:
    found = list_incidents(connection, IncidentFilter(state="open"), reader.hidden(connection), operator=False)
    return count(len(found), "open incident") if found else "no open incident"


def _model_lines(model: Mapping[str, Any]) -> list[str]:
    if model["defended"] is None:
        return [f"Not rated: {model['unrated']}" if model["unrated"] else "Not rated"]
    row, raw = model["defended"], model["raw"]
    low, high = shown_interval(row)
    lines = [f"Rank {row['rank']}, {row['rating']:,.1f} points ({low:,.1f} to {high:,.1f})"]
    if raw is not None and raw["rank"] != row["rank"]:
        lines.append(f"Rank {raw['rank']} if excluded votes counted")
    return [*lines, f"{row['votes']:,} votes", *([f"By {model['provider']}"] if model["provider"] else [])]
