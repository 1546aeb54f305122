"""The command history: finds what changed between the published snapshots of other boards."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.audits.board_history import BoardHistory, StyleShifts, VoteCountDrop, VoteShares, board_history
from pipeline.audits.method_changes import MethodHistory, method_history
from pipeline.audits.renamed_models import RenameSuggestion, apply_renames, suggest_renames
from pipeline.cli.app import JsonOption, app, emit, out
from pipeline.cli.history_text import print_board, print_overview, reading_notes
from pipeline.errors import Usage
from pipeline.formats.containers import STANDARD_INPUT, exists
from pipeline.formats.published_boards import BoardConflict, PublishedBoard, PublishedHistory, read_published_history
from pipeline.formats.published_boards.rename_file import read_renames
from pipeline.vocabulary.export_text import csv_cell

# With more boards, a table of all stands for the details of each.
_MOST_DETAILED = 8
_SUGGESTED = (
    "board", "old", "new", "last_seen", "first_seen", "old_rating", "new_rating", "old_votes", "new_votes",
    "organization", "similarity",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditedBoard:
    """The results of all audits of one board.

    Attributes:
        history: changes of vote counts, names, shares and the first place.
        method: changes of the board's method, and moves of single models.
        renames: pairs of names that may be one model.
        conflicts: pairs of rows that contradict each other.
    """

    history: BoardHistory
    method: MethodHistory
    renames: tuple[RenameSuggestion, ...]
    conflicts: tuple[BoardConflict, ...]

    @property
    def suspicious(self) -> bool:
        """Whether a vote count fell, a name was removed, or two files contradict each other."""
        return self.history.suspicious or any(one.between_files for one in self.conflicts)


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
    suggest: Annotated[Path | None, typer.Option(help="Write the suggested renames to this .csv, for review.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave rows out that cannot be read, and say how many and why.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Audit published boards: falling vote counts, removed and renamed models, changes of the method, of #1, of shares.

    Exit 1 if a vote count fell, a name was removed, or two files contradict each other.
    """
    for path in [*files, *filter(None, [renames])]:
        if not (exists(path) or (path == STANDARD_INPUT and path != renames)):
            raise Usage(f"expected a file, got {path}")
    read = read_published_history(files, skip_bad=skip_bad)
    chosen = _chosen(read.boards, board or [])
    stated = read_renames(renames) if renames else {}
    found, unknown = _audit(read, chosen, stated)
    notes = reading_notes(read) + [f"no snapshot has the name {name} of {renames}" for name in unknown]
    if suggest:
        _write_suggestions(suggest, found)
    if as_json:
        emit(_whole_document(read, found, notes, stated))
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
    """Return what was found on each board, and the stated old names that no snapshot has."""
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


def _write_suggestions(path: Path, found: Mapping[str, AuditedBoard]) -> None:
    with path.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, _SUGGESTED, lineterminator="\n")
        writer.writeheader()
        for board, one in found.items():
            for rename in one.renames:
                row = {"board": board, "organization": rename.organizations[1], **asdict(rename)}
                row["similarity"] = round(rename.similarity, 3)
                writer.writerow({name: csv_cell(row[name]) for name in _SUGGESTED})


def _whole_document(
    read: PublishedHistory, found: Mapping[str, AuditedBoard], notes: Sequence[str], renames: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "boards": {board: _document(one) for board, one in found.items()},
        "files": [{"name": one.name, "rows": one.rows, "unread_columns": list(one.unread)} for one in read.files],
        "merged": {
            "repeated": read.merged.repeated,
            "conflicting": read.merged.conflicting,
            "listed_twice": read.merged.within_file,
            "earlier_of_day": read.merged.earlier_of_day,
        },
        "left_out": {reason: {"rows": count, "first": first} for reason, (count, first) in read.left_out.items()},
        "renames": dict(renames),
        "notes": list(notes),
    }


def _document(audited: AuditedBoard) -> dict[str, Any]:
    one = audited.history
    return {
        "snapshots": len(one.days),
        "first": str(one.days[0]),
        "last": str(one.days[-1]),
        "transitions": one.transitions,
        "transitions_with_falling_votes": one.transitions_with_falling_votes,
        "names_seen": one.names_seen,
        "names_gone": len(one.gone),
        "total_falls": [_fall(fall) for fall in one.total_falls],
        "falls": [{"model": fall.model, **_fall(fall)} for fall in one.falls],
        "gone": [{"model": g.model, "last_seen": str(g.last_seen), "votes": g.votes} for g in one.gone],
        "names_twice": [{"snapshot": str(day), "model": model} for day, model in one.names_twice],
        "style_shifts": [_style(style) for style in one.style],
        "shares": [_shares(shares) for shares in one.shares],
        "top_churn": {
            "changes": [asdict(c) | {"before": str(c.before), "day": str(c.day)} for c in one.top.changes],
            "overtakings": one.top.overtakings,
            "by_chance_at_most": one.top.by_chance,
            "p_value": one.top.p_value,
        },
        "transitions_compared": audited.method.compared,
        "method_changes": [
            {"from": str(change.start), "to": str(change.end)} | _without(asdict(change), "start", "end")
            for change in audited.method.changes
        ],
        "single_moves": [
            {"from": str(move.start), "to": str(move.end)} | _without(asdict(move), "start", "end")
            for move in audited.method.moves
        ],
        "rename_suggestions": [
            asdict(rename) | {"last_seen": str(rename.last_seen), "first_seen": str(rename.first_seen)}
            for rename in audited.renames
        ],
        "conflicts": [_conflict(conflict) for conflict in audited.conflicts],
    }


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _conflict(one: BoardConflict) -> dict[str, Any]:
    return {
        "snapshot": str(one.day), "model": one.model, "column": one.column, "first": one.first, "other": one.other,
        "first_file": one.first_file, "first_record": one.first_record, "other_file": one.other_file,
        "other_record": one.other_record,
    }  # fmt: skip


def _fall(fall: VoteCountDrop) -> dict[str, Any]:
    return {"from": str(fall.start), "to": str(fall.end), "before": fall.before, "after": fall.after}


def _style(style: StyleShifts) -> dict[str, Any]:
    return {
        "snapshot": str(style.day),
        "compared": style.compared,
        "shifted": style.shifted,
        "mean_places": style.mean,
        "models": [{"model": m, "rank": rank, "style_rank": controlled} for m, rank, controlled in style.models],
    }


def _shares(shares: VoteShares) -> dict[str, Any]:
    return {
        "snapshot": str(shares.day),
        "votes": shares.total,
        "organizations": shares.organizations,
        "licenses": shares.licenses,
        "license_groups": shares.groups,
        "hhi": shares.hhi,
        "gini": shares.gini,
    }
