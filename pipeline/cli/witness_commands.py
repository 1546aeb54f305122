"""Runs the commands of the group `witness`. A witness is a third party that signs checkpoints of the board's ledger.

The commands `ask` and `keep` are for the operator of the board, all others are for the witness.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.errors import Refuted
from pipeline.jobs.custody import witnessing
from pipeline.ledger import verifier_input
from pipeline.ledger.witness import HTTP_STATUS

witness = typer.Typer(help="Sign a log's heads as a third party; refuse forks and rollbacks.", no_args_is_help=True)
app.add_typer(witness, name="witness")

FolderArgument = Annotated[Path, typer.Argument(help="The witness's own folder.")]


@witness.command("init")
def init(folder: FolderArgument, name: Annotated[str, typer.Option(help="Name of the witness.")]) -> None:
    """Create a witness and print its public key, which the board adds to INTEGRITY_WITNESSES."""
    out.print(witnessing.create_witness(folder, name), soft_wrap=True)


@witness.command()
def watch(
    folder: FolderArgument, key: Annotated[str, typer.Argument(help="The public key of a snapshot log.")]
) -> None:
    """Start watching a log, from its first leaf on."""
    err.print(f"watching {witnessing.watch_log(folder, key)}")


@witness.command()
def logs(folder: FolderArgument) -> None:
    """List the watched logs as JSON, each with the newest head that was signed."""
    emit(witnessing.watched_logs(folder))


@witness.command()
def sign(
    folder: FolderArgument,
    request: Annotated[Path | None, typer.Argument(help="Output of `witness ask`; default: standard input.")] = None,
) -> None:
    """Sign a head that continues the newest signed head, and print the signature line.

    Exit 4 if the head is refused. The message has the HTTP status of the refusal (C2SP tlog-witness).
    """
    body = sys.stdin.buffer.read() if request is None else verifier_input.read_file(request, "REQUEST")
    try:
        line = witnessing.sign_head(folder, body)
    except Refuted as fault:
        err.print(f"refused with {HTTP_STATUS.get(fault.reason, 400)}")
        raise
    sys.stdout.buffer.write(line)


@witness.command()
def ask(
    old: Annotated[int, typer.Option(help="Leaves of the newest head that the witness has signed.")] = 0,
    store: StoreOption = None,
) -> None:
    """For the board: write a request to a witness (C2SP tlog-witness, add-checkpoint) to standard output."""
    sys.stdout.buffer.write(witnessing.witness_request(store_url(store), old))


@witness.command()
def keep(
    line: Annotated[Path | None, typer.Argument(help="Output of `witness sign`; default: standard input.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """For the board: store the signature of a witness. New bundles then contain it."""
    signed = sys.stdin.buffer.read() if line is None else verifier_input.read_file(line, "LINE")
    result = witnessing.add_cosignature(store_url(store), signed)
    emit_or_print(as_json, result, f"snapshot {result['sequence']} is signed by {result['witness']}")
