"""Prints the results of the command history for people: notes about the files, and the results of each board."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from pipeline.audits.board_history import BoardHistory
from pipeline.audits.method_changes import MethodChange, MethodHistory
from pipeline.audits.renamed_models import RenameSuggestion
from pipeline.cli.app import out
from pipeline.cli.history_document import AuditedBoard
from pipeline.cli.terminal_tables import titled_table
from pipeline.formats.published_boards import BoardConflict, PublishedHistory

_SHOWN = 5
_UNREAD_FILES = 3


def reading_notes(read: PublishedHistory) -> list[str]:
    """Return sentences about how the files were read, and which columns and rows were not read."""
    merged, notes = read.merged, []
    rows = sum(one.rows for one in read.files)
    if len(read.files) > 1:
        boards = ", ".join(list(read.boards)[:_SHOWN]) + (", …" if len(read.boards) > _SHOWN else "")
        notes.append(f"read {rows:,} rows of {len(read.files)} files: {len(read.boards)} boards ({boards})")
    notes += [file.note for file in read.files if file.note]
    by_unread: dict[tuple[str, ...], list[str]] = {}
    for file in read.files:
        by_unread.setdefault(file.unread, []).append(file.name)
    for unread, names in by_unread.items():
        if unread:
            of = f"{', '.join(names[:_UNREAD_FILES])}{', …' if len(names) > _UNREAD_FILES else ''}: "
            notes.append(f"{of if len(by_unread) > 1 else ''}columns that were not read: {', '.join(unread)}")
    for reason, (count, first) in read.left_out.items():
        notes.append(f"{count:,} rows were left out for their {reason}; the first: {first}")
    if merged.repeated:
        notes.append(f"{merged.repeated:,} rows repeat another row and count once")
    if merged.earlier_of_day:
        notes.append(f"{merged.earlier_of_day:,} rows are of an earlier snapshot of the same day: the last one counts")
    if merged.conflicting:
        notes.append(
            f"{merged.conflicting:,} rows contradict a row of an earlier file about the same model, board and day: the "
            "earlier file counts"
        )
    return notes


def print_overview(found: Mapping[str, AuditedBoard]) -> None:
    """Print a table with one row for each board.

    Args:
        found: name of a board → the results of its audits.
    """
    columns = ("board", "days", "last day", "falls", "gone", "renames", "method", "moves")
    table = titled_table(f"{len(found)} boards; --board NAME shows one in detail", columns, columns[:1])
    for name, one in found.items():
        history = one.history
        figures = (
            history.transitions_with_falling_votes, len(history.gone), len(one.renames), len(one.method.changes),
            len(one.method.moves),
        )  # fmt: skip
        span = (f"{len(history.days):,}", str(history.days[-1]))
        table.add_row(name, *span, *(f"{figure:,}" if figure else "" for figure in figures))
    out.print(table)
    conflicts = [conflict for one in found.values() for conflict in one.conflicts if conflict.between_files]
    _limited([f"{conflict.board}: {_conflict_line(conflict)}" for conflict in conflicts], "conflicts")
    out.print(
        "falls: transitions in which a vote count fell; gone: names missing from the last snapshot; method: changes of "
        "all ratings, intervals or votes at once"
    )


def print_board(one: AuditedBoard) -> None:
    """Print the results of all audits of one board in detail."""
    history = one.history
    out.rule(f"{history.board}: {len(history.days)} snapshots, {history.days[0]} to {history.days[-1]}", align="left")
    out.print(
        f"vote counts fell in {history.transitions_with_falling_votes} of {history.transitions} transitions; "
        f"{len(history.gone)} of {history.names_seen} names are missing from the last snapshot"
    )
    for fall in history.total_falls:
        out.print(f"the board's total fell from {fall.before:,} on {fall.start} to {fall.after:,} on {fall.end}")
    twice = {(rows.day, rows.model): rows for rows in one.conflicts if not rows.between_files}
    for day, model in history.names_twice:
        out.print(f"{model} is listed twice on {day}{_difference(twice.get((day, model)))}")
    _limited([_conflict_line(conflict) for conflict in one.conflicts if conflict.between_files], "conflicts")
    if history.falls:
        out.print(_largest_falls(history))
    out.lines(_change_line(change) for change in one.method.changes)
    _limited(_move_lines(one.method), "moves of single models")
    _limited([_rename_line(rename) for rename in one.renames], "possible renames")
    if history.shares:
        out.print(_share_table(history))
    _print_style(history)
    soon = sum(change.within_week for change in history.top.changes)
    out.print(
        f"#1 changed {len(history.top.changes)} times, {soon} within a week of the last change; "
        f"{history.top.overtakings} between listed models, where chance explains at most {history.top.by_chance:.2f} "
        f"(p = {history.top.p_value:.2g})"
    )


def _limited(lines: Sequence[str], what: str) -> None:
    out.lines(lines[:_SHOWN])
    if len(lines) > _SHOWN:
        out.print(f"  and {len(lines) - _SHOWN:,} more {what} (--json lists all)")


def _conflict_line(one: BoardConflict) -> str:
    return (
        f"conflict: {one.model} on {one.day}: {one.column} = {one.first} in {one.first_file}, record "
        f"{one.first_record}, {one.other} in {one.other_file}, record {one.other_record}"
    )


def _difference(rows: BoardConflict | None) -> str:
    """Return a text such as ": score = 1200 in record 3, 1210 in record 9" about two rows; "" without rows."""
    if rows is None:
        return ""
    places = (rows.first_record, rows.other_record)
    return f": {rows.column} = {rows.first} in record {places[0]}, {rows.other} in record {places[1]}"


def _change_line(one: MethodChange) -> str:
    between = f"between {one.start} and {one.end}"
    of = f"{one.agreeing} of {one.compared} models"
    factor = one.factor or 1.0
    what = {
        "shift": f"the ratings of {of} moved together by {one.shift:+.1f} points",
        "rescaling": f"the distances between the ratings of {of} changed by the factor {one.scale:.3f}, the middle "
        f"moved by {one.shift:+.1f} points",
        "refit": f"most of {one.compared} ratings moved beyond their intervals, each by its own amount",
        "intervals": f"the intervals of {of} changed by the factor {factor:.2f}, beyond what their votes explain",
        "recount": f"the votes of {of} fell, by {1 - factor:.1%} at the median",
    }[one.kind]
    return f"method change ({one.kind}) {between}: {what}"


def _move_lines(method: MethodHistory) -> list[str]:
    return [
        f"single move: {one.model} from {one.before:.1f} on {one.start} to {one.after:.1f} on {one.end}, where the "
        f"movement of all ratings takes it to {one.expected:.1f}"
        for one in sorted(method.moves, key=lambda move: -abs(move.after - move.expected))
    ]


def _rename_line(one: RenameSuggestion) -> str:
    names = [name for name in one.organizations if name]
    organization = f", {names[0]}" if names else ""
    rivals = f"; {one.rivals} other such pairs" if one.rivals else ""
    return (
        f"possible rename: {one.old} (last {one.last_seen}: {one.old_rating:.1f}, {one.old_votes:,} votes) → {one.new} "
        f"(first {one.first_seen}: {one.new_rating:.1f}, {one.new_votes:,} votes){organization}; "
        f"threshold {one.tolerance:.1f} points{rivals}"
    )


def _print_style(history: BoardHistory) -> None:
    if not history.style:
        return
    last = history.style[-1]
    out.print(
        f"style control on {last.day}: {last.shifted} of {last.compared} ranks shift, by {last.mean:.1f} on average"
    )
    for model, rank, controlled in last.models[:_SHOWN]:
        out.print(f"  {model}: #{rank}, under style control #{controlled}")


def _largest_falls(one: BoardHistory) -> Table:
    columns = ("model", "from", "to", "before", "after")
    table = titled_table("Largest falls of a model's votes", columns, columns[:3])
    for fall in sorted(one.falls, key=lambda f: f.after - f.before)[:_SHOWN]:
        table.add_row(str(fall.model), str(fall.start), str(fall.end), f"{fall.before:,}", f"{fall.after:,}")
    return table


def _share_table(one: BoardHistory) -> Table:
    first, last = one.shares[0], one.shares[-1]
    group = "organisation or licence group"
    table = titled_table("Shares of the votes", (group, str(first.day), str(last.day)), {group})
    top = sorted(last.organizations, key=lambda name: -last.organizations[name])[:_SHOWN]
    by_organization = (top, first.organizations, last.organizations)
    for names, before, after in (by_organization, (sorted(last.groups), first.groups, last.groups)):
        for name in names:
            table.add_row(name or "(none given)", f"{before.get(name, 0):.1%}", f"{after[name]:.1%}")
    table.add_row("concentration (HHI)", f"{first.hhi:.3f}", f"{last.hhi:.3f}")
    table.add_row("inequality of models (Gini)", f"{first.gini:.3f}", f"{last.gini:.3f}")
    return table
