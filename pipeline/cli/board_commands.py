"""Runs the commands refresh, which publishes a snapshot, and diff, which compares two snapshots."""

from typing import Annotated, Any

import msgspec
import typer

from pipeline import jobs
from pipeline.api.move_reasons import move_reason
from pipeline.cli import terminal_tables
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out, store_url
from pipeline.cli.backfill_text import evaluation_progress, report_lines
from pipeline.cli.board_choice import View, require_board
from pipeline.compute.board_cells import MAX_LABELS
from pipeline.errors import PublicationHeld, Usage
from pipeline.jobs.refresh.board_diff import BoardDiff, ModelMove, compare_snapshots, list_moves
from pipeline.jobs.refresh.publication_hold import describe_move
from pipeline.open_store import existing_store
from pipeline.store.boards import board_listing, snapshots
from pipeline.vocabulary.coverage_notes import coverage_notes
from pipeline.vocabulary.method_rules import SENTENCES

# Boards by category and language that `refresh` names.
_SHOWN = 10


@app.command()
def refresh(
    store: StoreOption = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be published; write nothing.")] = False,
    release: Annotated[str | None, typer.Option(help="Publish this held candidate; needs --reason.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the person who releases; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="Why the candidate is released.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Seal new votes, check and rate them, and publish a snapshot if anything has changed.

    Exit 3 if the snapshot would move the top of the board too far. A person must then release the snapshot.
    """
    url = store_url(store)
    if dry:
        if release is not None:
            raise Usage("expected either --dry-run or --release, got both")
        report = jobs.dry_run(url)
        emit(report) if as_json else out.lines(_dry_run_lines(report))
        return
    try:
        if release is None:
            with evaluation_progress(quiet=as_json) as progress:
                result = jobs.refresh_board(url, progress)
        else:
            result = jobs.publish_held(url, release, name, reason)
    except PublicationHeld as held:
        if not as_json:
            raise
        emit({"error": "PublicationHeld", "message": str(held), "candidate": held.candidate, "moves": held.moves})
        raise typer.Exit(3) from None
    if as_json:
        emit(result)
        return
    for line in _refresh_lines(result):
        err.print(line, soft_wrap=True)


def _refresh_lines(result: dict[str, Any]) -> list[str]:
    """Return what a refresh published, for people."""
    lines = [
        f"snapshot {result['sequence']} ({result['snapshot'][:12]}): {result['votes_counted']:,} votes counted, "
        f"{result['votes_excluded']:,} excluded, log of {result['log_size']:,}"
    ]
    more = [f"not rated: {model['model']}: {model['reason']}" for model in result["unrated"]]
    more += board_listing.method_notes(result)
    if result["boards"]:
        more.append(f"{len(result['boards'])} boards by category and language: {', '.join(result['boards'][:_SHOWN])}")
    left_out = list(result["boards_left_out"].items())
    more += [f"no board {board}: {reason}" for board, reason in left_out[:_SHOWN]]
    if len(left_out) > _SHOWN:
        more.append(f"and {len(left_out) - _SHOWN} more categories and languages without a board (--json lists them)")
    if result.get("labels", 0) >= MAX_LABELS:
        more.append(
            f"the log counts {result['labels']:,} categories and languages, which is the limit: votes with others "
            "count on the board of all votes and on those of their other labels"
        )
    if "backfill" in result:
        more += [line for line, _ in report_lines(result["backfill"], refreshed=True)]
    more += coverage_notes(result["coverage"], result["votes_raw"])
    if result["unregistered"]:
        more.append(terminal_tables.unregistered_models(result["unregistered"], result["votes_unregistered"]))
    more += result.get("voter_share", ())
    more += map(terminal_tables.quality_warning, result["warnings"])
    return lines + [f"  {line}" for line in more]


def _dry_run_lines(report: dict[str, Any]) -> list[str]:
    """Return what a refresh would do, for people."""
    lines = [
        f"would publish snapshot {report['after'] + 1}: {report['votes_counted']:,} votes counted, "
        f"{report['votes_excluded']:,} excluded, log of {report['log_size']:,}"
        if report["would_publish"]
        else f"would publish nothing: {'; '.join(report['why_not'])}"
    ]
    lines += [f"  {note}" for note in board_listing.method_notes(report)]
    lines += [f"  moves: {describe_move(move)}" for move in report["moves"]]
    lines += [f"  not rated: {model['model']}: {model['reason']}" for model in report["unrated"]]
    lines += [f"  too far for a machine: {describe_move(move)}" for move in report["held"]]
    lines += [f"  {severity}: {one}" for severity in ("critical", "warnings") for one in report["gate"][severity]]
    return [*lines, "nothing was written"]


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="The older snapshot's id or the beginning of it.")],
    after: Annotated[str | None, typer.Argument(help="The newer snapshot's id; default: the newest.")] = None,
    store: StoreOption = None,
    view: Annotated[View, typer.Option(help="The view that is compared.")] = "defended",
    board: Annotated[str | None, typer.Option(help="Compare a board by category or language instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which models rose or fell between two snapshots, and why: new votes, exclusions, the method, settings."""
    with existing_store(store_url(store)) as opened, opened.read() as connection:
        pair = snapshots.find(connection, before), snapshots.find(connection, after)
        for snapshot in pair:
            require_board(snapshot, view, board)
        found = list_moves(compare_snapshots(connection, opened.files, *pair, board or view))
    if as_json:
        emit(_diff_document(found))
        return
    table = terminal_tables.titled_table(_diff_title(found), ("moved", "rank", "model", "why"), {"model", "why"})
    for one in found.moves:
        if one.places != 0:
            change = terminal_tables.rank_change(one.places or 0)
            table.add_row(change, _ranks(one), one.model, move_reason(one))
    out.print(table)
    for rules, snapshot, what in ((found.rules_on, found.after, "on"), (found.rules_off, found.before, "off")):
        for rule in rules:
            votes = snapshot.body["method"]["left_out"][rule]
            out.print(f"method: the rule {rule} was turned {what}: {votes:,} votes {SENTENCES[rule]}", soft_wrap=True)
    for what, entries in (("excluded", found.excluded), ("restored", found.restored)):
        for e in entries:
            line = f"{what}: {e['kind']} {e['target']}: {e['reason']} (by {e['name']})"
            out.print(line)


def _diff_title(found: BoardDiff) -> str:
    return (
        f"Snapshot {found.before.sequence} to {found.after.sequence}, {found.view}: {found.votes:,} new votes, "
        f"{len(found.excluded)} new exclusions, {len(found.restored)} undone"
    )


def _ranks(move: ModelMove) -> str:
    old, new = (str(row["rank"]) if row else "–" for row in (move.before, move.after))
    return f"{old} → {new}"


def _diff_document(found: BoardDiff) -> dict[str, Any]:
    return {
        "before": found.before.snapshot_id,
        "after": found.after.snapshot_id,
        "view": found.view,
        "votes": found.votes,
        "excluded": list(found.excluded),
        "restored": list(found.restored),
        "settings": {name: {"before": old, "after": new} for name, (old, new) in found.settings.items()},
        "rules_on": list(found.rules_on),
        "rules_off": list(found.rules_off),
        "untold": found.missing_points_reason,
        "rows": [
            {**msgspec.to_builtins(one), "places": one.places, "rating": one.rating_change, "reason": move_reason(one)}
            for one in found.moves
        ],
    }
