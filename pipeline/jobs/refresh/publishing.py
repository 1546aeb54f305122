"""Making a candidate a snapshot: its manifest, the snapshot log that grows by it, and the signatures.

Laws: manifest, place in the log and signatures are written in one transaction, so nothing is ever visible unsigned or
half; a file that a manifest names is on the disk before; a candidate that was made before the newest snapshot is
published after it by nobody.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import Usage
from pipeline.jobs.refresh.counting import Inputs
from pipeline.jobs.refresh.signing import Signers, board_name, key_chain
from pipeline.ledger import bundle, manifest, merkle, published_views, segment, signed_note
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import BoardRow, Manifest, PublishedView, PublishedViews
from pipeline.ratings.rated_models import UnratedModel
from pipeline.store import Store
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import Candidate, Snapshot
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import leaf_index, manifests
from pipeline.store.votes import arrow_reader
from pipeline.vocabulary.time import format_rfc3339

SNAPSHOT = "snapshot.json"
"""The body of a snapshot as a file of its bundle: its SHA-256 is the id of the snapshot."""


def keep_excluded(files: LedgerFiles, given: Inputs) -> dict[str, Any]:
    """Write the list of excluded leaves.

    Returns:
        SHA-256 of the file, and how many votes each exclusion takes.
    """
    leaves = np.array(sorted(given.left_out), dtype=np.int64)
    entry = np.array([given.left_out[leaf] for leaf in leaves.tolist()], dtype=np.int32)
    taken = np.bincount(entry, minlength=len(given.exclusions)).tolist()
    return {"sha256": files.put(segment.write_excluded(pa.array(leaves), pa.array(entry))), "votes": taken}


def open_alerts(connection: Connection) -> list[list[str]]:
    """Id, detector and severity of each alert that is not resolved."""
    a = schema.alert.c
    query = sa.select(a.alert_id, a.detector, a.severity).where(a.state != "resolved").order_by(a.alert_id)
    return [list(row) for row in connection.execute(query)]


def positions(connection: Connection, log_size: int) -> list[list[Any]]:
    """How far the log at a size had read each source: name, partition, next offset."""
    known = arrow_reader.partition_sources(connection)
    return sorted([*known[part], end] for part, end in leaf_index.ends(connection, log_size).items())


def publish(connection: Connection, store: Store, signers: Signers, candidate_id: str, now: int) -> Snapshot:
    """Sign a candidate and give it its place in the log.

    Returns:
        The snapshot; or the newest one, if that was published after the candidate was made.

    Raises:
        Usage: there is no such candidate.
        MissingKey: as `signing.key_chain`.
    """
    snapshots.lock(connection)
    found = snapshots.candidate(connection, candidate_id)
    if found.sequence is not None:
        return snapshots.find(connection, candidate_id)
    newest = manifests.newest(connection)
    if found.body["after"] != (newest.sequence if newest else 0):
        return snapshots.find(connection)
    before = manifest.load(newest.body) if newest else None
    said, signing = _manifest(connection, store, signers, found, before, now)
    raw = said.dump()
    log = manifests.leaves(connection) + merkle.leaf_hash(raw)
    head = signed_note.Checkpoint(said.origin, said.sequence, merkle.root(log))
    votes = signed_note.Checkpoint(said.votes_origin, said.vote_log.size, bytes.fromhex(said.vote_log.root))
    signed = manifests.Signed(
        said.sequence,
        candidate_id,
        manifest.sha256_hex(raw),
        raw,
        signed_note.sign(head.text, signing),
        signed_note.sign(votes.text, [signers.log(votes.origin)]),
    )
    manifests.add(connection, signed, log[-merkle.WIDTH :])
    return snapshots.publish(connection, candidate_id, said.sequence, said.previous, signed.sha256, now)


def keep_head(store: Store, published: Snapshot) -> None:
    """Keep the signed head of a published snapshot beside the database, for the audit."""
    with store.read() as connection:
        signed = manifests.of(connection, published.snapshot_id)
    # What was kept first stays: another head at its place is what the audit looks for.
    if not store.files.has_head(signed.sequence):
        store.files.put_head(signed.sequence, signed.checkpoint)


def _manifest(
    connection: Connection, store: Store, signers: Signers, found: Candidate, before: Manifest | None, now: int
) -> tuple[Manifest, list[signed_note.Signer]]:
    body, board = found.body, board_name(store, before)
    keys, signing = key_chain(before.keys if before else (), signers, f"{board}/snapshots")
    stated = bundle.listed_files(signing[-1].verifier, store.files.get(body["excluded"]["sha256"]))
    stated[SNAPSHOT] = found.raw
    for data in stated.values():
        store.files.put(data)
    said = Manifest(
        schema=manifest.SCHEMA,
        board=board,
        sequence=before.sequence + 1 if before else 1,
        previous=manifest.sha256_hex(before.dump()) if before else manifest.NO_PREVIOUS,
        at=format_rfc3339(now, "seconds"),
        vote_log=manifest.VoteLogHead(body["log_size"], Digest(body["log_root"])),
        segments=tuple(_segments(connection, body["log_size"])),
        exclusions=tuple(
            manifest.ManifestExclusion(**entry, votes=votes)
            for entry, votes in zip(body["exclusions"], body["excluded"]["votes"], strict=True)
        ),
        configuration=published_views.with_digest(body["settings"]),
        code=manifest.CodeVersion(body["code"], lock_digest()),
        quality=manifest.DataQuality(body["verdict"] or "", success=body["verdict"] is not None),
        views=PublishedViews(*(_view(connection, found, name) for name in ("raw", "defended"))),
        alerts=tuple(manifest.OpenAlert(*one) for one in body["alerts"]),
        watermark=tuple(manifest.SourcePosition(*one) for one in body["watermark"]),
        keys=keys,
        witnesses=_witnesses(),
        files=bundle.file_digests(stated),
    )
    return said, signing


def _view(connection: Connection, found: Candidate, name: str) -> PublishedView:
    shown = found.body["views"][name]
    return PublishedView(
        votes=shown["votes"],
        counts_sha256=Digest(shown["counts_sha256"]),
        gradient_norm=shown["gradient_norm"],
        rows=tuple(BoardRow(**row) for row in snapshots.rows(connection, found.snapshot_id, name)),
        unrated=tuple(sorted((UnratedModel(**one) for one in shown["unrated"]), key=lambda one: one.model)),
    )


def _segments(connection: Connection, log_size: int) -> list[manifest.SegmentFile]:
    s = schema.segment.c
    query = sa.select(s.log_size, s.leaves, s.sha256).where(s.log_size <= log_size).order_by(s.log_size)
    return [
        manifest.SegmentFile(row.log_size - row.leaves, row.leaves, Digest(row.sha256))
        for row in connection.execute(query)
    ]


def _witnesses() -> tuple[str, ...]:
    texts = [one.strip() for one in configuration.load().witnesses.split(",") if one.strip()]
    for text in texts:
        key = signed_note.VerifierKey.parse(text, "INTEGRITY_WITNESSES")
        if key.kind != signed_note.COSIGNATURE:
            raise Usage(f"INTEGRITY_WITNESSES: expected keys of witnesses, got {text}")
    return tuple(texts)


@cache
def lock_digest() -> str:
    """SHA-256 of the file that pins every library, "" where it is not at hand."""
    shipped = resources.files("pipeline") / "_requirements.lock"
    beside = Path(__file__).parents[3] / "requirements.lock"
    for one in (shipped, beside):
        if one.is_file():
            return sha256(one.read_bytes()).hexdigest()
    return ""
