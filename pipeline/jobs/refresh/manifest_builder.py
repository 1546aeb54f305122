"""Builds the manifest of a snapshot from its candidate, the previous manifest and the settings.

The manifest is the signed document that names every file and figure of a snapshot. A candidate is a snapshot before its
publication.

Every file that a manifest names is on disk before the manifest is built.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import Usage
from pipeline.jobs.refresh.rating_input import RatingInput
from pipeline.jobs.refresh.signing_keys import SigningKeys, board_name, key_chain
from pipeline.ledger import (
    bundle,
    interval_rows,
    leaf_labels,
    manifest,
    published_views,
    segment,
    signed_note,
    verifier_input,
    voter_scores_file,
)
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import BoardRow, Manifest, PublishedMethod, PublishedView, PublishedViews
from pipeline.ledger.manifest_notices import ManifestNotice
from pipeline.ratings.rated_models import UnratedModel
from pipeline.store import Store
from pipeline.store.alerting import alert_queries
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import SnapshotCandidate
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import leaf_index, sealed_labels, seals
from pipeline.store.log.manifests import PreviousManifest
from pipeline.store.votes import arrow_reader
from pipeline.vocabulary.time import format_rfc3339


def write_excluded_leaves(files: LedgerFiles, given: RatingInput) -> dict[str, Any]:
    """Write the ledger file that lists the excluded votes: the leaf of each, and the exclusion that excludes the vote.

    Args:
        files: the ledger files of the store.
        given: the input of the rating, whose `left_out` maps the index of a leaf to the index of its exclusion.

    Returns:
        {"sha256", "votes"}: SHA-256 of the file in hexadecimal, and a list with the number of excluded votes for each
        exclusion, in the order of `given.exclusions`.
    """
    leaves = np.array(sorted(given.left_out), dtype=np.int64)
    entry = np.array([given.left_out[leaf] for leaf in leaves.tolist()], dtype=np.int32)
    taken = np.bincount(entry, minlength=len(given.exclusions)).tolist()
    return {"sha256": files.put(segment.write_excluded(pa.array(leaves), pa.array(entry))), "votes": taken}


def open_alerts(connection: Connection) -> list[list[str]]:
    """Return a list [id, detector, severity] for each alert that is not resolved."""
    return [list(row) for row in alert_queries.list_unresolved(connection)]


def source_positions(connection: Connection, log_size: int) -> list[list[Any]]:
    """Return the offset in each partition up to which votes are among the first `log_size` leaves of the vote log.

    Returns:
        [source, partition, next offset] for each partition with a leaf, sorted. "source" is the name of the source, and
        "partition" the number of the partition within it. All votes before "next offset" are sealed.
    """
    known = arrow_reader.partition_sources(connection)
    return sorted([*known[part], end] for part, end in leaf_index.next_offsets(connection, log_size).items())


def build_manifest(
    connection: Connection,
    store: Store,
    keys: SigningKeys,
    candidate: SnapshotCandidate,
    previous: PreviousManifest | None,
    now: int,
) -> tuple[Manifest, list[signed_note.Signer]]:
    """Build the manifest of a candidate, and write the files of its bundle that the ledger does not have yet.

    Args:
        connection: a connection to the store.
        store: the store.
        keys: the signing keys.
        candidate: the candidate (a rated snapshot that is not published yet).
        previous: the fields of the newest manifest, which the new manifest continues. None before the first snapshot.
        now: the current time, in microseconds since 1970 UTC.

    Returns:
        Two values: the manifest, and the signers that must sign it.

    Raises:
        Usage: INTEGRITY_BOARD or INTEGRITY_WITNESSES is not valid.
        MissingKey: the previous signing key must sign too and is missing.
    """
    body, board = candidate.body, board_name(store, previous)
    names, signers = key_chain(previous.keys if previous else (), keys, f"{board}/snapshots")
    bundle_files = bundle.listed_files(signers[-1].verifier, store.files.get(body["excluded"]["sha256"]))
    bundle_files[bundle.SNAPSHOT] = candidate.raw
    for data in bundle_files.values():
        store.files.put(data)
    document = Manifest(
        schema=manifest.SCHEMA,
        board=board,
        sequence=previous.sequence + 1 if previous else 1,
        previous=Digest(previous.sha256) if previous else manifest.NO_PREVIOUS,
        at=format_rfc3339(now, "seconds"),
        vote_log=manifest.VoteLogHead(body["log_size"], Digest(body["log_root"])),
        segments=tuple(seals.segment_files(connection, body["log_size"])),
        exclusions=tuple(
            manifest.ManifestExclusion(**entry, votes=votes)
            for entry, votes in zip(body["exclusions"], body["excluded"]["votes"], strict=True)
        ),
        configuration=published_views.with_digest(body["settings"]),
        code=manifest.CodeVersion(body["code"], lock_digest()),
        quality=manifest.DataQuality(body["verdict"] or "", success=body["verdict"] is not None),
        views=PublishedViews(*(_view(connection, candidate, name, body["views"]) for name in ("raw", "defended"))),
        alerts=tuple(manifest.OpenAlert(*one) for one in body["alerts"]),
        watermark=tuple(manifest.SourcePosition(*one) for one in body["watermark"]),
        keys=names,
        witnesses=_witnesses(),
        files={**bundle.file_digests(bundle_files), **_stored_files(connection, body)},
        coverage=manifest.VoteCoverage(**body["coverage"]) if "coverage" in body else None,
        unregistered=tuple(body.get("unregistered", ())) or None,
        notices=tuple(ManifestNotice(**one) for one in body.get("notices", ())) or None,
        appeals=configuration.load().appeals or None,
        method=_method(body),
        boards={name: _view(connection, candidate, name, body["boards"]) for name in body.get("boards", {})} or None,
    )
    return document, signers


def _stored_files(connection: Connection, body: Mapping[str, Any]) -> dict[str, Digest]:
    """Return path → SHA-256 of the files that the ledger has already: labels, and intervals."""
    return {**_label_files(connection, body["log_size"]), **_interval_files(body)}


def _interval_files(body: Mapping[str, Any]) -> dict[str, Digest]:
    """Return path → SHA-256 of the files about intervals, as a body states them; empty for a body without intervals."""
    stated = body.get("intervals")
    if stated is None:
        return {}
    paths = {interval_rows.PATH: "sha256", voter_scores_file.PATH: "scores_sha256"}
    return {path: Digest(stated[key]) for path, key in paths.items()}


def _label_files(connection: Connection, log_size: int) -> dict[str, Digest]:
    """Return path → SHA-256 of each file with the labels of the first `log_size` leaves of the log."""
    return {leaf_labels.path(first): Digest(digest) for first, digest in sealed_labels.files(connection, log_size)}


def _method(body: Mapping[str, Any]) -> PublishedMethod | None:
    stated = body.get("method")
    return None if stated is None else PublishedMethod(stated["name"], tuple(stated["rules"]), stated["left_out"])


def _view(
    connection: Connection, candidate: SnapshotCandidate, name: str, summaries: Mapping[str, Any]
) -> PublishedView:
    """Return the view or board `name` of a candidate. `summaries` has the fields about it in the candidate's body."""
    shown = summaries[name]
    return PublishedView(
        votes=shown["votes"],
        counts_sha256=Digest(shown["counts_sha256"]),
        gradient_norm=shown["gradient_norm"],
        rows=tuple(BoardRow(**row) for row in snapshots.read_rows(connection, candidate.snapshot_id, name)),
        unrated=tuple(sorted((UnratedModel(**one) for one in shown["unrated"]), key=lambda one: one.model)),
    )


def _witnesses() -> tuple[str, ...]:
    texts = [one.strip() for one in configuration.load().witnesses.split(",") if one.strip()]
    for text in texts:
        key = verifier_input.parse_key(text, "INTEGRITY_WITNESSES")
        if key.kind != signed_note.COSIGNATURE:
            raise Usage(f"INTEGRITY_WITNESSES: expected keys of witnesses, got {text}")
    return tuple(texts)


@cache
def lock_digest() -> str:
    """Return the SHA-256 of requirements.lock; "" if this installation does not have the file."""
    shipped = resources.files("pipeline") / "_requirements.lock"
    beside = Path(__file__).parents[3] / "requirements.lock"
    return next((sha256(one.read_bytes()).hexdigest() for one in (shipped, beside) if one.is_file()), "")
