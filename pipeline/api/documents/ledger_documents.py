"""Defines Pydantic models of responses with keys, proofs and receipts of the public ledger."""

from pydantic import Field

from pipeline.api.documents.base import Document


class KeyListDocument(Document):
    """The public keys for verifying signatures of the snapshot log, oldest first, as C2SP signed-note verifier keys."""

    keys: list[str]


class SnapshotProofDocument(Document):
    """The proof that a manifest is a leaf of the snapshot log. `path` has hexadecimal hashes, from the leaf upwards."""

    sequence: int
    leaf: int
    size: int
    path: list[str]
    manifest_sha256: str
    checkpoint: str


class ConsistencyProofDocument(Document):
    """The proof that the log of size `new` continues the log of size `old` (RFC 9162, 2.1.4).

    `path` has hexadecimal hashes.
    """

    log: str
    old: int
    new: int
    path: list[str]


class VoteProofDocument(Document):
    """The proof that a vote is a leaf of the vote log. `path` has hexadecimal hashes, from the leaf upwards."""

    leaf: int
    size: int
    path: list[str]
    tiles_read: int


class ReceiptDocument(Document):
    """The receipt of a vote: its leaf, the proof that the log has the leaf, and the views that count it."""

    vote: str
    leaf: int
    entry: str = Field(description="The leaf, canonical JSON.")
    size: int
    path: list[str]
    checkpoint: str = Field(description="The signed head of the vote log.")
    snapshot: str = Field(description="SHA-256 of the manifest of the snapshot that rates this log.")
    raw: bool = Field(description="Whether the raw view counts it.")
    defended: bool = Field(description="Whether the defended view counts it.")
    reason: str = Field(description="Why it is not counted; empty if both views count it.")
    tiles_read: int
