"""Runs the commands verify, bundle and receipt, which let a reader check results without trusting the operator.

`verify BUNDLE` works without the code that reads a store. That code is therefore imported only inside the functions
that need it.
"""

from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.errors import Usage
from pipeline.ledger import bundle as bundles
from pipeline.ledger import canonical_json, verifier_input
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.verifier_command import verdict_document

KeyOption = Annotated[
    list[str] | None,
    typer.Option("--key", help="The operator's key (name+id+base64), obtained apart from the bundle; repeatable."),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option("--checkpoint", help="An earlier checkpoint of the same log: detects forks and rollbacks."),
]


@app.command()
def verify(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle, folder or zip. Default: verify the store.")] = None,
    key: KeyOption = None,
    checkpoint: CheckpointOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle offline, or recompute everything that a store has published. Exit 4 if anything differs."""
    if bundle is None:
        if key or checkpoint:
            raise Usage("--key and --checkpoint check a bundle, and none was given: integrity verify BUNDLE --key KEY")
        _verify_store(store_url(store), as_json)
        return
    if store is not None:
        raise Usage("expected either a bundle or --store, got both")
    _verify_bundle(bundle, key or [], checkpoint, as_json)


def _verify_store(url: str, as_json: bool) -> None:
    from pipeline import jobs  # noqa: PLC0415

    result = jobs.verify_ledger(url)
    text = (
        f"verified: {result['votes']:,} leaves in {result['segments']} segments, {result['snapshots']} snapshots; "
        "every rating follows from its votes"
    )
    emit_or_print(as_json, {"verified": True, **result}, text)


def _verify_bundle(path: Path, key: list[str], checkpoint: Path | None, as_json: bool) -> None:
    keys = verifier_input.read_keys(key)
    earlier = None if checkpoint is None else verifier_input.read_kept(checkpoint)
    found = verify_bundle(verifier_input.open_path(path), keys, earlier)
    emit_or_print(as_json, verdict_document(found), str(found))


@app.command()
def bundle(
    to: Annotated[Path, typer.Option("--out", help="An empty or new folder, or a new file ending in .zip.")],
    snapshot: Annotated[
        str | None, typer.Option(help="A snapshot's id or the beginning of it; default: the newest.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a snapshot together with everything needed to check it offline."""
    from pipeline.open_store import existing_store, now  # noqa: PLC0415
    from pipeline.store.alerting import operators_log  # noqa: PLC0415
    from pipeline.store.boards import snapshots  # noqa: PLC0415
    from pipeline.store.read import log_proofs, snapshot_bundles  # noqa: PLC0415

    with existing_store(store_url(store)) as opened:
        with opened.write() as connection:
            found = snapshots.find(connection, snapshot)
            operators_log.record_export(connection, "bundle", found.snapshot_id, now())
        if to.suffix == ".zip":
            with _new_file(to) as file:
                snapshot_bundles.write_archive(opened, file, snapshot)
        else:
            _require_empty(to)
            bundles.write_folder(to, snapshot_bundles.read_bundle(opened, snapshot))
        key = log_proofs.read_keys(opened)[-1]
    text = f"integrity verify {to} --key {key}"
    emit_or_print(as_json, {"bundle": str(to), "key": key}, text, out, soft_wrap=True)


def _new_file(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except OSError as error:
        raise Usage(f"--out: {path}: expected a new file: {error.strerror}") from None


def _require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Usage(f"--out: expected a folder that does not exist or is empty, got {folder}")


@app.command()
def receipt(
    vote: Annotated[str | None, typer.Argument(help="The id of a vote.")] = None,
    voter: Annotated[str | None, typer.Option(help="All votes of this voter id (the board's id).")] = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="Write the vote's receipt, for leaderboard-verify --receipt.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show whether a vote was counted: the proof that it is in the log, and which views count it.

    With --voter, show this for all votes of a voter, and record the export in the operators' log.
    """
    if (vote is None) == (voter is None):
        raise Usage("expected either a vote's id or --voter ID")
    if to is not None and vote is None:
        raise Usage("--out: expected one vote's id, got --voter")
    from pipeline.open_store import existing_store, now  # noqa: PLC0415
    from pipeline.store.alerting import operators_log  # noqa: PLC0415
    from pipeline.store.read import vote_receipts  # noqa: PLC0415

    with existing_store(store_url(store)) as opened:
        if vote is not None:
            found = [vote_receipts.issue_receipt(opened, vote)]
        else:
            found = vote_receipts.receipts_of_voter(opened, opened.pseudonym(str(voter)))
            with opened.write() as connection:
                operators_log.record_export(connection, "receipts", "", now(), {"receipts": len(found)})
    shown: list[Any] = [canonical_json.to_json(one) for one in found]
    if to is not None:
        to.write_bytes(canonical_json.dump(found[0]))
    if as_json:
        emit(shown[0] if vote is not None else shown)
        return
    for one in found:
        counted = "counts in both views" if one.defended else f"counts in raw only: {one.reason}"
        out.print(
            f"{one.vote}: leaf {one.leaf} of {one.size}, {counted if one.raw else 'does not count: ' + one.reason}; "
            f"{len(one.path)} hashes from {one.tiles_read} tiles",
            markup=False,
        )
    err.print(f"{len(found)} receipts")
