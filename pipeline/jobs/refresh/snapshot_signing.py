"""Signs the manifest of a candidate and appends it to the snapshot log.

A candidate is a snapshot before its publication.

The manifest, its leaf in the log and the signatures are written in one transaction, so readers never see an unsigned or
incomplete snapshot. A candidate is not published if another snapshot was published since the candidate was made.
"""

from sqlalchemy.engine import Connection

from pipeline.jobs.refresh.manifest_builder import build_manifest
from pipeline.jobs.refresh.signing_keys import SigningKeys
from pipeline.ledger import manifest, merkle, signed_note
from pipeline.store import Store
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.log import manifests


def sign_and_publish(
    connection: Connection, store: Store, keys: SigningKeys, candidate_id: str, now: int
) -> PublishedSnapshot:
    """Sign a candidate and append it to the snapshot log.

    Nothing is signed if the candidate is published already, or if another snapshot was published since the candidate
    was made.

    Args:
        connection: a connection with a write transaction.
        store: the store.
        keys: the signing keys.
        candidate_id: id of the candidate.
        now: the current time, in microseconds since 1970 UTC.

    Returns:
        The candidate as a published snapshot; the newest snapshot if another one was published since the candidate was
        made.

    Raises:
        Usage: no candidate has this id, or INTEGRITY_BOARD or INTEGRITY_WITNESSES is not valid.
        MissingKey: the previous signing key must sign too and is missing.
    """
    snapshots.lock_publication(connection)
    found = snapshots.find_candidate(connection, candidate_id)
    if found.sequence is not None:
        return snapshots.find(connection, candidate_id)
    newest = manifests.newest(connection)
    if found.body["after"] != (newest.sequence if newest else 0):
        return snapshots.find(connection)
    before = manifests.PreviousManifest.of(newest) if newest else None
    document, signers = build_manifest(connection, store, keys, found, before, now)
    raw = document.dump()
    log = manifests.leaf_hashes(connection) + merkle.leaf_hash(raw)
    head = signed_note.Checkpoint(document.origin, document.sequence, merkle.root(log))
    votes = signed_note.Checkpoint(document.votes_origin, document.vote_log.size, bytes.fromhex(document.vote_log.root))
    heads = signed_note.sign(head.text, signers), signed_note.sign(votes.text, [keys.signer(votes.origin)])
    signed = manifests.SignedManifest(document.sequence, candidate_id, manifest.sha256_hex(raw), raw, *heads)
    manifests.append(connection, signed, log[-merkle.WIDTH :])
    return snapshots.publish(connection, candidate_id, document.sequence, document.previous, signed.sha256, now)


def store_head(store: Store, published: PublishedSnapshot) -> None:
    """Write the signed head of a published snapshot to a ledger file, unless the file exists.

    The ledger audit compares the file with the log.
    """
    with store.read() as connection:
        signed = manifests.find_by_snapshot(connection, published.snapshot_id)
    # Never overwritten: the audit searches for a head that differs from the stored one.
    if not store.files.has_head(signed.sequence):
        store.files.put_head(signed.sequence, signed.checkpoint)
