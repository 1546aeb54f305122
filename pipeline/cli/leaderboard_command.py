"""Runs the command leaderboard, which shows a published board."""

from typing import Annotated

import typer

from pipeline.cli import terminal_tables
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out, store_url
from pipeline.cli.board_choice import View, require_board
from pipeline.errors import Usage
from pipeline.open_store import existing_store
from pipeline.store.boards import board_listing, snapshot_intervals, snapshots
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.vocabulary.time import format_rfc3339, from_microseconds, parse_iso8601

_INTERVAL_NOTE = (
    "Intervals are 95% intervals that allow for votes of one voter hanging together. Sure ranks hold at all snapshots "
    "at once, however often somebody looks; --json has the confidence sequences."
)


@app.command()
def leaderboard(
    store: StoreOption = None,
    snapshot: Annotated[str | None, typer.Option(help="A snapshot's id or the beginning of it.")] = None,
    at: Annotated[str | None, typer.Option(help="The snapshot in force at this time (ISO 8601).")] = None,
    view: Annotated[
        View, typer.Option(help="raw: all votes; defended: without exclusions; style: defended, style-controlled.")
    ] = "defended",
    board: Annotated[
        str | None, typer.Option(help="category/LABEL or language/LABEL: the defended board of votes with that label.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a published board, by default the newest."""
    with existing_store(store_url(store)) as opened, opened.read() as connection:
        found = snapshots.find(connection, snapshot, _parse_time(at))
        summary = require_board(found, view, board)
        rated = snapshots.read_rows(connection, found.snapshot_id, board or view)
        rows = board_listing.list_rows(found.body, rated)
        rows = snapshot_intervals.add_intervals(opened.files, found.body, board or view, rows)
    coefficients = found.body["style"]["coefficients"] if view == "style" else []
    if as_json:
        more = {"coefficients": coefficients} if view == "style" else {}
        stated = {"published_at": format_rfc3339(found.published_at), "view": view, "board": board}
        listed = HiddenModels.of_body(found.body).document(found.body.get("method"))
        method = {"method": listed, "boards": sorted(found.body.get("boards", {}))}
        emit({"snapshot": found.snapshot_id, **stated, "rows": rows, **more, **method})
        return
    day = from_microseconds(found.published_at).strftime("%Y-%m-%d %H:%M UTC")
    title = f"Snapshot {found.sequence} ({found.snapshot_id[:12]}), {view if board is None else board}, {day}"
    out.print(terminal_tables.board_table(rows, title, out.width))
    for line in terminal_tables.coefficient_lines(coefficients):
        out.print(line)
    for model in board_listing.list_unrated(found.body, summary["unrated"]):
        out.print(f"not rated: {model['model']}: {model['reason']}")
    if any(row["sure_best"] is not None for row in rows):
        out.print(_INTERVAL_NOTE, soft_wrap=True)
    notes = [] if view == "raw" else board_listing.method_notes(found.body)
    for note in (*notes, *board_listing.listing_notes(found.body, rated, " (*)")):
        out.print(note, soft_wrap=True)


def _parse_time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_iso8601(text)
    except ValueError as error:
        raise Usage(f"--at: {error}") from None
