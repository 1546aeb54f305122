"""audit, retract, erase, rotate-key, witness: looking after the public ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out
from pipeline.errors import Refuted, Usage
from pipeline.jobs.custody import operator_actions, witnessing
from pipeline.ledger.witness import HTTP_STATUS

witness = typer.Typer(help="Sign a log's heads as a third party, and refuse forks and rollbacks.", no_args_is_help=True)
app.add_typer(witness, name="witness")

FolderArgument = Annotated[Path, typer.Argument(help="The witness's own folder.")]
NameOption = Annotated[str, typer.Option(help="In whose name.")]
ReasonOption = Annotated[str, typer.Option(help="Why; of a retraction it becomes public.")]


def _store(given: str | None) -> str:
    return given or configuration.load().store


@app.command()
def audit(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Recompute the whole ledger as the daily DAG does; what is wrong opens a critical alert; exit 4."""
    report = jobs.audit_ledger(_store(store))
    if as_json:
        emit(report)
    else:
        for part in report["parts"]:
            mark = "[green]ok[/]" if part["passed"] else "[bold red]wrong[/]"
            out.print(f"{part['name']:8} {mark}  ", end="", highlight=False)
            out.print(part["what"], highlight=False, markup=False)
    if not report["passed"]:
        raise typer.Exit(4)


@app.command()
def retract(
    vote: Annotated[str, typer.Argument(help="The id of a sealed vote.")],
    reason: ReasonOption,
    name: NameOption,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a vote back: from the next refresh on it counts in no view; its leaf stays, and another one says so."""
    found = operator_actions.retract(_store(store), vote, reason, name)
    if as_json:
        emit(found)
    else:
        err.print(f"leaf {found['leaf']} is taken back by the next refresh", highlight=False)


@app.command()
def erase(
    vote: Annotated[str | None, typer.Argument(help="The id of a sealed vote.")] = None,
    voter: Annotated[
        str | None, typer.Option(help="All sealed votes of a voter, by the id that the board knows.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget who cast a vote; it goes on counting, and every proof holds. Cannot be undone."""
    if (vote is None) == (voter is None):
        raise Usage("expected a vote's id, or --voter ID")
    found = operator_actions.erase(_store(store), vote_id=vote, voter_id=voter)
    if as_json:
        emit(found)
    else:
        err.print(f"{found['erased']} votes no longer say who cast them")


@app.command("rotate-key")
def rotate_key(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Make a new key that signs snapshots; the next snapshot is signed by both."""
    found = operator_actions.rotate_key(_store(store))
    if as_json:
        emit(found)
    else:
        err.print(f"the snapshot after {found['after']} is signed by the old key and by", highlight=False)
        out.print(found["key"], highlight=False, markup=False, soft_wrap=True)


@witness.command("init")
def init(folder: FolderArgument, name: NameOption) -> None:
    """Make a witness; prints the public key that a board puts into INTEGRITY_WITNESSES."""
    out.print(witnessing.create_witness(folder, name), highlight=False, markup=False, soft_wrap=True)


@witness.command()
def watch(folder: FolderArgument, key: Annotated[str, typer.Argument(help="The key of a snapshot log.")]) -> None:
    """Watch a log from its first leaf on."""
    err.print(f"{witnessing.watch_log(folder, key)} is watched", highlight=False)


@witness.command()
def logs(folder: FolderArgument) -> None:
    """The logs that are watched, with the newest head that was signed of each, as JSON."""
    emit(witnessing.watched_logs(folder))


@witness.command()
def sign(
    folder: FolderArgument,
    request: Annotated[Path | None, typer.Argument(help="What `witness ask` wrote; default: standard input.")] = None,
) -> None:
    """Sign a head that continues the known one; prints the line. Exit 4 with the HTTP status of the refusal."""
    asked = sys.stdin.buffer.read() if request is None else request.read_bytes()
    try:
        line = witnessing.sign_head(folder, asked)
    except Refuted as fault:
        err.print(f"refused with {HTTP_STATUS.get(fault.reason, 400)}", highlight=False)
        raise
    sys.stdout.buffer.write(line)


@witness.command()
def ask(
    old: Annotated[int, typer.Option(help="Leaves of the newest head that the witness has signed.")] = 0,
    store: StoreOption = None,
) -> None:
    """The board's side: write the request to a witness (C2SP tlog-witness, add-checkpoint) to standard output."""
    sys.stdout.buffer.write(witnessing.witness_request(_store(store), old))


@witness.command()
def keep(
    line: Annotated[Path | None, typer.Argument(help="What `witness sign` wrote; default: standard input.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """The board's side: keep a witness's line, so that bundles show it."""
    found = witnessing.add_cosignature(_store(store), sys.stdin.buffer.read() if line is None else line.read_bytes())
    if as_json:
        emit(found)
    else:
        err.print(f"snapshot {found['sequence']} is signed by {found['witness']}", highlight=False)
