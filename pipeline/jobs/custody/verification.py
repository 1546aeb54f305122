"""Recomputing everything that is published, from the votes in the store.

Laws: the log is held against the votes, the manifests against the log, the boards against both; the first thing that
does not follow is named. What a stranger checks from a bundle is in `ledger.verify`; here the rows are at hand too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.errors import Refuted, VerificationFailed
from pipeline.jobs.open_store import opened
from pipeline.jobs.refresh.counting import VIEWS, Inputs, board, by_model, inputs, rows_of
from pipeline.jobs.refresh.style_view import same_coefficients, style_view
from pipeline.ledger import bundle, manifest, merkle, note, segment
from pipeline.ledger.manifest import Manifest
from pipeline.ledger.note import VerifierKey
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.boards import erasure, exclusions, snapshots
from pipeline.store.log import leaf_index, manifests, reverification, sealed_counts, seals
from pipeline.store.log.manifests import Signed

# Half of the last digit that is published, and a little for the way there and back.
_ROUNDING = 0.0051


def verify(store: str) -> dict[str, Any]:
    """Recompute everything that is published from the votes.

    Returns:
        {"segments", "votes", "snapshots", "erased"} that were checked.

    Raises:
        VerificationFailed: names the first thing that does not follow from the votes.
    """
    with opened(store) as it, it.read() as connection:
        checked = reverification.recheck(connection, it.files)
        if not sealed_counts.total_agrees(connection):
            raise VerificationFailed("the sum of all segments, which refreshes read, is not the sum of the segments")
        published = snapshots.chain(connection)
        signed = list(manifests.all_of(connection))
        if [one.snapshot_id for one in published] != [one.snapshot_id for one in signed]:
            raise VerificationFailed(
                f"expected one signed manifest per snapshot, got {len(signed)} for {len(published)}"
            )
        log, before = b"", None
        for snapshot, one in zip(published, signed, strict=True):
            said = _signed(one, before, log)
            log += merkle.leaf_hash(one.body)
            if snapshot.sequence != said.sequence:
                raise VerificationFailed(f"manifest {said.sequence} is of snapshot {snapshot.sequence}")
            _verify_snapshot(connection, it, snapshot, said)
            before = said
    return {
        "segments": checked.segments,
        "votes": checked.leaves,
        "snapshots": len(published),
        "erased": checked.erased,
    }


def _signed(one: Signed, before: Manifest | None, log: bytes) -> Manifest:
    """A manifest continues the one before it, and its heads are signed by its keys."""
    where = f"manifest {one.sequence}"
    said = manifest.load(one.body, where)
    previous = manifest.digest(before.dump()) if before else manifest.NO_PREVIOUS
    if said.sequence != one.sequence or said.previous != previous:
        raise Refuted("previous", where, f"expected sequence {one.sequence} after {previous[:12]}")
    if manifest.digest(one.body) != one.sha256:
        raise Refuted("digest", where, "it does not have its digest")
    keys = [VerifierKey.parse(text, where) for text in said.keys]
    tree = log + merkle.leaf_hash(one.body)
    head = note.Checkpoint(said.origin, said.sequence, merkle.root(tree))
    _check_head(one.checkpoint, head, keys, f"checkpoint {one.sequence}")
    votes = note.Checkpoint(said.votes_origin, said.vote_log.size, bytes.fromhex(said.vote_log.root))
    of_votes = [VerifierKey(said.votes_origin, key.kind, key.public) for key in keys]
    _check_head(one.votes_checkpoint, votes, of_votes, f"checkpoint {one.sequence} of the vote log")
    return said


def _check_head(data: bytes, expected: note.Checkpoint, keys: list[VerifierKey], where: str) -> None:
    parsed = note.parse(data, where)
    if keys[-1] not in note.verify(parsed, keys, where):
        raise Refuted("unsigned", where, "expected the signature of the newest key")
    if note.checkpoint(parsed, where) != expected:
        raise Refuted("root", where, f"expected {expected.size} leaves with root {expected.root.hex()}")


def _verify_snapshot(connection: Connection, store: Store, snapshot: snapshots.Snapshot, said: Manifest) -> None:
    where = f"snapshot {snapshot.sequence} ({snapshot.snapshot_id[:12]})"
    if (snapshot.digest, snapshot.previous) != (manifest.digest(said.dump()), said.previous):
        raise VerificationFailed(f"{where}: its row does not name its manifest")
    if not snapshot.snapshot_id == snapshots.digest_of(snapshot.body) == said.files.get("snapshot.json"):
        raise VerificationFailed(f"{where}: its body does not have its digest")
    if (snapshot.log_size, seals.root_at(connection, snapshot.log_size)) != (said.vote_log.size, said.vote_log.root):
        raise VerificationFailed(f"{where}: the log at {snapshot.log_size} leaves is not the one that it rates")
    found = _inputs(connection, store, snapshot, said, where)
    _verify_boards(connection, snapshot, found, where)
    for view, published in (("raw", said.views.raw), ("defended", said.views.defended)):
        shown = by_model(snapshots.rows(connection, snapshot.snapshot_id, view))
        if shown != by_model([{name: getattr(row, name) for name in shown[0]} for row in published.rows]):
            raise VerificationFailed(f"{where}, {view}: its rows are not those of its manifest")


def _verify_boards(connection: Connection, snapshot: snapshots.Snapshot, found: Inputs, where: str) -> None:
    """The published rows of each view are what its votes give."""
    options = Settings(**snapshot.body["settings"])
    boards = {view: board(found.views[view], options) for view in VIEWS}
    if "style" in snapshot.body["views"]:
        style = style_view(found.styled, {number: name for name, number in found.model_no.items()}, options)
        if style.board is None or not same_coefficients(style.coefficients, snapshot.body["style"]["coefficients"]):
            raise VerificationFailed(f"{where}, style: its coefficients are not what its votes give")
        boards["style"] = style.board
    for view, again in boards.items():
        _verify_view(connection, snapshot, f"{where}, {view}", view, {row["model"]: row for row in rows_of(again)})


def _inputs(connection: Connection, store: Store, snapshot: snapshots.Snapshot, said: Manifest, where: str) -> Inputs:
    """What the snapshot rates; the votes that it leaves out are those of its list."""
    data = store.files.get(said.files[bundle.EXCLUDED])
    if manifest.digest(data) != said.files[bundle.EXCLUDED]:
        raise Refuted("digest", f"{where}, {bundle.EXCLUDED}", "it does not have its digest")
    leaves = segment.read_excluded(data, where)["leaf"].to_pylist()
    place = leaf_index.votes(connection, leaves)
    listed = snapshot.body["exclusions"]
    named = exclusions.of_list(connection, snapshot.log_size, listed)
    # Whose votes they were is gone where it was erased; that they are left out stays.
    odd = (named.keys() ^ set(place.values())) - erasure.erased(connection, set(place.values()))
    if odd:
        part, offset = min(odd)
        raise VerificationFailed(
            f"{where}: expected the votes that its exclusions name to be left out, and no others; "
            f"the one at partition {part}, offset {offset} differs"
        )
    return inputs(connection, snapshot.log_size, listed, exclusions.at_places(connection, place.values()))


def _verify_view(
    connection: Connection,
    snapshot: snapshots.Snapshot,
    where: str,
    view: str,
    recomputed: Mapping[str, dict[str, Any]],
) -> None:
    shown = snapshots.rows(connection, snapshot.snapshot_id, view)
    if snapshots.digest_of({"rows": by_model(shown)}) != snapshot.body["rows"][view]:
        raise VerificationFailed(f"{where}: its rows do not have their digest")
    for row in shown:
        again = recomputed.get(row["model"])
        if again is None or any(abs(row[k] - again[k]) > _ROUNDING for k in ("rating", "lower", "upper", "votes")):
            raise VerificationFailed(f"{where}: {row['model']} is not what its votes give")
