"""Defines the route of the API that returns the moves of models between two snapshots."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.engine import Connection

from pipeline.api.cache_policies import RENDERED
from pipeline.api.costly_work import CostlyWork
from pipeline.api.documents.diff_documents import DiffDocument
from pipeline.api.move_reasons import move_reason
from pipeline.api.openapi_responses import TABLE_RESPONSES
from pipeline.api.request_params import BoardParam, FormatParam, SnapshotPairParam, ViewParam
from pipeline.api.snapshot_summaries import summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import file_name, table_response
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, compare_snapshots, list_moves
from pipeline.jobs.refresh.prepare_answers import read_moves
from pipeline.store.boards import voter_labels

_FIGURES = ("rank", "rating", "lower", "upper", "votes")


def routes(reader: StoreReader, costly: CostlyWork) -> APIRouter:
    """Return a router with the route that returns the moves of models between two snapshots."""
    router = APIRouter(tags=["moves"])

    @router.get("/diff/{pair}", response_model=DiffDocument, responses=TABLE_RESPONSES)
    async def diff(
        request: Request,
        pair: SnapshotPairParam,
        view: ViewParam = "defended",
        board: BoardParam = None,
        table_format: FormatParam = None,
    ) -> Response:
        """The moves of all models between two snapshots, each with its causes and the models that it passed.

        A model that only one of the two snapshots lists is included.
        """
        first, _, second = pair.partition("..")
        name = f"moves-{file_name(board or view)}-{first[:12]}-{second[:12]}"

        def compare() -> Response:
            with reader.connect() as connection:
                found = find_diff(reader, connection, first, second, view, board)
                document = diff_document(reader, connection, found)
            return table_response(request, table_format, document, name, RENDERED, table_row=_table_row)

        return await costly.run(request, compare)

    return router


def find_diff(
    reader: StoreReader, connection: Connection, first: str, second: str, view: str, board: str | None = None
) -> BoardDiff:
    """Return the comparison of two snapshots in the form for the public.

    If a refresh has stored the comparison, it is read; otherwise the snapshots are compared now. The form for the
    public leaves out models that the snapshot's method (its rules about votes and models) does not list. It also leaves
    out the names of models under test.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        first: digest of the older snapshot.
        second: digest of the newer snapshot.
        view: name of the view.
        board: "category/LABEL" or "language/LABEL" to compare the boards of this label. None to compare the view.

    Raises:
        Problem: status 404 if there is no such snapshot, or a snapshot does not have this view or board. Status 422 if
            a view other than defended is requested for the board of a label.
        Usage: the second snapshot is not newer than the first.
    """
    before, after = (reader.snapshot(connection, one) for one in (first, second))
    for one in (before, after):
        reader.rows(connection, one, view, board)
    stored = read_moves(connection, before, after, board or view)
    return list_moves(stored or compare_snapshots(connection, reader.store.files, before, after, board or view))


def diff_document(reader: StoreReader, connection: Connection, found: BoardDiff) -> dict[str, Any]:
    """Convert a comparison of two snapshots to a dictionary with the fields of `DiffDocument`.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        found: the two snapshots, and the moves of the models between them.
    """
    return {
        "before": summarize_snapshot(reader, connection, found.before),
        "after": summarize_snapshot(reader, connection, found.after),
        "view": "defended" if "/" in found.view else found.view,
        "board": found.view if "/" in found.view else None,
        "votes": found.votes,
        "excluded": voter_labels.publish(connection, found.excluded),
        "restored": voter_labels.publish(connection, found.restored),
        "settings": [{"name": name, "before": old, "after": new} for name, (old, new) in found.settings.items()],
        "rules_on": list(found.rules_on),
        "rules_off": list(found.rules_off),
        "untold": found.missing_points_reason,
        "rows": [_move_document(one) for one in found.moves],
    }


def _move_document(move: ModelMove) -> dict[str, Any]:
    b = move.battles
    return {
        "model": move.model,
        "places": move.places,
        "rating": move.rating_change,
        "reason": move_reason(move),
        # Moves that an earlier version stored have no step "method".
        "points": {**({"method": None if move.before is None or move.after is None else 0.0}), **move.points},
        "rules": dict(move.rules),
        "battles": {"votes": b.votes, "wins": b.wins, "losses": b.losses, "score": b.score, "expected": b.expected},
        "passed": list(move.passed),
        "passed_by": list(move.passed_by),
        "before": None if move.before is None else dict(move.before),
        "after": None if move.after is None else dict(move.after),
    }


def _table_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a move as a row, with the same columns for every move."""
    flat = {name: value for name, value in row.items() if name not in {"before", "after", "rules"}}
    return flat | {f"{side}_{name}": (row[side] or {}).get(name) for side in ("before", "after") for name in _FIGURES}
