"""Finds the facts for the first lines of a board's page.

These are the leading model, the last clear move, and the effect that manipulated votes would have.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cachetools import LRUCache
from sqlalchemy.engine import Connection

from pipeline.api.move_reasons import is_clear, main_cause, rating_change
from pipeline.api.store_reader import StoreReader
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, list_moves
from pipeline.jobs.refresh.prepare_answers import read_moves
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries

# Places that are the top of a board, and the newest snapshots whose stored moves are searched.
TOP, _SEARCHED = 10, 30
# Fields with the best and the worst rank of a model, the surest first.
_RANK_SETS = (("sure", "sure_best", "sure_worst"), ("clustered", "clustered_best", "clustered_worst"),
              ("own", "rank_best", "rank_worst"))  # fmt: skip

# Boards whose last clear move is kept: reading up to 30 stored comparisons takes a second on a large board.
_cached: LRUCache[tuple[str, str, str, frozenset[str]], dict[str, Any] | None] = LRUCache(500)
_lock = threading.Lock()

Row = Mapping[str, Any]


def leader(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return the first listed model of a board, how sure its rank is, and which other models may be first.

    Args:
        rows: the listed rows of the board, best first.

    Returns:
        {"row", "basis", "best", "worst", "rivals"}; None for an empty board. `row` is the row of the first listed
        model. `best` and `worst` are the ends of the 95% range of its rank. `rivals` are the other models whose range
        includes rank 1. `basis` names the kind of range: "sure" holds for all models and snapshots at once, "clustered"
        and "own" for each model by itself. "clustered" also allows for dependence between the votes of one voter.
    """
    if not rows:
        return None
    first = rows[0]
    basis, best, worst = next(one for one in _RANK_SETS if first.get(one[1]) is not None)
    rivals = [row["model"] for row in rows[1:] if row.get(best) == 1]
    return {"row": first, "basis": basis, "best": first[best], "worst": first[worst], "rivals": rivals}


def last_clear_move(
    connection: Connection,
    newest: PublishedSnapshot,
    week: PublishedSnapshot | None,
    view: str,
    rows: Sequence[Row],
    hidden: HiddenModels,
) -> dict[str, Any] | None:
    """Return the last clear move of a model at the top of a board, with its cause.

    A move is clear if the rating changed by more than the intervals allow for (`is_clear`). It is at the top if the
    model had one of the first TOP ranks before or after. Only moves that refreshes have stored are searched: first the
    moves since the snapshot `week`, then those between successive snapshots, newest first.

    Args:
        connection: reads the store.
        newest: the snapshot whose board is shown.
        week: the snapshot from a week earlier, with which the page compares the newest. None if there is none.
        view: name of the view or board.
        rows: the rows of the board that is shown.
        hidden: models that are under test now. Their moves are left out, although earlier boards may list them.

    Returns:
        {"model", "before", "after", "places", "points", "why", "reason", "snapshots", "now"}; None without a clear
        move. "before" and "after" are the model's rows in the two "snapshots", "places" and "points" the changes of
        rank and rating. "why" is the main cause in a few words, "reason" all causes as sentences. "now" is the rank of
        the model on the board that is shown, None if the board does not list it.
    """
    key = (newest.snapshot_id, week.snapshot_id if week is not None else "", view, hidden.names)
    with _lock:
        found, known = _cached.get(key), key in _cached
    if not known:
        found, final = _search(connection, newest, week, view, hidden)
        if final:
            with _lock:
                _cached[key] = found
    if found is None:
        return None
    return {**found, "now": next((row["rank"] for row in rows if row["model"] == found["model"]), None)}


def _search(
    connection: Connection, newest: PublishedSnapshot, week: PublishedSnapshot | None, view: str, hidden: HiddenModels
) -> tuple[dict[str, Any] | None, bool]:
    """Return the last clear move near the top (None without a clear move), and whether this result is final.

    The result is final if a refresh has stored a comparison of the newest snapshot with an earlier one.
    """
    final = False
    for diff in _stored_diffs(connection, newest, week, view):
        final = final or diff.after.snapshot_id == newest.snapshot_id
        found = [one for one in diff.moves if _is_at_the_top(one) and one.model not in hidden]
        if found:
            return _move(min(found, key=_by_place), diff), final
    return None, final


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
    """Return a sort key for moves: the best rank first; of equal ranks, the largest change in rating."""
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
        "why": main_cause(move, excluded=bool(diff.excluded), restored=bool(diff.restored)),
        "change": rating_change(move),
        "snapshots": (diff.before, diff.after),
    }


def manipulated(lines: Sequence[Mapping[str, Any]], incidents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how the board would differ if the votes that do not count were counted.

    Args:
        lines: one line for each model with its rows in all views, not filtered.
        incidents: the open incidents in the public form.

    Returns:
        {"raw_first", "elsewhere", "incidents"}. `raw_first` is the line of the model that leads the raw view.
        `elsewhere` is the number of models whose raw rank differs from their defended rank. `incidents` are the given
        incidents, sorted by the number of places that the incident's votes move a model, largest first.
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
    """Return the times of the newest votes in the two snapshots of a move, in RFC 3339. The older snapshot is first.

    A time is None if it is unknown. If `move` is None, the list is empty.
    """
    ends = () if move is None else move["snapshots"]
    return [reader.data_until_text(connection, one.log_size) for one in ends]
