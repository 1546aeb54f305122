"""Reads the values that the page of a board shows, for the board of all votes or of one category or language."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.model_summaries import registry_facts
from pipeline.api.pages.board_filter import SORTS, BoardFilter, Line, interval_width, values_of
from pipeline.api.pages.board_headline import last_clear_move, leader, manipulated, snapshot_dates
from pipeline.api.pages.page_templates import PAGE_ROWS, IntervalScale
from pipeline.api.request_params import VIEWS, View
from pipeline.api.snapshot_summaries import join_views, summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.jobs.refresh.prepare_answers import WEEK
from pipeline.store.boards import board_listing, notices, snapshots
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries

_Rows = list[dict[str, Any]]


def board_values(
    reader: StoreReader,
    connection: Connection,
    found: PublishedSnapshot,
    wanted: BoardFilter,
    incidents: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the values of the template `board.html`, which shows all views of the board of all votes side by side.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        found: the snapshot whose board is shown.
        wanted: what the reader wants to see. If the snapshot lacks the view `wanted.by`, the defended view is shown.
        incidents: the open incidents in the public form.
    """
    read = {view: snapshots.read_rows(connection, found.snapshot_id, view) for view in VIEWS}
    rows: dict[View, _Rows] = {view: reader.listed_rows(connection, found, view) for view in VIEWS}
    by = wanted.by if rows[wanted.by] else "defended"
    before = earlier(reader, connection, found, WEEK)
    lines = _lines(connection, rows, by, {} if before is None else _ranks(connection, before, "defended"))
    return {
        **_common(reader, connection, found, wanted, rows["defended"], lines, before),
        "by": by,
        "sure": any(row["sure_best"] is not None for row in rows[by]),
        "scale": IntervalScale.covering(rows[by] if by == "style" else [*rows["defended"], *rows["raw"]]),
        "style_reason": found.body.get("style", {}).get("reason", ""),
        "unrated": board_listing.list_unrated(found.body, found.body["views"][by]["unrated"]),
        "method_notes": [*board_listing.method_notes(found.body), *board_listing.listing_notes(found.body, read[by])],
        "exclusions": HiddenModels.of_body(found.body).document(found.body["exclusions"]),
        "manipulated": manipulated(lines, incidents),
    }


def label_board_values(
    reader: StoreReader, connection: Connection, found: PublishedSnapshot, wanted: BoardFilter
) -> dict[str, Any]:
    """Return the values of the template `label_board.html`, which shows the board of one category or language.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        found: the snapshot whose board is shown.
        wanted: what the reader wants to see. This filter names the board.
    """
    board = wanted.board or ""
    rows = reader.rows(connection, found, "defended", board)
    summary, overall = found.body["boards"][board], _ranks(connection, found, "defended")
    before = earlier(reader, connection, found, WEEK)
    earlier_ranks = _ranks(connection, before, board) if before and board in before.body.get("boards", {}) else {}
    facts = registry_facts(connection)
    lines: list[Line] = [
        _line(facts, row["model"], row, earlier_ranks.get(row["model"]), row["rank"])
        | {"overall": overall.get(row["model"])}
        for row in rows
    ]
    return {
        **_common(reader, connection, found, wanted, rows, lines, before),
        "board": board,
        "votes": summary["votes"],
        "scale": IntervalScale.covering(rows),
        "unrated": board_listing.list_unrated(found.body, summary["unrated"]),
        "method_notes": board_listing.listing_notes(
            found.body, snapshots.read_rows(connection, found.snapshot_id, board)
        ),
    }


def earlier(
    reader: StoreReader, connection: Connection, found: PublishedSnapshot, days: float
) -> PublishedSnapshot | None:
    """Return the newest snapshot whose newest vote is at least `days` days older than the newest vote of `found`.

    If no snapshot is that old, the oldest snapshot is returned. If `found` is the oldest snapshot or has no votes, None
    is returned.
    """
    return page_queries.earlier_snapshot(connection, found, days, partial(reader.data_until, connection))


def _common(
    reader: StoreReader,
    connection: Connection,
    found: PublishedSnapshot,
    wanted: BoardFilter,
    rows: _Rows,
    lines: list[Line],
    before: PublishedSnapshot | None,
) -> dict[str, Any]:
    """Return the values that both the template of the board of all votes and the template `label_board.html` need."""
    lines = [{**line, "place": place} for place, line in enumerate(lines)]
    chosen = wanted.choose(lines)
    view, hidden = wanted.board or "defended", reader.hidden(connection)
    move = last_clear_move(connection, found, before, view, rows, hidden)
    return {
        "snapshot": summarize_snapshot(reader, connection, found),
        "newest": snapshots.newest_sequence(connection) == found.sequence,
        "filter": wanted,
        "narrowed": wanted.narrows,
        "sorts": SORTS,
        "lines": wanted.on_page(chosen),
        "chosen": len(chosen),
        "listed": len(lines),
        "page_rows": PAGE_ROWS,
        "pages": wanted.pages(len(chosen)),
        "providers": values_of(lines, "provider"),
        "licenses": values_of(lines, "license"),
        "before": None if before is None else summarize_snapshot(reader, connection, before),
        "leader": leader(rows),
        "move": move,
        "move_dates": snapshot_dates(reader, connection, move),
        "board_groups": _board_groups(found.body),
        "notices": notices.list_notices(connection, found.snapshot_id),
    }


def _lines(connection: Connection, rows: Mapping[View, _Rows], by: View, ranks_before: Mapping[str, int]) -> list[Line]:
    """Return a line for each model that the view `by` rates, in the order of that view, with the rows of all views."""
    facts, place = registry_facts(connection), {row["model"]: at for at, row in enumerate(rows[by])}
    joined = [one for one in join_views(rows) if one["model"] in place]
    joined.sort(key=lambda one: place[one["model"]])
    return [
        {
            **one,
            **_line(facts, one["model"], one[by], ranks_before.get(one["model"]), (one["defended"] or {}).get("rank")),
        }
        for one in joined
    ]


def _line(
    facts: Mapping[str, Mapping[str, str | None]],
    model: str,
    row: Mapping[str, Any],
    rank_before: int | None,
    rank: int | None,
) -> Line:
    """Return the line of a model. Its move is `rank_before` minus `rank`, in places; None if one of them is None."""
    known = facts.get(model, {})
    return {
        "model": model,
        "provider": known.get("provider"),
        "license": known.get("license"),
        "row": row,
        "width": interval_width(row),
        "moved": None if rank_before is None or rank is None else rank_before - rank,
    }


def _board_groups(body: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return kind ("category", "language") → its boards with label and votes, the largest first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, summary in body.get("boards", {}).items():
        kind, _, label = name.partition("/")
        groups.setdefault(kind, []).append({"name": name, "label": label, "votes": summary["votes"]})
    return {kind: sorted(groups[kind], key=lambda one: (-one["votes"], one["label"])) for kind in sorted(groups)}


def _ranks(connection: Connection, snapshot: PublishedSnapshot, view: str) -> dict[str, int]:
    return {row["model"]: row["rank"] for row in snapshots.read_rows(connection, snapshot.snapshot_id, view)}
