"""Runs the commands audit, mirror, retract, erase and rotate-key, by which an operator maintains the public ledger."""

from typing import Annotated

import typer

from pipeline import jobs
from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.cli.terminal import styled
from pipeline.errors import Usage
from pipeline.jobs.custody import erasure_remains, operator_actions

NameOption = Annotated[str, typer.Option(help="Name of the person who decides.")]
ReasonOption = Annotated[str, typer.Option(help="The reason. It is published in the ledger.")]


@app.command()
def audit(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Recompute the whole ledger and check its signed heads, as the daily DAG does.

    Exit 4 if a check fails. Each failed check opens a critical alert.
    """
    report = jobs.audit_ledger(store_url(store))
    if as_json:
        emit(report)
    else:
        for part in report["parts"]:
            mark = ("ok", "green") if part["passed"] else ("wrong", "bold red")
            out.print(styled(f"{part['name']:8} ", mark, f"  {part['what']}"))
    if not report["passed"]:
        raise typer.Exit(4)


@app.command()
def mirror(
    place: Annotated[str, typer.Argument(help="A folder or an address, such as s3://BUCKET/PATH.", metavar="PLACE")],
    bundle: Annotated[bool, typer.Option("--bundle", help="Copy the bundle of the newest snapshot too.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the public ledger to a folder or an object store, from which any web server can serve it.

    Only what is new is copied. Credentials of an object store come from the environment, as its programs read them.
    """
    from pipeline.jobs.custody import ledger_copy  # noqa: PLC0415 - imports pyarrow

    result = ledger_copy.copy_ledger(store_url(store), place, bundle=bundle)
    number = result["snapshots"]
    text = f"{result['place']} has {result['votes']:,} votes and {number:,} snapshot{'s' * (number != 1)}; "
    new = f"{result['files']:,} files and {result['tiles']:,} tiles are new, {result['bytes']:,} bytes"
    text += new if result["bytes"] else "nothing is new"
    emit_or_print(as_json, result, text + (f"; the bundle is {result['bundle']}" if bundle else ""), soft_wrap=True)


@app.command()
def retract(
    vote: Annotated[str, typer.Argument(help="The id of a sealed vote.")],
    reason: ReasonOption,
    name: NameOption,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retract a vote: from the next refresh on, no view counts it.

    The leaf of the vote stays in the log, and another leaf records the retraction.
    """
    result = operator_actions.retract(store_url(store), vote, reason, name)
    emit_or_print(as_json, result, f"leaf {result['leaf']} will be retracted by the next refresh")


@app.command()
def erase(
    vote: Annotated[str | None, typer.Argument(help="The id of a sealed vote.")] = None,
    voter: Annotated[str | None, typer.Option(help="Erase all sealed votes of this voter id (the board's id).")] = None,
    name: Annotated[str | None, typer.Option(help="Who asks for it; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="Why; only the operators' log has it.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase the voter from one vote or from all votes of the voter. They still count, and all proofs stay valid.

    This cannot be undone.
    """
    if (vote is None) == (voter is None):
        raise Usage("expected either a vote's id or --voter ID")
    result = operator_actions.erase(store_url(store), vote_id=vote, voter_id=voter, name=name, reason=reason)
    emit_or_print(as_json, result, erasure_remains.describe(result), soft_wrap=True)


@app.command("rotate-key")
def rotate_key(
    name: Annotated[str | None, typer.Option(help="Who decides; default: your login.")] = None,
    reason: Annotated[str, typer.Option(help="Why; only the operators' log has it.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a new signing key. The next snapshot is signed with both the old and the new key."""
    result = operator_actions.rotate_key(store_url(store), name, reason)
    if as_json:
        emit(result)
    else:
        err.print(f"the snapshot after number {result['after']} is signed with the old key and with")
        out.print(result["key"], soft_wrap=True)
