"""diff: what moved between two snapshots, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from pipeline import settings as configuration
from pipeline.api.move_reasons import move_reason
from pipeline.cli import show
from pipeline.cli.app import JsonOption, StoreOption, app, emit, out
from pipeline.jobs.open_store import existing_store
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, compare_snapshots
from pipeline.store.boards import snapshots


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="The older snapshot's id, or its beginning.")],
    after: Annotated[str | None, typer.Argument(help="The newer one's; default: the newest.")] = None,
    store: StoreOption = None,
    view: Annotated[Literal["raw", "defended", "style"], typer.Option(help="Of both.")] = "defended",
    as_json: JsonOption = False,
) -> None:
    """Who rose and who fell between two snapshots, and what moved each: new votes, exclusions, settings."""
    with existing_store(store or configuration.load().store) as it, it.read() as connection:
        found = compare_snapshots(
            connection, snapshots.find(connection, before), snapshots.find(connection, after), view
        )
    if as_json:
        emit(_document(found))
        return
    table = Table(title=_title(found), title_justify="left", header_style="bold")
    for name in ("moved", "rank", "model", "why"):
        table.add_column(name, justify="left" if name in {"model", "why"} else "right", overflow="fold")
    for one in found.moves:
        if one.places != 0:
            table.add_row(show.moved(one.places or 0), _ranks(one), one.model, move_reason(one))
    out.print(table)
    for what, entries in (("left out", found.excluded), ("counted again", found.restored)):
        for e in entries:
            out.print(
                f"{what}: {e['kind']} {e['target']}: {e['reason']} (by {e['name']})", highlight=False, markup=False
            )


def _title(found: BoardDiff) -> str:
    return (
        f"Snapshot {found.before.sequence} to {found.after.sequence}, {found.view}: {found.votes:,} new votes, "
        f"{len(found.excluded)} new exclusions, {len(found.restored)} undone"
    )


def _ranks(move: ModelMove) -> str:
    old, new = (str(row["rank"]) if row else "–" for row in (move.before, move.after))
    return f"{old} → {new}"


def _document(found: BoardDiff) -> dict[str, Any]:
    return {
        "before": found.before.snapshot_id,
        "after": found.after.snapshot_id,
        "view": found.view,
        "votes": found.votes,
        "excluded": list(found.excluded),
        "restored": list(found.restored),
        "settings": {name: {"before": old, "after": new} for name, (old, new) in found.settings.items()},
        "untold": found.untold,
        "rows": [
            {**asdict(one), "places": one.places, "rating": one.rating_change, "reason": move_reason(one)}
            for one in found.moves
        ],
    }
