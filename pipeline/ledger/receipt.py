"""A receipt: one vote's leaf, and the proof that the vote log holds it.

Laws: the log is the one whose head the operator signed (the checkpoint in the receipt); the entry is the canonical
leaf, so that whoever cast the vote can read what was counted. `raw` and `defended` say in which views of that head's
snapshot the vote counts: that is the snapshot's claim, and follows from its bundle, not from the receipt alone.
"""

from __future__ import annotations

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
    """A vote's place in the log.

    Attributes:
        vote: its id.
        leaf: its index.
        entry: the leaf, canonical JSON.
        size: leaves of the log that the proof is about.
        path: the proof, hexadecimal digests, the lowest first.
        checkpoint: the signed head of the vote log.
        snapshot: SHA-256 of the manifest of the snapshot that rates this log.
        raw: it counts in the raw view.
        defended: it counts in the defended view.
        reason: why not, "" where it does.
        tiles_read: tiles that were read for the proof.
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
    """The key that signs a board's snapshot log, as its vote log knows it."""
    board, _, log = key.name.rpartition("/")
    if log != "snapshots":
        raise Refuted("key", "key", f"expected the key of a snapshot log (…/snapshots), got {key.name}")
    return VerifierKey(f"{board}/votes", key.kind, key.public)


def check(receipt: VoteReceipt, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Check a receipt offline.

    Args:
        receipt: to be checked.
        keys: of the board's snapshot log, known from elsewhere.

    Returns:
        The head that holds the vote.

    Raises:
        Refuted: names what is wrong.
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
    """Read a receipt from its canonical bytes.

    Raises:
        Refuted: reason `canonical` or `fields`.
    """
    return canonical_json.load(VoteReceipt, data, "receipt")
