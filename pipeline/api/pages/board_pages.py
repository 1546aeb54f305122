"""Defines the web pages about boards, snapshots, and the moves of models between snapshots."""

from itertools import zip_longest
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.engine import Connection

from pipeline import incident_text
from pipeline.api.cache_policies import RENDERED, REVALIDATE, UNTIL_PUBLISHED
from pipeline.api.citations import bibtex_entry, csl_item
from pipeline.api.costly_work import CostlyWork
from pipeline.api.diff_routes import diff_document, find_diff
from pipeline.api.error_responses import Problem
from pipeline.api.incident_views import IncidentFilter, list_incidents
from pipeline.api.move_reasons import is_clear
from pipeline.api.pages.board_filter import BoardFilter, FilterParam, PageParam, SearchParam, SortParam
from pipeline.api.pages.board_values import board_values, earlier, label_board_values
from pipeline.api.pages.page_templates import PAGE_ROWS, PageTemplates
from pipeline.api.request_params import (
    BoardParam,
    CursorParam,
    SnapshotPairParam,
    SnapshotParam,
    ViewParam,
    decode_cursor,
    encode_cursor,
)
from pipeline.api.snapshot_summaries import summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.jobs.refresh.prepare_answers import WEEK
from pipeline.store.boards import notices, prepared_answers, snapshots, voter_labels
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.read import log_proofs, page_queries
from pipeline.vocabulary.time import DAY

DaysParam = Annotated[float, Query(ge=0, le=36_600, description="Days before the newest vote.")]


def routes(reader: StoreReader, templates: PageTemplates, costly: CostlyWork) -> APIRouter:
    """Return a router with the routes of the pages about boards, snapshots and moves."""
    router = APIRouter()
    _add_board_pages(router, reader, templates)
    _add_snapshot_pages(router, reader, templates)
    _add_diff_pages(router, reader, templates, costly)
    return router


# The pages need one parameter for each thing that a reader may choose.
def _add_board_pages(router: APIRouter, reader: StoreReader, templates: PageTemplates) -> None:
    @router.get("/")
    def newest_board(
        by: ViewParam = "defended", board: BoardParam = None, q: SearchParam = "", provider: FilterParam = "",
        license: FilterParam = "", sort: SortParam = "rank", page: PageParam = 1,
    ) -> Response:  # fmt: skip
        wanted = BoardFilter(by, board, q, provider, license, sort, page)
        with reader.connect() as connection:
            newest = snapshots.latest(connection)
            if newest is None:
                return templates.page("empty", UNTIL_PUBLISHED)
            if board is not None:
                values = label_board_values(reader, connection, newest, wanted)
                return templates.page("label_board", UNTIL_PUBLISHED, **values)
            values = board_values(reader, connection, newest, wanted, _open_incidents(reader, connection))
        # It names open incidents, which come and go without a publication.
        return templates.page("board", REVALIDATE, **values)

    @router.get("/snapshots/{snapshot}/board")
    def one_board(
        snapshot: SnapshotParam, by: ViewParam = "defended", board: BoardParam = None, q: SearchParam = "",
        provider: FilterParam = "", license: FilterParam = "", sort: SortParam = "rank",
        page: PageParam = 1,
    ) -> Response:  # fmt: skip
        wanted = BoardFilter(by, board, q, provider, license, sort, page)
        name, read = ("board", board_values) if board is None else ("label_board", label_board_values)
        with reader.connect() as connection:
            values = read(reader, connection, reader.snapshot(connection, snapshot), wanted)
        return templates.page(name, UNTIL_PUBLISHED, **values)  # a notice may be added to it


def _add_snapshot_pages(router: APIRouter, reader: StoreReader, templates: PageTemplates) -> None:
    @router.get("/snapshots")
    def list_snapshots(cursor: CursorParam = None) -> Response:
        key = decode_cursor(cursor, int)
        with reader.connect() as connection:
            found = page_queries.list_snapshots(connection, PAGE_ROWS + 1, key[0] if key else None)
            rows = [summarize_snapshot(reader, connection, one) for one in found]
        for row, before in zip_longest(rows, rows[1:]):
            row["before"] = before["snapshot"] if before else None
        following = encode_cursor(rows[PAGE_ROWS - 1]["sequence"]) if len(rows) > PAGE_ROWS else None
        return templates.page("snapshots", UNTIL_PUBLISHED, rows=rows[:PAGE_ROWS], next=following)

    @router.get("/snapshots/{snapshot}")
    def snapshot(snapshot: SnapshotParam) -> Response:
        with reader.connect() as connection:
            found = reader.snapshot(connection, snapshot)
            before = page_queries.list_snapshots(connection, 1, found.sequence)
            shown = summarize_snapshot(reader, connection, found)
            body = {**found.body, "exclusions": voter_labels.publish(connection, found.body["exclusions"])}
            body = HiddenModels.of_body(found.body).document(body)
            listed = notices.list_notices(connection, snapshot)
            story = prepared_answers.newest_story(connection, snapshot)
            cited = csl_item(reader.board_name(connection), shown, templates.site)
        # Cached only until the next publication, which changes the newest head and so the proof.
        return templates.page(
            "snapshot", UNTIL_PUBLISHED, snapshot=shown, body=body, notices=listed,
            before=before[0].snapshot_id if before else None, bibtex=bibtex_entry(cited), story=story,
            keys=log_proofs.read_keys(reader.store),
            proof=log_proofs.prove_snapshot(reader.store, snapshot),
        )  # fmt: skip


def _add_diff_pages(router: APIRouter, reader: StoreReader, templates: PageTemplates, costly: CostlyWork) -> None:
    @router.get("/changes")
    async def changes(
        request: Request, days: DaysParam = WEEK, view: ViewParam = "defended", board: BoardParam = None
    ) -> Response:
        """A redirect to the page of moves from the snapshot `days` days ago to the newest snapshot."""

        def find() -> Response:
            with reader.connect() as connection:
                newest = reader.latest(connection)
                before = earlier(reader, connection, newest, days)
            if before is None:
                raise Problem(404, "there is only one snapshot, so no model has moved yet")
            pair = f"{before.snapshot_id}..{newest.snapshot_id}"
            return RedirectResponse(f"/diff/{pair}?{_moves_query(view, board)}", 307, headers=UNTIL_PUBLISHED)

        return await costly.run(request, find)

    @router.get("/diff/{pair}")
    async def diff(
        request: Request, pair: SnapshotPairParam, view: ViewParam = "defended", board: BoardParam = None
    ) -> Response:
        first, _, second = pair.partition("..")

        def compare() -> Response:
            with reader.connect() as connection:
                found = find_diff(reader, connection, first, second, view, board)
                document = diff_document(reader, connection, found)
                ends = [reader.data_until(connection, one.log_size) for one in (found.before, found.after)]
            days = (ends[1] - ends[0]) // DAY if ends[0] is not None and ends[1] is not None else 0
            query = _moves_query(view, board)
            both = [row for row in document["rows"] if row["places"] is not None]
            clear = [row for row in both if is_clear(row["before"], row["after"])]
            clear.sort(key=lambda row: -abs(row["rating"]))
            return templates.page("diff", RENDERED, diff=document, days=days, query=query, clear=clear)

        return await costly.run(request, compare)


def _open_incidents(reader: StoreReader, connection: Connection) -> list[dict[str, Any]]:
    """Return the open incidents in the public form, the most urgent first."""
    found = list_incidents(connection, IncidentFilter(state="open"), reader.hidden(connection), operator=False)
    return sorted(found, key=incident_text.urgency)


def _moves_query(view: str, board: str | None) -> str:
    return urlencode({"view": view, **({} if board is None else {"board": board})})
