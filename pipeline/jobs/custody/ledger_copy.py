"""Copies the public ledger to a folder or an object store, from which any web server can serve it.

The copy has the files of the ledger as they are, and the addresses of C2SP tlog-tiles for both logs:

    files/AB/ABCD…                   a segment or a file of a bundle, named by its SHA-256
    heads/000000012                  the signed head of snapshot 12
    log/votes/checkpoint             the newest signed head of the vote log
    log/votes/tile/0/x001/067        256 hashes of the vote log
    log/snapshots/checkpoint, tile   the same of the snapshot log
    snapshots/DIGEST/bundle.zip      a snapshot with everything needed to check it

A checkpoint is written last, so a reader of the copy finds everything that the checkpoint covers. Files never change,
so only new ones are written, and a run that was interrupted is continued by the next.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import Refuted
from pipeline.jobs.custody.copy_place import CopyPlace
from pipeline.ledger import signed_note
from pipeline.ledger.merkle_proofs import check_consistency
from pipeline.ledger.signed_note import Checkpoint
from pipeline.ledger.tiles import FULL, HEIGHT, tile_at_size
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from pipeline.store.read import log_proofs, snapshot_bundles

# Files that are in memory at a time: a segment may have a hundred megabytes, a tile has 8 KiB.
_SEGMENTS, _TILES = 2, 32
_LOGS = (log_proofs.VOTES, log_proofs.SNAPSHOTS)


def copy_ledger(url: str, place: str, *, bundle: bool = False) -> dict[str, Any]:
    """Copy what a ledger has and a copy of it has not.

    Args:
        url: address of the store.
        place: folder or address of the copy, such as s3://BUCKET/PATH.
        bundle: whether the bundle of the newest snapshot is stored too.

    Returns:
        {"place", "files", "tiles", "bytes", "votes", "snapshots", "bundle"}: the numbers of files and tiles that were
        written and their bytes, the sizes of both logs, and the path of the bundle or None.

    Raises:
        Usage: nothing is published, or the place is no address.
        Refuted: the place has the copy of another ledger, or of a longer log; or a file of the ledger was changed.
        Unavailable: a file cannot be read or written.
    """
    target = CopyPlace(place)
    with existing_store(url, with_key=False) as store:
        notes = {log: log_proofs.read_checkpoint(store, log) for log in _LOGS}
        heads = {log: _checkpoint(note, log) for log, note in notes.items()}
        copied = {log: _copied_size(store, target, log, heads[log]) for log in _LOGS}
        with store.write() as connection:
            operators_log.record_export(connection, "mirror", target.name, now())
        files = list(target.write_all(_new_files(store, target), ahead=_SEGMENTS))
        tiles = [
            size
            for log in _LOGS
            for size in target.write_all(_new_tiles(store, log, copied[log], heads[log].size), ahead=_TILES)
        ]
        path = _write_bundle(store, target) if bundle else None
    for log in _LOGS:
        target.write(f"log/{log}/checkpoint", notes[log], "text/plain; charset=utf-8")
    return {
        "place": target.name, "files": len(files), "tiles": len(tiles), "bytes": sum(files) + sum(tiles),
        "votes": heads[log_proofs.VOTES].size, "snapshots": heads[log_proofs.SNAPSHOTS].size, "bundle": path,
    }  # fmt: skip


def _checkpoint(note: bytes, where: str) -> Checkpoint:
    return signed_note.parse_checkpoint(signed_note.parse(note, where), where)


def _copied_size(store: Store, target: CopyPlace, log: str, head: Checkpoint) -> int:
    """Return how many leaves of a log the copy has; 0 if there is no copy yet.

    Raises:
        Refuted: the copy's log is not the beginning of ours.
    """
    where = f"{target.name}/log/{log}/checkpoint"
    note = target.read(f"log/{log}/checkpoint")
    if note is None:
        return 0
    old = _checkpoint(note, where)
    if old.origin != head.origin:
        raise Refuted("copy", where, f"expected a copy of {head.origin}, got one of {old.origin}")
    if old.size > head.size:
        raise Refuted(
            "copy", where, f"expected at most {head.size} leaves, got {old.size}: is the store an old backup?"
        )
    path = [bytes.fromhex(one) for one in log_proofs.prove_growth(store, old.size, head.size, log)]
    check_consistency(old.size, old.root, head.size, head.root, path, where)
    return old.size


def _new_files(store: Store, target: CopyPlace) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of the files that the copy lacks, or has with another size. Heads are the last."""
    folder = store.files.folder
    stored = {**target.sizes("files"), **target.sizes("heads")}
    for path in (*sorted((folder / "files").glob("??/*")), *sorted((folder / "heads").glob("[0-9]*"))):
        name = path.relative_to(folder).as_posix()
        if stored.get(name) != path.stat().st_size:
            yield name, _checked(path)


def _checked(path: Path) -> bytes:
    """Return the content of a file of the ledger, whose name is its SHA-256 unless it is a head.

    Raises:
        Refuted: the content has another SHA-256.
    """
    data = path.read_bytes()
    if path.parent.name != "heads" and hashlib.sha256(data).hexdigest() != path.name:
        raise Refuted("files", str(path), "its content has another SHA-256 than its name")
    return data


def _new_tiles(store: Store, log: str, old: int, new: int) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of the tiles that a log of `new` leaves has, and the same log of `old` leaves has not."""
    level = 0
    while after := new >> (HEIGHT * level):
        before = old >> (HEIGHT * level)
        if after > before:
            for index in range(before // FULL, -(-after // FULL)):
                tile = tile_at_size(level, index, new)
                yield f"log/{log}/{tile.path}", log_proofs.read_tile(store, log, tile.path)
        level += 1


def _write_bundle(store: Store, target: CopyPlace) -> str:
    with store.read() as connection:
        newest = log_proofs.find_manifest(connection, None)
    path = f"snapshots/{newest.snapshot_id}/bundle.zip"
    with tempfile.TemporaryFile() as file:
        snapshot_bundles.write_archive(store, file, newest.snapshot_id)
        file.seek(0)
        target.write(path, file, "application/zip")
    return path
