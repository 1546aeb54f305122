"""Receipts: one vote's leaf, and the proof that the leaf is in the vote log.

Laws: the proof is against a head that the operator signed; the entry is the canonical leaf, so the voter can read what
was logged. `raw` and `defended` state in which views of the snapshot the vote counts. They are claims of the snapshot,
which its bundle proves and the receipt alone does not.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Refuted
from . import canonical_json, signed_note
from .canonical_json import Digest
from .merkle import leaf_hash
from .merkle_proofs import check_inclusion
from .signed_note import Checkpoint, VerifierKey


@dataclass(frozen=True, slots=True)
class VoteReceipt:
    """The receipt of a vote.

    Attributes:
        vote: id of the vote.
        leaf: index of its leaf in the log.
        entry: the leaf, canonical JSON.
        size: number of leaves of the log that the proof refers to.
        path: the inclusion proof, hexadecimal digests, lowest level first.
        checkpoint: the signed head of the vote log.
        snapshot: SHA-256 of the manifest of the snapshot that rates this log.
        raw: whether the vote counts in the raw view.
        defended: whether the vote counts in the defended view.
        reason: why the vote does not count, "" if it does.
        tiles_read: number of tiles read for the proof.
    """

    vote: str
    leaf: int
    entry: str
    size: int
    path: tuple[Digest, ...]
    checkpoint: str
    snapshot: Digest
    raw: bool
    defended: bool
    reason: str
    tiles_read: int


def vote_log_key(key: VerifierKey) -> VerifierKey:
    """Return the public key of a board's snapshot log, renamed to the name of the board's vote log.

    Raises:
        Refuted: reason `key`; not the key of a snapshot log.
    """
    board, _, log = key.name.rpartition("/")
    if log != "snapshots":
        raise Refuted("key", "key", f"expected the key of a snapshot log (…/snapshots), got {key.name}")
    return VerifierKey(f"{board}/votes", key.kind, key.public)


def check(receipt: VoteReceipt, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Check a receipt offline.

    Args:
        receipt: the receipt.
        keys: keys of the board's snapshot log, from a trusted source.

    Returns:
        The signed head of the log that contains the vote.

    Raises:
        Refuted: names the first fault.
    """
    known = [vote_log_key(key) for key in keys]
    parsed = signed_note.parse(receipt.checkpoint.encode(), "checkpoint")
    signers = signed_note.verify(parsed, known, "checkpoint")
    head = signed_note.parse_checkpoint(parsed, "checkpoint")
    if not any(key.name == head.origin for key in signers):
        raise Refuted("unsigned", "checkpoint", f"expected the signature of {head.origin}")
    if head.size != receipt.size:
        raise Refuted("size", "receipt", f"expected a proof for {head.size} leaves, got one for {receipt.size}")
    entry = receipt.entry.encode()
    path = [bytes.fromhex(one) for one in receipt.path]
    check_inclusion(leaf_hash(entry), receipt.leaf, head.size, path, head.root, "receipt")
    if json.loads(entry).get("vote") != receipt.vote:
        raise Refuted("leaf", "receipt", f"expected the leaf of vote {receipt.vote}")
    return head


def load(data: bytes) -> VoteReceipt:
    """Parse a receipt from its canonical bytes.

    Raises:
        Refuted: reason `canonical` or `fields`.
    """
    return canonical_json.load(VoteReceipt, data, "receipt")
