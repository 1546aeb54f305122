"""Issues receipts for voters. A receipt proves that a vote is in the published log, and states whether it counts.

To issue a receipt, three things are read: one segment, the list of excluded votes, and O(log n) tiles of a log with n
leaves.
"""

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.ledger import bundle, leaf_encoding, segment
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import Manifest
from pipeline.ledger.receipt import VoteReceipt
from pipeline.store.boards.erasure import voter_positions
from pipeline.store.db import schema
from pipeline.store.db.engine import Store
from pipeline.store.log import leaf_index
from pipeline.store.log.manifests import SignedManifest
from pipeline.store.read.log_proofs import find_leaf, newest_manifest, parse_manifest, prove_leaf
from pipeline.vocabulary.fates import ACCEPTED, COUNTED, FATES

_RETRACTED = "retracted"


def issue_receipt(store: Store, vote_id: str) -> VoteReceipt:
    """Return the receipt of a vote, for the newest snapshot.

    Raises:
        Usage: no vote has this id, or the vote is not in a published log yet.
    """
    with store.read() as connection:
        signed = newest_manifest(connection)
        manifest = parse_manifest(signed.body)
        return _receipt(store, connection, signed, manifest, find_leaf(connection, vote_id, manifest))


def receipts_of_voter(store: Store, voter: int) -> list[VoteReceipt]:
    """Return the receipts of a voter's votes in the log of the newest snapshot, in the order of the log.

    Args:
        store: the store.
        voter: pseudonym of the voter.

    Raises:
        Usage: nothing is published.
    """
    with store.read() as connection:
        signed = newest_manifest(connection)
        manifest = parse_manifest(signed.body)
        found = leaf_index.find_leaves(connection, voter_positions(connection, voter))
        leaves = sorted(found.values())
        return [_receipt(store, connection, signed, manifest, at) for at in leaves if at < manifest.vote_log.size]


def _receipt(store: Store, connection: Connection, signed: SignedManifest, manifest: Manifest, at: int) -> VoteReceipt:
    proof = prove_leaf(store, at, manifest)
    listed = max((one for one in manifest.segments if one.first <= at), key=lambda one: one.first)
    row = segment.read(store.files.get(listed.sha256), listed.path)[0].slice(at - listed.first, 1)
    fate, vote = row["fate"][0].as_py(), row["vote"][0].as_py()
    reason = _reason(store, connection, manifest, at)
    unregistered = [row[side][0].as_py() for side in ("model_a", "model_b")]
    unregistered = [name for name in unregistered if name in (manifest.unregistered or ())]
    raw = FATES.index(fate) in COUNTED and not reason.startswith(_RETRACTED) and not unregistered
    counted = COUNTED if manifest.coverage is not None else (ACCEPTED,)
    if unregistered and not reason:
        reason = f"not registered: {unregistered[0]}"
    if FATES.index(fate) not in counted and not reason:
        reason = fate
    return VoteReceipt(
        vote=vote,
        leaf=at,
        entry=leaf_encoding.entries(row)[0].decode(),
        size=proof.size,
        path=proof.path,
        checkpoint=signed.votes_checkpoint.decode(),
        snapshot=Digest(signed.sha256),
        raw=raw,
        defended=raw and not reason,
        reason=reason,
        tiles_read=proof.tiles_read,
    )


def _reason(store: Store, connection: Connection, manifest: Manifest, at: int) -> str:
    """Return why the vote at leaf `at` does not count although its fate counts; "" if the vote counts."""
    r = schema.retraction.c
    reason = connection.scalar(sa.select(r.reason).where(r.retracts == at, r.leaf < manifest.vote_log.size))
    if reason is not None:
        return f"{_RETRACTED}: {reason}"
    name = bundle.EXCLUDED
    excluded = segment.read_excluded(store.files.get(manifest.files[name]), name)
    found = excluded.filter(pc.equal(excluded["leaf"], pa.scalar(at, pa.int64())))
    if not len(found):
        return ""
    entry = manifest.exclusions[found["exclusion"][0].as_py()]
    return f"excluded: {entry.reason} ({entry.name})"
