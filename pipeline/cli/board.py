"""refresh, leaderboard, verify, rate: the board and whether it can be trusted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli import show
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import BadRecord, Usage
from pipeline.events import decode_votes
from pipeline.events.batch import instant, microseconds
from pipeline.formats import ColumnMap, read_records
from pipeline.jobs.counting import board, rows_of
from pipeline.ratings import PairCounts
from pipeline.settings import Settings
from pipeline.store import Store, snapshots


@app.command()
def refresh(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Seal, check, rate, publish: a new snapshot if anything has changed."""
    result = jobs.refresh(store or configuration.load().store)
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
        Literal["raw", "defended"], typer.Option(help="raw: all votes; defended: without exclusions.")
    ] = "defended",
    as_json: JsonOption = False,
) -> None:
    """Show a published board."""
    opened = Store.open(store or configuration.load().store, voter_key=configuration.load().key, create=False)
    with opened.read() as connection:
        found = snapshots.find(connection, snapshot, _time(at))
        rows = snapshots.rows(connection, found.snapshot_id, view)
    opened.close()
    if as_json:
        emit({"snapshot": found.snapshot_id, "view": view, "rows": rows})
        return
    day = instant(found.published_at).strftime("%Y-%m-%d %H:%M UTC")
    out.print(show.board(rows, f"Snapshot {found.sequence} ({found.snapshot_id[:12]}), {view}, {day}", out.width))
    for model in found.body["views"][view]["unrated"]:
        out.print(f"not rated: {model['model']}: {model['reason']}", highlight=False)


@app.command()
def verify(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Recompute everything that is published from the votes; exit 4 if something does not follow."""
    result = jobs.verify(store or configuration.load().store)
    if as_json:
        emit({"verified": True, **result})
    else:
        err.print(
            f"verified: {result['votes']:,} votes in {result['segments']} segments, {result['snapshots']} snapshots; "
            "every rating follows from its votes"
        )


@app.command()
def rate(
    file: Annotated[Path, typer.Argument(help="A battle file: .json, .jsonl, .csv, .parquet.")],
    columns: Annotated[str, typer.Option(help="How a table calls our fields.")] = "",
    outcomes: Annotated[str, typer.Option(help="How it calls outcomes.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Rate a battle file, no store: strict, the first record that is no battle is an error."""
    if not file.is_file():
        raise Usage(f"expected a file, got {file}")
    votes, _, rejects = decode_votes(list(read_records(file, ColumnMap.parse(columns, outcomes))))
    if rejects:
        raise BadRecord(file.name, rejects[0].position, rejects[0].reason, rejects[0].detail)
    counts = PairCounts.from_labels([v.model_a for v in votes], [v.model_b for v in votes], [v.winner for v in votes])
    shown = board(counts, Settings(anchor="", least_share=1.0))
    rows: list[dict[str, Any]] = sorted(rows_of(shown), key=lambda r: (r["rank"], -r["rating"], r["model"]))
    if as_json:
        emit({"rows": rows, "gradient_norm": shown.gradient_norm, "converged": shown.converged})
    else:
        out.print(show.board(rows, f"{file.name}: {counts.total:,} votes", out.width))


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Usage(f"--at: expected a date or time in ISO 8601, got {text!r}") from None
    return microseconds(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
