"""Snapshots and boards."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.api import documents
from pipeline.api.problems import Problem, not_found
from pipeline.api.reader import FOREVER, UNTIL_PUBLISHED, Reader, summary
from pipeline.api.request_params import Cursor, FormOf, Limit, SnapshotId, ViewOf, cursor_of, form_of, key_of
from pipeline.api.tables import PARQUET, answer, as_json
from pipeline.errors import Usage
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries
from pipeline.vocabulary.time import parse_iso8601

VIEWS = ("raw", "defended", "style")
TABLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}, PARQUET: {"schema": {"type": "string"}}}}
}
MOVED: dict[int | str, dict[str, Any]] = {307: {"description": "The newest one's own address."}}


def routes(reader: Reader) -> APIRouter:  # a list of routes
    """The routes, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["snapshots"])

    @router.get("/latest", status_code=307, response_class=RedirectResponse, responses=MOVED)
    def latest() -> Response:
        """The newest snapshot: a redirect to its own address, which never changes."""
        with reader.read() as connection:
            return _moved(f"/api/v1/snapshots/{reader.latest(connection).snapshot_id}")

    @router.get("/snapshots", response_model=documents.boards.Snapshots, responses=TABLE)
    def listed(request: Request, form: FormOf = None, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Published snapshots, newest first."""
        key = key_of(cursor, int)
        with reader.read() as connection:
            found = page_queries.list_snapshots(connection, limit + 1, key[0] if key else None)
            rows = [summary(reader, connection, one) for one in found[:limit]]
        after = cursor_of(rows[-1]["sequence"]) if len(found) > limit else None
        return answer({"rows": rows, "next": after}, _form(form, request), "snapshots", UNTIL_PUBLISHED)

    @router.get("/snapshots/{snapshot}", response_model=documents.boards.SnapshotBody, responses=MOVED)
    def one(
        snapshot: Annotated[
            str, Path(pattern="^[0-9a-f]{8,64}$", description="A snapshot's name or digest, or its beginning.")
        ],
    ) -> Response:
        """A snapshot: what it counts, what it leaves out and why, its settings. SHA-256 of `body` is its name."""
        with reader.read() as connection:
            found = page_queries.find_snapshot(connection, snapshot)
            if found is None:
                return _moved(
                    f"/api/v1/snapshots/{_whole(page_queries.ids_with_prefix(connection, snapshot), snapshot)}"
                )
            return as_json({**summary(reader, connection, found), "body": found.body}, FOREVER)

    @router.get("/snapshots/{snapshot}/leaderboard", response_model=documents.boards.Board, responses=TABLE)
    def leaderboard(
        request: Request,
        snapshot: SnapshotId,
        view: ViewOf = "defended",
        form: FormOf = None,
        limit: Limit = 1000,
        cursor: Cursor = None,
    ) -> Response:
        """A view of a snapshot, best first."""
        key = key_of(cursor, int)
        start = max(0, key[0]) if key else 0
        with reader.read() as connection:
            rows = reader.rows(connection, reader.snapshot(connection, snapshot), view)
        page = {"snapshot": snapshot, "view": view, **_page(rows, start, limit)}
        return answer(page, _form(form, request), f"leaderboard-{view}-{snapshot[:12]}", FOREVER)

    @router.get("/snapshots/{snapshot}/standings", response_model=documents.boards.Standings, responses=TABLE)
    def side_by_side(
        request: Request, snapshot: SnapshotId, form: FormOf = None, limit: Limit = 1000, cursor: Cursor = None
    ) -> Response:
        """Raw, defended and style-controlled ratings and ranks side by side."""
        key = key_of(cursor, int)
        start = max(0, key[0]) if key else 0
        form = _form(form, request)
        with reader.read() as connection:
            found = reader.snapshot(connection, snapshot)
            rows = standings({view: snapshots.read_rows(connection, snapshot, view) for view in VIEWS})
        if form != "json":
            rows = [_flat(row) for row in rows]
        page = {"snapshot": found.snapshot_id, **_page(rows, start, limit)}
        return answer(page, form, f"standings-{snapshot[:12]}", FOREVER)

    @router.get("/leaderboard", status_code=307, response_class=RedirectResponse, responses=MOVED)
    def newest(
        view: ViewOf = "defended",
        at: Annotated[str | None, Query(max_length=40, description="What stood at this time (ISO 8601).")] = None,
    ) -> Response:
        """The newest board, or the one that stood at a time: a redirect to its own address."""
        with reader.read() as connection:
            found = reader.latest(connection) if at is None else _at(connection, at)
        return _moved(f"/api/v1/snapshots/{found.snapshot_id}/leaderboard?view={view}")

    return router


def standings(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All views side by side, in the order of the defended one; models it does not rate come last."""
    by_model = {view: {row["model"]: row for row in of_view} for view, of_view in rows.items()}
    order = list(dict.fromkeys(row["model"] for view in ("defended", "raw", "style") for row in rows.get(view, [])))
    return [{"model": model, **{view: by_model.get(view, {}).get(model) for view in VIEWS}} for model in order]


def _flat(standing: dict[str, Any]) -> dict[str, Any]:
    """A standing as one line, the same columns in each."""
    figures = ("rank", "rating", "lower", "upper", "rank_best", "rank_worst", "votes")
    return {"model": standing["model"]} | {
        f"{view}_{name}": standing[view][name] if standing[view] else None for view in VIEWS for name in figures
    }


def _page(rows: list[dict[str, Any]], start: int, limit: int) -> dict[str, Any]:
    """A snapshot's rows never change, so a cursor is simply how many were seen."""
    end = start + limit
    return {"rows": rows[start:end], "next": cursor_of(end) if end < len(rows) else None}


def _whole(found: list[str], prefix: str) -> str:
    if len(found) > 1:
        raise Problem(404, f"expected the beginning of one snapshot's digest, got {prefix!r}, which begins several")
    if not found:
        raise not_found("the digest of a published snapshot", prefix)
    return found[0]


def _at(connection: Any, text: str) -> PublishedSnapshot:
    try:
        at = parse_iso8601(text)
    except (ValueError, OverflowError):
        raise Problem(422, f"query at: expected a date or time in ISO 8601, got {text!r}") from None
    try:
        return snapshots.find(connection, at=at)
    except Usage:
        raise Problem(404, f"no snapshot was published by {text}") from None


def _form(form: Any, request: Request) -> Any:
    return form_of(form, request.headers.get("accept", ""))


def _moved(where: str) -> Response:
    return RedirectResponse(where, 307, headers=UNTIL_PUBLISHED)
