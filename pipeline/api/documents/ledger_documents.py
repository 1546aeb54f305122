"""Keys, proofs and receipts of the public ledger."""

from pydantic import Field

from pipeline.api.documents.base import Document


class KeyListDocument(Document):
    """Verifier keys (C2SP signed-note) of the snapshot log, oldest first."""

    keys: list[str]


class SnapshotProofDocument(Document):
    """Proof that a manifest is a leaf of the snapshot log; `path` is hexadecimal, lowest hash first."""

    sequence: int
    leaf: int
    size: int
    path: list[str]
    manifest_sha256: str
    checkpoint: str


class ConsistencyProofDocument(Document):
    """A consistency proof (RFC 9162, 2.1.4); `path` is hexadecimal."""

    log: str
    old: int
    new: int
    path: list[str]


class VoteProofDocument(Document):
    """Proof that a vote is a leaf of the vote log."""

    leaf: int
    size: int
    path: list[str]
    tiles_read: int


class ReceiptDocument(Document):
    """A vote's leaf, the proof that it is in the log, and which views count it."""

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
