"""Keys, proofs and receipts of the public ledger."""

from __future__ import annotations

from pydantic import Field

from pipeline.api.documents.base import Document


class Keys(Document):
    """Verifier keys (C2SP signed-note) of the snapshot log, oldest first."""

    keys: list[str]


class SnapshotProof(Document):
    """That a manifest is a leaf of the snapshot log; `path` is hexadecimal, the lowest first."""

    sequence: int
    leaf: int
    size: int
    path: list[str]
    manifest_sha256: str
    checkpoint: str


class Growth(Document):
    """A consistency proof (RFC 9162, 2.1.4); `path` is hexadecimal."""

    log: str
    old: int
    new: int
    path: list[str]


class VoteProof(Document):
    """That a vote is a leaf of the vote log."""

    leaf: int
    size: int
    path: list[str]
    tiles_read: int


class Receipt(Document):
    """A vote's leaf, the proof that the log holds it, and whether it counts."""

    vote: str
    leaf: int
    entry: str = Field(description="The leaf: canonical JSON.")
    size: int
    path: list[str]
    checkpoint: str = Field(description="The signed head of the vote log.")
    snapshot: str = Field(description="SHA-256 of the manifest of the snapshot that rates this log.")
    raw: bool = Field(description="It counts in the raw view.")
    defended: bool
    reason: str = Field(description="Why it does not count; empty where it does.")
    tiles_read: int
