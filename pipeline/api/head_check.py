"""Checks that the newest snapshot is in the signed snapshot log. The badge of the board shows the result."""

from hashlib import sha256

from sqlalchemy.engine import Connection

from pipeline.errors import Refuted
from pipeline.ledger import signed_note
from pipeline.ledger.merkle import leaf_hash, root
from pipeline.ledger.signed_note import VerifierKey
from pipeline.store.boards import snapshots
from pipeline.store.log import manifests
from pipeline.store.read import log_proofs

_WHERE = "checkpoint"


def is_newest_proved(connection: Connection) -> bool:
    """Return whether the newest checkpoint has a signature of the board and commits to the newest snapshot's manifest.

    The signature is checked with the keys that the manifest itself names. This shows only that the log is consistent
    with itself; who signed can be checked only by a reader who got the key in another way.

    Raises:
        Usage: nothing is published.
    """
    signed = log_proofs.newest_manifest(connection)
    leaves = manifests.leaf_hashes(connection, signed.sequence)
    try:
        manifest = log_proofs.parse_manifest(signed.body)
        note = signed_note.parse(signed.checkpoint, _WHERE)
        signers = signed_note.verify(note, map(VerifierKey.parse, manifest.keys), _WHERE, strict=False)
        head = signed_note.parse_checkpoint(note, _WHERE)
    except Refuted:
        return False
    is_last_leaf = leaves.endswith(leaf_hash(signed.body))
    newest = snapshots.latest(connection)
    is_of_newest = newest is not None and newest.digest == sha256(signed.body).hexdigest()
    return bool(signers) and is_last_leaf and is_of_newest and (head.size, head.root) == (signed.sequence, root(leaves))
