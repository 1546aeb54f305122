"""What moved between two snapshots, and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline.api import documents
from pipeline.api.move_reasons import move_reason
from pipeline.api.reader import SETTLED, Reader, summary
from pipeline.api.request_params import FormOf, ViewOf, form_of
from pipeline.api.snapshots import TABLE
from pipeline.api.tables import answer
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, compare_snapshots

Pair = Annotated[str, Path(pattern=r"^[0-9a-f]{64}\.\.[0-9a-f]{64}$", description="OLDER..NEWER, two digests.")]


def routes(reader: Reader) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["moves"])

    @router.get("/diff/{pair}", response_model=documents.moves.Diff, responses=TABLE)
    def diff(request: Request, pair: Pair, view: ViewOf = "defended", form: FormOf = None) -> Response:
        """Every model on two boards: what moved it (new votes, exclusions, settings), and whom it passed."""
        first, _, second = pair.partition("..")
        with reader.read() as connection:
            found = between(reader, connection, first, second, view)
            document = as_document(reader, connection, found)
        form = form_of(form, request.headers.get("accept", ""))
        if form != "json":
            document["rows"] = [_line(row) for row in document["rows"]]
        return answer(document, form, f"moves-{view}-{first[:12]}-{second[:12]}", SETTLED)

    return router


def between(reader: Reader, connection: Connection, first: str, second: str, view: str) -> BoardDiff:
    """Compare two snapshots by their digests."""
    before, after = (reader.snapshot(connection, one) for one in (first, second))
    for one in (before, after):
        reader.rows(connection, one, view)
    return compare_snapshots(connection, before, after, view)


def as_document(reader: Reader, connection: Connection, found: BoardDiff) -> dict[str, Any]:
    """As `documents.moves.Diff`."""
    return {
        "before": summary(reader, connection, found.before),
        "after": summary(reader, connection, found.after),
        "view": found.view,
        "votes": found.votes,
        "excluded": [dict(one) for one in found.excluded],
        "restored": [dict(one) for one in found.restored],
        "settings": [{"name": name, "before": old, "after": new} for name, (old, new) in found.settings.items()],
        "untold": found.untold,
        "rows": [_row(one) for one in found.moves],
    }


def _row(move: ModelMove) -> dict[str, Any]:
    b = move.battles
    return {
        "model": move.model,
        "places": move.places,
        "rating": move.rating_change,
        "reason": move_reason(move),
        "points": dict(move.points),
        "battles": {"votes": b.votes, "wins": b.wins, "losses": b.losses, "score": b.score, "expected": b.expected},
        "passed": list(move.passed),
        "passed_by": list(move.passed_by),
        "before": None if move.before is None else dict(move.before),
        "after": None if move.after is None else dict(move.after),
    }


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """A move as one line, the same columns in each."""
    figures = ("rank", "rating", "lower", "upper", "votes")
    flat = {name: value for name, value in row.items() if name not in {"before", "after"}}
    return flat | {f"{side}_{name}": (row[side] or {}).get(name) for side in ("before", "after") for name in figures}
