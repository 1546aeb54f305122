"""Shows what a decision about exclusions would change, and asks the person at the terminal whether to go on."""

import sys
from collections.abc import Callable, Collection, Sequence

import typer
from sqlalchemy.engine import Connection

from pipeline.cli.app import err
from pipeline.cli.on_call_text import both_times
from pipeline.cli.terminal import print_paragraphs
from pipeline.errors import Usage
from pipeline.incident_text import count
from pipeline.jobs import exclusion_preview
from pipeline.jobs.exclusion_preview import ExclusionPreview, RankMove
from pipeline.open_store import now
from pipeline.store.boards.exclusion_effect import ExclusionTarget
from pipeline.store.boards.refresh_rhythm import read_rhythm

_MOVES_SHOWN = 8


def show_preview(
    connection: Connection,
    action: str,
    about: str,
    targets: Sequence[ExclusionTarget],
    models: Collection[str] = (),
    suspects: Collection[str] = (),
) -> None:
    """Print to standard error which votes, voters and ranks a decision would change.

    Args:
        connection: reads the store.
        action: `exclude` or `restore`.
        about: what the decision is about, such as "incident 0123456789ab".
        targets: what would be excluded or restored.
        models: the models that the decision is about. Their ranks are named first.
        suspects: pseudonyms of voters who are only suspected.
    """
    found = exclusion_preview.preview(connection, action, targets)
    accounts = sum(kind == "voter" for kind, _ in targets)
    suspected = sum(kind == "voter" and target in suspects for kind, target in targets)
    parts = [] if accounts == len(targets) else ["the selected votes"]
    if accounts:
        parts.append(f"{count(accounts, 'account')}{f' ({suspected:,} of them only suspected)' if suspected else ''}")
    what = " and ".join(parts)
    lines = [f"{action} {what} of {about}: {found.effect}", *_details(found, accounts, models)]
    print_paragraphs([*lines, *next_refresh_lines(connection)], console=err)


def next_refresh_lines(connection: Connection) -> list[str]:
    """Return a list with a sentence about the time of the next refresh; an empty list if the time is not known."""
    rhythm = read_rhythm(connection, now())
    return [] if rhythm is None else [f"When: {rhythm.sentence(both_times(rhythm.expected_at))}."]


def _details(found: ExclusionPreview, accounts: int, models: Collection[str]) -> list[str]:
    lines = []
    if found.voters is not None and found.voters != accounts:
        lines.append(f"Voters: {found.voters:,}, honest ones too if the votes were not chosen by account.")
    if found.without_ranks:
        return [*lines, f"Ranks: not computed: {found.without_ranks}"]
    moves = sorted(found.moves, key=lambda one: one.model not in models)  # stable: the others stay in order
    shown = [_move_text(one) for one in moves[:_MOVES_SHOWN]]
    more = len(moves) - len(shown)
    ranks = ", ".join([*shown, *([f"and {more} more"] if more else [])]) or "no rank changes"
    return [*lines, f"Ranks: {ranks}{_unmoved(found, models)} (on the votes of the newest snapshot)"]


def _unmoved(found: ExclusionPreview, models: Collection[str]) -> str:
    still = sorted(set(models) - {one.model for one in found.moves})
    return f"; the rank of {', '.join(still)} does not change" if still and found.moves else ""


def _move_text(move: RankMove) -> str:
    before, after = ("not listed" if rank is None else f"#{rank}" for rank in (move.before, move.after))
    return f"{move.model} {before} to {after}"


def is_done(decided: Sequence[object], find_targets: Callable[[], object]) -> bool:
    """Return whether the next decision of a command would change nothing, because earlier ones have changed everything.

    Args:
        decided: the results of the command's earlier decisions. Without any, the result is False.
        find_targets: finds what the next decision would change, and raises `Usage` if it would change nothing.
    """
    if not decided:
        return False
    try:
        find_targets()
    except Usage:
        return True
    return False


def confirm(command: str, *, yes: bool, required: bool = True) -> None:
    """Ask the person at the terminal whether to go on.

    Args:
        command: the command, for messages, such as "incidents exclude".
        yes: whether the person has agreed already, by an option.
        required: whether the command must stop if nobody can be asked, because standard input is no terminal. If False,
            the command continues.

    Raises:
        Exit: the person refused. The status is 1.
        Usage: nobody can be asked, and `required` is True.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        if required:
            raise Usage(f"{command}: expected --yes where nobody can be asked; nothing was changed")
        return
    if not typer.confirm("Go on?", err=True):
        err.print("Nothing changed.")
        raise typer.Exit(1)
