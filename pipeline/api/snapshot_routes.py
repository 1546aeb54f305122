"""Defines the routes of the API about snapshots and boards."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.api.cache_policies import IMMUTABLE, UNTIL_PUBLISHED
from pipeline.api.documents.board_documents import (
    BoardDocument,
    SnapshotDetailDocument,
    SnapshotListDocument,
    StandingListDocument,
)
from pipeline.api.error_responses import Problem, not_found
from pipeline.api.openapi_responses import REDIRECT_RESPONSES, TABLE_RESPONSES
from pipeline.api.request_params import (
    VIEWS,
    BoardParam,
    CursorParam,
    FormatParam,
    LimitParam,
    SnapshotParam,
    ViewParam,
    decode_cursor,
    encode_cursor,
)
from pipeline.api.snapshot_summaries import join_views, summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import file_name, json_response, table_response
from pipeline.errors import Usage
from pipeline.ledger.interval_rows import COLUMNS
from pipeline.store.boards import snapshots
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries
from pipeline.vocabulary.method_rules import RULE_BITS
from pipeline.vocabulary.time import format_rfc3339, parse_iso8601

_PREFIX = Path(pattern="^[0-9a-f]{8,64}$", description="A snapshot's name or digest, or the beginning of it.")
_AT = Query(max_length=40, description="The board in force at this time (ISO 8601).")
_COVERAGE = ("late_rule", "late", "unchecked")
_FIGURES = ("rank", "rating", "lower", "upper", "rank_best", "rank_worst", "votes", "preliminary", *COLUMNS)


def routes(reader: StoreReader) -> APIRouter:
    """Return a router with the routes about snapshots and boards, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["snapshots"])
    _add_snapshot_routes(router, reader)
    _add_board_routes(router, reader)
    return router


def _add_snapshot_routes(router: APIRouter, reader: StoreReader) -> None:
    @router.get("/latest", status_code=307, response_class=RedirectResponse, responses=REDIRECT_RESPONSES)
    def latest() -> Response:
        """The newest snapshot: a redirect to its own address, whose content never changes."""
        with reader.connect() as connection:
            return _redirect(f"/api/v1/snapshots/{reader.latest(connection).snapshot_id}")

    @router.get("/snapshots", response_model=SnapshotListDocument, responses=TABLE_RESPONSES)
    def list_snapshots(
        request: Request, table_format: FormatParam = None, limit: LimitParam = 100, cursor: CursorParam = None
    ) -> Response:
        """List published snapshots, newest first."""
        key = decode_cursor(cursor, int)
        with reader.connect() as connection:
            found = page_queries.list_snapshots(connection, limit + 1, key[0] if key else None)
            rows = [summarize_snapshot(reader, connection, one) for one in found[:limit]]
        following = encode_cursor(rows[-1]["sequence"]) if len(found) > limit else None
        document = {"rows": rows, "next": following}
        return table_response(
            request, table_format, document, "snapshots", UNTIL_PUBLISHED, table_row=_snapshot_table_row
        )

    @router.get("/snapshots/{snapshot}", response_model=SnapshotDetailDocument, responses=REDIRECT_RESPONSES)
    def snapshot(snapshot: Annotated[str, _PREFIX]) -> Response:
        """A snapshot: what it counts, what it excludes and why, its settings.

        Its name is the SHA-256 of its body. `body` has a placeholder for each model that was under test; the bundle has
        the body as it was signed.
        """
        with reader.connect() as connection:
            found = page_queries.find_snapshot(connection, snapshot)
            if found is None:
                whole = _require_one(page_queries.ids_with_prefix(connection, snapshot), snapshot)
                return _redirect(f"/api/v1/snapshots/{whole}")
            body = HiddenModels.of_body(found.body).document(found.body)
            return json_response({**summarize_snapshot(reader, connection, found), "body": body}, IMMUTABLE)


def _add_board_routes(router: APIRouter, reader: StoreReader) -> None:
    @router.get("/snapshots/{snapshot}/leaderboard", response_model=BoardDocument, responses=TABLE_RESPONSES)
    def one_board(
        request: Request,
        snapshot: SnapshotParam,
        view: ViewParam = "defended",
        board: BoardParam = None,
        table_format: FormatParam = None,
        limit: LimitParam = 1000,
        cursor: CursorParam = None,
    ) -> Response:
        """A board in one view, best model first; `board` names a board by category or language."""
        with reader.connect() as connection:
            found = reader.snapshot(connection, snapshot)
            rows = reader.rows(connection, found, view, board)
        stated = {"published_at": format_rfc3339(found.published_at), "view": view, "board": board}
        page = {"snapshot": snapshot, **stated, **_page(rows, cursor, limit)}
        name = f"leaderboard-{file_name(board or view)}-{snapshot[:12]}"
        return table_response(request, table_format, page, name, IMMUTABLE)

    @router.get("/snapshots/{snapshot}/standings", response_model=StandingListDocument, responses=TABLE_RESPONSES)
    def standings(
        request: Request,
        snapshot: SnapshotParam,
        table_format: FormatParam = None,
        limit: LimitParam = 1000,
        cursor: CursorParam = None,
    ) -> Response:
        """Raw, defended and style-controlled ratings and ranks side by side."""
        with reader.connect() as connection:
            found = reader.snapshot(connection, snapshot)
            rows = join_views({view: reader.listed_rows(connection, found, view) for view in VIEWS})
        page, name = {"snapshot": found.snapshot_id, **_page(rows, cursor, limit)}, f"standings-{snapshot[:12]}"
        return table_response(request, table_format, page, name, IMMUTABLE, table_row=_table_row)

    @router.get("/leaderboard", status_code=307, response_class=RedirectResponse, responses=REDIRECT_RESPONSES)
    def newest_board(
        view: ViewParam = "defended", board: BoardParam = None, at: Annotated[str | None, _AT] = None
    ) -> Response:
        """A redirect to the newest board, or to the board that was in force at a given time."""
        with reader.connect() as connection:
            found = reader.latest(connection) if at is None else _find_at(connection, at)
        chosen = {"view": view, **({} if board is None else {"board": board})}
        return _redirect(f"/api/v1/snapshots/{found.snapshot_id}/leaderboard?{urlencode(chosen)}")


def _snapshot_table_row(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a snapshot as a table row. All rows have the same columns."""
    left_out = dict.fromkeys(RULE_BITS) | snapshot["left_out"]
    return snapshot | {"coverage": snapshot["coverage"] or dict.fromkeys(_COVERAGE), "left_out": left_out}


def _table_row(standing: dict[str, Any]) -> dict[str, Any]:
    """Return the standing of a model, which has its figures by view, as a table row. All rows have the same columns."""
    return {"model": standing["model"]} | {
        f"{view}_{name}": standing[view][name] if standing[view] else None for view in VIEWS for name in _FIGURES
    }


def _page(rows: list[dict[str, Any]], cursor: str | None, limit: int) -> dict[str, Any]:
    """Return a page of a snapshot's rows.

    The cursor is the number of rows before the page, because rows never change.
    """
    key = decode_cursor(cursor, int)
    start = max(0, key[0]) if key else 0
    end = start + limit
    return {"rows": rows[start:end], "next": encode_cursor(end) if end < len(rows) else None}


def _require_one(ids: list[str], prefix: str) -> str:
    if len(ids) > 1:
        raise Problem(404, f"expected the beginning of one snapshot's digest, got {prefix!r}, which several begin with")
    if not ids:
        raise not_found("the digest of a published snapshot", prefix)
    return ids[0]


def _find_at(connection: Any, text: str) -> PublishedSnapshot:
    try:
        at = parse_iso8601(text)
    except ValueError as error:
        raise Problem(422, f"query at: {error}") from None
    try:
        return snapshots.find(connection, at=at)
    except Usage:
        raise Problem(404, f"no snapshot was published by {text}") from None


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 307, headers=UNTIL_PUBLISHED)
