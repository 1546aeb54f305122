"""Runs the commands backup and restore. A backup has the database, the files of the ledger and the keys."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, out, store_url
from pipeline.jobs import restoration
from pipeline.jobs.custody import backup as backups


@app.command()
def backup(
    to: Annotated[Path, typer.Option("--out", help="An empty or new folder, or a new file ending in .tar.")],
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Leave the key files out: keep them elsewhere.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up a store: database, ledger files and keys, with the SHA-256 of each file. Workers may go on."""
    made = backups.back_up(store_url(store), to, with_keys=not without_keys)
    if as_json:
        emit(made)
        return
    last = f"the last is {made['last_snapshot'][:12]}" if made["last_snapshot"] else "none is published"
    out.print(
        f"{made['backup']}: {made['votes']:,} records, {made['snapshots']} snapshots ({last}), {made['files']} files "
        f"of {made['bytes']:,} bytes together, as of {made['made_at']}",
        soft_wrap=True,
    )
    if made["keys"]:
        err.print(f"it holds secret keys ({', '.join(made['keys'])}): keep it where only you can read it")
    else:
        err.print("it holds no keys: without the voter key it cannot be restored, without the ledger key not published")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A backup: the folder or the .tar.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a backup, restore it as a new store, and verify the store. Exit 4 if a file is damaged."""
    made = restoration.restore(store_url(store), source)
    if as_json:
        emit(made)
        return
    checked = made["verified"]
    out.print(
        f"restored {made['store']} as of {made['made_at']} and verified it: {checked['votes']:,} leaves in "
        f"{checked['segments']} segments, {checked['snapshots']} snapshots",
        soft_wrap=True,
    )
    for one in made["offsets"]:
        out.print(f"{one['source']} partition {one['partition']} goes on at offset {one['next_offset']}")
    if made["snapshots"]:
        err.print(
            f"its newest snapshot is number {made['snapshots']}, {made['last_snapshot'][:12]}. If a later one was "
            "published, publish nothing from this store: readers and witnesses would see a fork. Restore a newer "
            "backup (deploy/runbooks/audit-failed.md)",
            soft_wrap=True,
        )


__all__ = ["backup", "restore"]
