"""refresh, leaderboard: the board."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli import show
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import Usage
from pipeline.jobs.open_store import open_store
from pipeline.store.boards import snapshots
from pipeline.vocabulary.time import from_microseconds, parse_iso8601


@app.command()
def refresh(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Seal, check, rate, publish: a new snapshot if anything has changed."""
    result = jobs.refresh_board(store or configuration.load().store)
    if as_json:
        emit(result)
        return
    err.print(
        f"snapshot {result['sequence']} ({result['snapshot'][:12]}): {result['votes_counted']:,} votes counted, "
        f"{result['votes_excluded']:,} excluded, log of {result['log_size']:,}",
        highlight=False,
    )
    for model in result["unrated"]:
        err.print(f"  not rated: {model['model']}: {model['reason']}", highlight=False)


@app.command()
def leaderboard(
    store: StoreOption = None,
    snapshot: Annotated[str | None, typer.Option(help="A snapshot's id, or its beginning.")] = None,
    at: Annotated[str | None, typer.Option(help="The snapshot that stood at this time (ISO 8601).")] = None,
    view: Annotated[
        Literal["raw", "defended", "style"],
        typer.Option(help="raw: all votes; defended: without exclusions; style: those under style control."),
    ] = "defended",
    as_json: JsonOption = False,
) -> None:
    """Show a published board."""
    opened = open_store(store or configuration.load().store, create=False)
    with opened.read() as connection:
        found = snapshots.find(connection, snapshot, _time(at))
        rows = snapshots.rows(connection, found.snapshot_id, view)
    opened.close()
    if view not in found.body["views"]:
        reason = found.body.get("style", {}).get("reason", "it is of a version that had none")
        raise Usage(f"expected a snapshot with a view {view}, got {found.snapshot_id[:12]}: {reason}")
    coefficients = found.body["style"]["coefficients"] if view == "style" else []
    if as_json:
        more = {"coefficients": coefficients} if view == "style" else {}
        emit({"snapshot": found.snapshot_id, "view": view, "rows": rows, **more})
        return
    day = from_microseconds(found.published_at).strftime("%Y-%m-%d %H:%M UTC")
    out.print(show.board(rows, f"Snapshot {found.sequence} ({found.snapshot_id[:12]}), {view}, {day}", out.width))
    for line in show.coefficients(coefficients):
        out.print(line, highlight=False, markup=False)
    for model in found.body["views"][view]["unrated"]:
        out.print(f"not rated: {model['model']}: {model['reason']}", highlight=False)


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_iso8601(text)
    except ValueError:
        raise Usage(f"--at: expected a date or time in ISO 8601, got {text!r}") from None
