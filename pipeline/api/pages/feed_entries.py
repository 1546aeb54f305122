"""Writes the entries of the Atom feeds about snapshots, moves and incidents. They have only what the public may see."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import incident_text
from pipeline.api.atom_feed import FeedEntry
from pipeline.api.incident_views import newest_with_history
from pipeline.api.move_reasons import is_clear, move_reason
from pipeline.api.snapshot_summaries import summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, list_moves
from pipeline.jobs.refresh.prepare_answers import read_moves
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries
from pipeline.vocabulary.time import format_rfc3339

MOST_ENTRIES = 20
"""The largest number of entries of a feed. Older ones are on the pages."""

# Models named in an entry about moves.
_NAMED = 10


def snapshot_entries(reader: StoreReader, connection: Connection) -> list[FeedEntry]:
    """Return an entry for each of the newest snapshots, newest first."""
    found = page_queries.list_snapshots(connection, MOST_ENTRIES)
    return [_of_snapshot(reader, connection, one) for one in found]


def move_entries(connection: Connection) -> list[FeedEntry]:
    """Return an entry for each of the newest snapshots, newest first, with its moves since the previous snapshot.

    The moves are those of the defended view. They are read from comparisons that refreshes have stored, because
    computing up to MOST_ENTRIES comparisons would take too long. A snapshot without a stored comparison has no entry.
    """
    found = page_queries.list_snapshots(connection, MOST_ENTRIES + 1)
    stored = ((after, read_moves(connection, before, after, "defended")) for after, before in pairwise(found))
    return [_of_moves(after, list_moves(diff)) for after, diff in stored if diff is not None]


def incident_entries(reader: StoreReader, connection: Connection) -> list[FeedEntry]:
    """Return an entry for each of the newest incidents, newest first."""
    return [_of_incident(one) for one in newest_with_history(connection, reader.hidden(connection), MOST_ENTRIES)]


def _of_snapshot(reader: StoreReader, connection: Connection, one: PublishedSnapshot) -> FeedEntry:
    shown = summarize_snapshot(reader, connection, one)
    rows = reader.listed_rows(connection, one, "defended")
    lines = [
        f"{shown['votes_counted']:,} votes are counted in the defended view, {shown['votes_excluded']:,} are excluded.",
        *(f"{note}." for note in shown["notes"]),
        *(f"{row['rank']}. {row['model']}: {row['rating']:,.1f} points" for row in rows[:_NAMED]),
        f"SHA-256 of its body: {one.snapshot_id}",
    ]
    leader = f": {rows[0]['model']} leads" if rows and rows[0]["rank"] == 1 else ""
    at = shown["published_at"]
    return FeedEntry(
        f"snapshot/{one.snapshot_id}", f"Snapshot {one.sequence}{leader}", "\n".join(lines),
        f"/snapshots/{one.snapshot_id}", at, at,
    )  # fmt: skip


def _of_moves(after: PublishedSnapshot, diff: BoardDiff) -> FeedEntry:
    moved = sorted((one for one in diff.moves if one.places != 0 or _is_clear(one)), key=_weight)
    rose, fell = (sum((one.places or 0) * side > 0 for one in moved) for side in (1, -1))
    lines = [_move_line(one) for one in moved[:_NAMED]]
    if len(moved) > _NAMED:
        lines.append(f"{len(moved) - _NAMED} more models moved.")
    pair = f"{diff.before.snapshot_id}..{diff.after.snapshot_id}"
    at = format_rfc3339(after.published_at)
    counted = f"{rose} rose, {fell} fell, {sum(map(_is_clear, moved))} by a clear move"
    title = f"Snapshot {after.sequence}: {_change_at_the_top(diff.moves)}{counted}"
    return FeedEntry(f"moves/{pair}", title, "\n".join(lines) or "No model moved.", f"/diff/{pair}", at, at)


def _of_incident(one: Mapping[str, Any]) -> FeedEntry:
    lines = [
        f"Severity {one['severity']}, state {one['state']}: {one['confidence']}.",
        f"Done so far: {incident_text.what_was_done(one)}",
        *(f"{event['at']}: {event['action']} by {event['name']}: {event['reason']}" for event in one["history"]),
    ]
    updated = max(one["opened_at"], one["last_at"], *(event["at"] for event in one["history"]))
    return FeedEntry(
        f"incident/{one['id']}", one["headline"], "\n".join(lines), f"/incidents/{one['id']}",
        one["opened_at"], updated,
    )  # fmt: skip


def _move_line(one: ModelMove) -> str:
    places = one.places
    verb = "" if not places else f" rose {places}" if places > 0 else f" fell {-places}"
    ranks = f"{verb} to place {one.after['rank']}" if verb and one.after else ""
    clear = " (a clear move)" if _is_clear(one) else ""
    return f"{one.model}{ranks}{clear}. {move_reason(one)}"


def _is_clear(one: ModelMove) -> bool:
    return one.before is not None and one.after is not None and is_clear(one.before, one.after)


def _weight(one: ModelMove) -> tuple[bool, int, str]:
    """Return the sort key of a move: clear moves first, then by number of places, most first, then by model name."""
    return not _is_clear(one), -abs(one.places or 0), one.model


def _change_at_the_top(moves: Sequence[ModelMove]) -> str:
    first = {side: next((m.model for m in moves if (row := getattr(m, side)) and row["rank"] == 1), None)
             for side in ("before", "after")}  # fmt: skip
    if first["after"] is None or first["after"] == first["before"]:
        return ""
    return f"{first['after']} takes the first place from {first['before']}; " if first["before"] else ""
