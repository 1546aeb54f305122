"""Finds what the first lines of the board say: who leads and how sure, the last clear move, what was manipulated."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.move_reasons import is_clear, move_cause
from pipeline.api.store_reader import StoreReader
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, list_moves
from pipeline.jobs.refresh.prepare_answers import read_moves
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries

# Places that are the top of a board, and the newest snapshots whose stored moves are searched.
TOP, _SEARCHED = 10, 30
# Fields with the best and the worst rank of a model, the surest first.
_RANK_SETS = (("sure", "sure_best", "sure_worst"), ("clustered", "clustered_best", "clustered_worst"),
              ("own", "rank_best", "rank_worst"))  # fmt: skip

Row = Mapping[str, Any]


def leader(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return the first model of a board, how sure its place is, and who else may be first.

    Args:
        rows: the listed rows of the board, best first.

    Returns:
        None for an empty board. `basis` is the rank set: "sure" holds for all models and snapshots at once,
        "clustered" and "own" for each model by itself. `rivals` are the models that may also be first.
    """
    if not rows:
        return None
    first = rows[0]
    basis, best, worst = next(one for one in _RANK_SETS if first.get(one[1]) is not None)
    rivals = [row["model"] for row in rows[1:] if row.get(best) == 1]
    return {"row": first, "basis": basis, "worst": first[worst], "rivals": rivals}


def last_clear_move(
    connection: Connection, newest: PublishedSnapshot, week: PublishedSnapshot | None, view: str, rows: Sequence[Row]
) -> dict[str, Any] | None:
    """Return the last clear move at the top of a board, with its cause, from the moves that refreshes have stored.

    The moves of the last week are searched first, then those from each of the newest snapshots to the next.

    Args:
        connection: reads the store.
        newest: the snapshot whose board is shown.
        week: the snapshot with which the page compares it; None if there is none.
        view: name of the view or board.
        rows: the rows of the board that is shown.

    Returns:
        The move, with the rank that the model has `now` on this board (None if the board does not list it). None if
        there is no clear move.
    """
    now = {row["model"]: row["rank"] for row in rows}
    for diff in _stored_diffs(connection, newest, week, view):
        found = [one for one in diff.moves if _is_at_the_top(one)]
        if found:
            shown = _move(min(found, key=_by_place), diff)
            return {**shown, "now": now.get(shown["model"])}
    return None


def _stored_diffs(
    connection: Connection, newest: PublishedSnapshot, week: PublishedSnapshot | None, view: str
) -> Iterator[BoardDiff]:
    recent = page_queries.list_snapshots(connection, _SEARCHED, newest.sequence + 1)
    pairs = [] if week is None else [(week, newest)]
    for before, after in [*pairs, *zip(recent[1:], recent, strict=False)]:
        stored = read_moves(connection, before, after, view)
        if stored is not None:
            yield list_moves(stored)


def _is_at_the_top(move: ModelMove) -> bool:
    if move.before is None or move.after is None:
        return False
    return is_clear(move.before, move.after) and bool(min(move.before["rank"], move.after["rank"]) <= TOP)


def _by_place(move: ModelMove) -> tuple[int, float]:
    """Return a sort key: the highest place first, of those the one with most points."""
    assert move.before is not None  # noqa: S101  # `_is_at_the_top` has refused the others
    assert move.after is not None  # noqa: S101
    return min(move.before["rank"], move.after["rank"]), -abs(move.rating_change or 0.0)


def _move(move: ModelMove, diff: BoardDiff) -> dict[str, Any]:
    return {
        "model": move.model,
        "before": move.before,
        "after": move.after,
        "places": move.places,
        "points": move.rating_change,
        "reason": move_cause(move),
        "snapshots": (diff.before, diff.after),
    }


def manipulated(lines: Sequence[Mapping[str, Any]], incidents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the votes that do not count would have changed.

    Args:
        lines: all views side by side, without filter.
        incidents: the open incidents in the public form.

    Returns:
        `raw_first` is the model that leads if every vote counts, with its defended rank. `elsewhere` is the number of
        models with another place then. `incidents` are those that move a model most, then the most urgent.
    """
    both = [line for line in lines if line["raw"] and line["defended"]]
    first = min(both, key=lambda line: line["raw"]["rank"], default=None)
    return {
        "raw_first": first,
        "elsewhere": sum(line["raw"]["rank"] != line["defended"]["rank"] for line in both),
        "incidents": sorted(incidents, key=lambda one: -_places_moved(one)),
    }


def _places_moved(incident: Mapping[str, Any]) -> int:
    rank = incident["rank"]
    return 0 if rank is None else abs(rank["raw"] - rank["defended"])


def snapshot_dates(reader: StoreReader, connection: Connection, move: Mapping[str, Any] | None) -> list[str | None]:
    """Return when the newest vote was cast before a move and after it; an empty list without a move."""
    ends = () if move is None else move["snapshots"]
    return [reader.data_until_text(connection, one.log_size) for one in ends]
