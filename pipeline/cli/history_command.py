"""Runs the command history, which finds what changed between the published snapshots of other boards."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audits.board_history import board_history
from pipeline.audits.method_changes import method_history
from pipeline.audits.renamed_models import apply_renames, suggest_renames
from pipeline.cli.app import JsonOption, app, emit, out
from pipeline.cli.history_document import AuditedBoard, history_document
from pipeline.cli.history_text import print_board, print_overview, reading_notes
from pipeline.cli.output_file import ForceOption, new_file, require_new
from pipeline.errors import Usage
from pipeline.formats.containers import STANDARD_INPUT, exists
from pipeline.formats.published_boards import PublishedBoard, PublishedHistory, read_published_history
from pipeline.formats.published_boards.rename_file import read_renames
from pipeline.vocabulary.export_text import csv_cell

# With more boards, a table of all stands for the details of each.
_MOST_DETAILED = 8
_SUGGESTED = (
    "board", "old", "new", "last_seen", "first_seen", "old_rating", "new_rating", "old_votes", "new_votes",
    "organization", "similarity",
)  # fmt: skip


@app.command()
def history(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Published boards: the arena's dataset, a table with the columns snapshot, board, model, score, votes "
            "(.csv, .tsv, .json, .jsonl, .parquet, also .gz and .zst), an exported board or bundle of this pipeline; "
            "a folder or a quoted glob of them, or - for standard input.",
        ),
    ],
    board: Annotated[
        list[str] | None, typer.Option(help="Only boards of this name, such as text/overall or 'text/*'; repeatable.")
    ] = None,
    renames: Annotated[
        Path | None, typer.Option(help="A .csv with the columns old and new, or .json: names that are one model.")
    ] = None,
    suggest: Annotated[
        Path | None, typer.Option(help="Write the suggested renames to this new .csv, for review.")
    ] = None,
    force: ForceOption = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave rows out that cannot be read, and say how many and why.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Audit published boards: falling vote counts, removed or renamed models, new methods, new leaders, vote shares.

    Exit 1 if a vote count fell, a name was removed, or two files contradict each other.
    """
    for path in [*files, *filter(None, [renames])]:
        if not (exists(path) or (path == STANDARD_INPUT and path != renames)):
            raise Usage(f"expected a file, got {path}")
    if suggest:
        require_new(suggest, force)
    read = read_published_history(files, skip_bad=skip_bad)
    chosen = _chosen(read.boards, board or [])
    stated = read_renames(renames) if renames else {}
    found, unknown = _audit(read, chosen, stated)
    notes = reading_notes(read) + [f"no snapshot has the name {name} of {renames}" for name in unknown]
    if suggest:
        _write_suggestions(suggest, found, force)
    if as_json:
        emit(history_document(read, found, notes, stated))
    else:
        out.lines(notes)
        if len(found) > _MOST_DETAILED:
            print_overview(found)
        else:
            for one in found.values():
                print_board(one)
        if suggest:
            out.print(f"wrote the suggested renames to {suggest}; review it, then give it as --renames")
    if any(one.suspicious for one in found.values()):
        raise typer.Exit(1)


def _chosen(
    boards: Mapping[str, tuple[PublishedBoard, ...]], patterns: Sequence[str]
) -> dict[str, tuple[PublishedBoard, ...]]:
    for pattern in patterns:
        if not any(name == pattern or fnmatchcase(name, pattern) for name in boards):
            shown = ", ".join(list(boards)[:10]) + (", …" if len(boards) > 10 else "")
            raise Usage(f"--board: expected one of {len(boards)} boards ({shown}), got {pattern!r}")
    chosen = [name for name in boards if not patterns or any(name == one or fnmatchcase(name, one) for one in patterns)]
    return {name: boards[name] for name in chosen}


def _audit(
    read: PublishedHistory, boards: Mapping[str, tuple[PublishedBoard, ...]], stated: Mapping[str, str]
) -> tuple[dict[str, AuditedBoard], list[str]]:
    """Audit each board. Return the results, and the old names in `stated` that no snapshot has."""
    found: dict[str, AuditedBoard] = {}
    seen: set[str] = set()
    for name, published in boards.items():
        snapshots, applied = apply_renames(published, stated)
        seen |= applied
        conflicts = tuple(one for one in read.merged.conflicts if one.board == name)
        found[name] = AuditedBoard(
            board_history(snapshots), method_history(snapshots), suggest_renames(snapshots), conflicts
        )
    return found, sorted(set(stated) - seen)


def _write_suggestions(path: Path, found: Mapping[str, AuditedBoard], force: bool) -> None:
    with new_file(path, force=force) as draft, draft.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, _SUGGESTED, lineterminator="\n")
        writer.writeheader()
        for board, one in found.items():
            for rename in one.renames:
                row = {"board": board, "organization": rename.organizations[1], **asdict(rename)}
                row["similarity"] = round(rename.similarity, 3)
                writer.writerow({name: csv_cell(row[name]) for name in _SUGGESTED})
