"""The board, snapshots, what moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.engine import Connection

from pipeline.api import moves
from pipeline.api.moves import Pair
from pipeline.api.pages.rendering import PAGE, Drawn, Templates
from pipeline.api.problems import Problem
from pipeline.api.reader import SETTLED, UNTIL_PUBLISHED, Reader, summary
from pipeline.api.request_params import Cursor, SnapshotId, View, ViewOf, cursor_of, key_of
from pipeline.api.snapshots import VIEWS, standings
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import log_proofs, page_queries
from pipeline.vocabulary.time import DAY

WEEK = 7.0
Days = Annotated[float, Query(ge=0, le=36_600, description="Days before the newest vote.")]


def routes(reader: Reader, templates: Templates) -> APIRouter:  # a list of routes
    """The pages."""
    router = APIRouter()

    @router.get("/")
    def board(by: ViewOf = "defended") -> Response:
        with reader.read() as connection:
            newest = snapshots.latest(connection)
            if newest is None:
                return templates.page("empty", UNTIL_PUBLISHED)
            return templates.page("board", UNTIL_PUBLISHED, **_board(reader, connection, newest, by))

    @router.get("/snapshots/{snapshot}/board")
    def board_of(snapshot: SnapshotId, by: ViewOf = "defended") -> Response:
        with reader.read() as connection:
            values = _board(reader, connection, reader.snapshot(connection, snapshot), by)
        return templates.page("board", SETTLED, **values)

    @router.get("/snapshots")
    def listed(cursor: Cursor = None) -> Response:
        key = key_of(cursor, int)
        with reader.read() as connection:
            found = page_queries.list_snapshots(connection, PAGE + 1, key[0] if key else None)
            rows = [summary(reader, connection, one) for one in found]
        for row, before in zip(rows, [*rows[1:], None], strict=True):
            row["before"] = before["snapshot"] if before else None
        after = cursor_of(rows[PAGE - 1]["sequence"]) if len(rows) > PAGE else None
        return templates.page("snapshots", UNTIL_PUBLISHED, rows=rows[:PAGE], next=after)

    @router.get("/snapshots/{snapshot}")
    def one(snapshot: SnapshotId) -> Response:
        with reader.read() as connection:
            found = reader.snapshot(connection, snapshot)
            before = page_queries.list_snapshots(connection, 1, found.sequence)
            shown = summary(reader, connection, found)
        # Against the newest head, which the next snapshot changes.
        return templates.page(
            "snapshot", UNTIL_PUBLISHED, snapshot=shown, body=found.body,
            before=before[0].snapshot_id if before else None,
            keys=log_proofs.read_keys(reader.store),
            proof=log_proofs.prove_snapshot(reader.store, snapshot),
        )  # fmt: skip

    @router.get("/changes")
    def changes(days: Days = WEEK, view: ViewOf = "defended") -> Response:
        """Who rose since so many days: the page of the two snapshots."""
        with reader.read() as connection:
            newest = reader.latest(connection)
            before = earlier(reader, connection, newest, days)
        if before is None:
            raise Problem(404, "there is one snapshot only: nothing has moved yet")
        pair = f"{before.snapshot_id}..{newest.snapshot_id}"
        return RedirectResponse(f"/diff/{pair}?view={view}", 307, headers=UNTIL_PUBLISHED)

    @router.get("/diff/{pair}")
    def diff(pair: Pair, view: ViewOf = "defended") -> Response:
        first, _, second = pair.partition("..")
        with reader.read() as connection:
            found = moves.between(reader, connection, first, second, view)
            document = moves.as_document(reader, connection, found)
            ends = [reader.until(connection, one.log_size) for one in (found.before, found.after)]
        days = (ends[1] - ends[0]) // DAY if ends[0] is not None and ends[1] is not None else 0
        return templates.page("diff", SETTLED, diff=document, days=days)

    return router


def _board(reader: Reader, connection: Connection, found: PublishedSnapshot, by: View) -> dict[str, Any]:
    rows = {view: snapshots.read_rows(connection, found.snapshot_id, view) for view in VIEWS}
    if not rows[by]:
        by = "defended"
    newest = snapshots.newest_sequence(connection) == found.sequence
    before = earlier(reader, connection, found, WEEK)
    return {
        "snapshot": summary(reader, connection, found),
        "newest": newest,
        "by": by,
        "lines": _lines(rows, by),
        "drawn": Drawn.of(rows[by] if by == "style" else [*rows["defended"], *rows["raw"]]),
        "before": None if before is None else summary(reader, connection, before),
        "was": {} if before is None else _ranks(connection, before),
        "style_reason": found.body.get("style", {}).get("reason", ""),
        "unrated": found.body["views"][by]["unrated"],
        "exclusions": found.body["exclusions"],
    }


def _lines(rows: Mapping[str, list[dict[str, Any]]], by: View) -> list[dict[str, Any]]:
    """All views side by side, in the order of one."""
    place = {row["model"]: at for at, row in enumerate(rows[by])}
    lines = [line for line in standings(dict(rows)) if line["model"] in place]
    return sorted(lines, key=lambda line: place[line["model"]])


def _ranks(connection: Connection, snapshot: PublishedSnapshot) -> dict[str, int]:
    return {row["model"]: row["rank"] for row in snapshots.read_rows(connection, snapshot.snapshot_id, "defended")}


def earlier(reader: Reader, connection: Connection, found: PublishedSnapshot, days: float) -> PublishedSnapshot | None:
    """The newest snapshot whose votes end at least so many days before this one's; the oldest where none does."""
    end, before = reader.until(connection, found.log_size), found.sequence
    oldest = None
    while end is not None and (page := page_queries.list_snapshots(connection, 200, before)):
        for one in page:
            oldest, before = one, one.sequence
            until = reader.until(connection, one.log_size)
            if until is not None and until <= end - days * DAY:
                return one
    return oldest
