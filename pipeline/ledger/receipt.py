"""Defines and checks receipts: the leaf of one vote, and the proof that the leaf is in the vote log.

The proof leads to a head that the operator signed. The receipt has the whole leaf, so the voter can read what was
logged. The fields `raw` and `defended` claim in which views of the snapshot the vote counts. The receipt alone does not
prove these claims; the bundle of the snapshot does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Refuted
from ..vocabulary.fates import ACCEPTED, FATES, LATE
from . import canonical_json, leaf, signed_note, size_limits
from .canonical_json import Digest
from .merkle import leaf_hash
from .merkle_proofs import check_inclusion
from .signed_note import Checkpoint, VerifierKey


@dataclass(frozen=True, slots=True)
class VoteReceipt:
    """Proves to a voter that a vote is in the public log, and claims whether it counts.

    Attributes:
        vote: id of the vote.
        leaf: index of its leaf in the log.
        entry: the leaf, canonical JSON.
        size: number of leaves of the log at `checkpoint`.
        path: the inclusion proof: hashes in hexadecimal digits, lowest level first.
        checkpoint: the signed head of the vote log.
        snapshot: SHA-256 of the manifest of the snapshot that rates this log.
        raw: whether the vote counts in the raw view.
        defended: whether the vote counts in the defended view.
        reason: why the vote does not count in the defended view, "" if it does.
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
    """Derive the key that verifies the heads of a board's vote log, from the key of its snapshot log.

    Both are the same public key, with the names of the two logs.

    Raises:
        Refuted: reason `key`: the given key is not the key of a snapshot log.
    """
    board, _, log = key.name.rpartition("/")
    if log != "snapshots":
        raise Refuted("key", "key", f"expected the key of a snapshot log (…/snapshots), got {key.name}")
    return VerifierKey(f"{board}/votes", key.kind, key.public)


def check(receipt: VoteReceipt, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Check a receipt offline: the signature, the proof and the leaf.

    Args:
        receipt: the receipt.
        keys: keys of the board's snapshot log, from a trusted source.

    Returns:
        The signed head of the vote log that contains the vote.

    Raises:
        Refuted: the proof, a signature or the leaf is wrong. The error states the first fault.
    """
    known = [vote_log_key(key) for key in keys]
    parsed = signed_note.parse(receipt.checkpoint.encode(), "checkpoint")
    signers = signed_note.verify(parsed, known, "checkpoint", strict=False)
    head = signed_note.parse_checkpoint(parsed, "checkpoint")
    if not any(key.name == head.origin for key in signers):
        raise Refuted("unsigned", "checkpoint", f"expected the signature of {head.origin}")
    if head.size != receipt.size:
        raise Refuted("size", "receipt", f"expected a proof for {head.size} leaves, got one for {receipt.size}")
    entry = receipt.entry.encode()
    path = [bytes.fromhex(one) for one in receipt.path]
    check_inclusion(leaf_hash(entry), receipt.leaf, head.size, path, head.root, "receipt")
    _check_claims(receipt, leaf.parse_vote(entry, receipt.leaf))
    return head


def _check_claims(receipt: VoteReceipt, vote: leaf.VoteLeaf) -> None:
    """Check that a receipt is of this leaf's vote, and that the views in which the vote counts fit the vote's fate.

    Raises:
        Refuted: reason `leaf` or `counts`.
    """
    if vote.vote != receipt.vote:
        raise Refuted("leaf", "receipt", f"expected the leaf of vote {receipt.vote}, got that of {vote.vote}")
    countable = vote.fate in (FATES[ACCEPTED], FATES[LATE])
    if (receipt.raw and not countable) or (receipt.defended and not receipt.raw):
        raise Refuted("counts", "receipt", f"a vote with the fate {vote.fate} cannot count in these views")
    if receipt.defended == bool(receipt.reason):
        raise Refuted(
            "counts", "receipt", "expected a reason exactly where the vote does not count in the defended view"
        )


def load(data: bytes) -> VoteReceipt:
    """Parse a receipt from its canonical bytes.

    Raises:
        Refuted: reason `limit`: the receipt is too large. Reason `canonical`: it is not canonical JSON. Reason
            `fields`: a field is missing or wrong.
    """
    size_limits.require_size("receipt", len(data), size_limits.MAX_RECEIPT)
    return canonical_json.load(VoteReceipt, data, "receipt")
