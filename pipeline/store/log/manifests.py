"""Stores the snapshot log: the manifest of each published snapshot, with the heads signed at its publication.

A head, or checkpoint, states the size and the root hash of a log. The transaction that holds the publication lock
appends a row for its snapshot, so the rows have the order of the sequence numbers. A row never changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import VerificationFailed
from pipeline.store.db import schema
from pipeline.store.db.sort_order import CodePointOrder

_COLUMNS = ("sequence", "snapshot_id", "sha256", "body", "checkpoint", "votes_checkpoint")


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest with the heads of both logs that were signed when it was published.

    Attributes:
        sequence: sequence number of the snapshot, 1 for the first.
        snapshot_id: id of the snapshot in the store.
        sha256: SHA-256 of the manifest in hexadecimal digits.
        body: the manifest's bytes.
        checkpoint: the head of the snapshot log, signed by the operator alone.
        votes_checkpoint: the signed head of the vote log that the snapshot rates.
    """

    sequence: int
    snapshot_id: str
    sha256: str
    body: bytes
    checkpoint: bytes
    votes_checkpoint: bytes


class _Head(msgspec.Struct):
    """The fields of a manifest that the next manifest needs. The other fields are skipped when a manifest is read."""

    board: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreviousManifest:
    """Holds the fields of the newest manifest that are needed to make the next manifest.

    Attributes:
        sha256: SHA-256 of the bytes of the newest manifest.
        board: the name of the board.
        sequence: sequence number of the newest manifest's snapshot.
        keys: the public keys that have signed the snapshot log so far, oldest first.
    """

    sha256: str
    board: str
    sequence: int
    keys: tuple[str, ...]

    @classmethod
    def of(cls, stored: SignedManifest) -> "PreviousManifest":
        """Read the fields from a stored manifest.

        The ledger audit checks the form and the digest of the manifest; this function does not, because that takes
        long.
        """
        head = msgspec.json.decode(stored.body, type=_Head)
        return cls(stored.sha256, head.board, stored.sequence, head.keys)


def append(connection: Connection, signed: SignedManifest, leaf: bytes) -> None:
    """Append a manifest to the snapshot log.

    Args:
        connection: a transaction that holds the publication lock.
        signed: the manifest and its heads.
        leaf: the leaf hash of the manifest, 32 bytes.
    """
    row = {name: getattr(signed, name) for name in _COLUMNS}
    connection.execute(schema.manifest.insert(), {**row, "leaf": leaf})


def leaf_hashes(connection: Connection, size: int | None = None) -> bytes:
    """Return the leaf hashes of the first `size` manifests, oldest first, as 32·n bytes. None means all manifests."""
    m = schema.manifest.c
    query = sa.select(m.leaf).order_by(m.sequence).limit(size)
    return b"".join(bytes(one) for one in connection.scalars(query))


def find_by_sequence(connection: Connection, sequence: int) -> SignedManifest | None:
    """Return the manifest of the snapshot with this sequence number, None if there is none."""
    m = schema.manifest.c
    row = connection.execute(sa.select(*(m[name] for name in _COLUMNS)).where(m.sequence == sequence)).one_or_none()
    return None if row is None else _signed(row)


def find_by_snapshot(connection: Connection, snapshot_id: str) -> SignedManifest:
    """Return the manifest of a published snapshot.

    Raises:
        VerificationFailed: the snapshot has no manifest, although both are written in one transaction.
    """
    m = schema.manifest.c
    row = connection.execute(
        sa.select(*(m[name] for name in _COLUMNS)).where(m.snapshot_id == snapshot_id)
    ).one_or_none()
    if row is None:
        raise VerificationFailed(f"expected a signed manifest of snapshot {snapshot_id}, got none")
    return _signed(row)


def newest(connection: Connection) -> SignedManifest | None:
    """Return the newest manifest, None if no snapshot is published."""
    last = connection.scalar(sa.select(sa.func.max(schema.manifest.c.sequence)))
    return None if last is None else find_by_sequence(connection, int(last))


def read_all(connection: Connection) -> Iterator[SignedManifest]:
    """Yield the manifest of every published snapshot, oldest first."""
    m = schema.manifest.c
    for row in connection.execute(sa.select(*(m[name] for name in _COLUMNS)).order_by(m.sequence)):
        yield _signed(row)


def add_cosignature(connection: Connection, sequence: int, witness: str, line: bytes) -> None:
    """Store a witness's signature line for a checkpoint, unless a line of this witness is already stored.

    Args:
        connection: the transaction.
        sequence: sequence number of the snapshot whose checkpoint the witness signed.
        witness: name of the witness.
        line: the signature line as bytes.
    """
    c = schema.cosignature.c
    known = connection.scalar(sa.select(c.line).where(c.sequence == sequence, c.witness == witness))
    if known is None:
        connection.execute(schema.cosignature.insert(), {"sequence": sequence, "witness": witness, "line": line})


def read_cosignatures(connection: Connection, sequence: int) -> bytes:
    """Return the signature lines of all witnesses for one head of the snapshot log.

    The lines are joined, in the order of the witnesses' names. Without a line, the result is b"".

    Args:
        connection: reads the store.
        sequence: sequence number of the snapshot at whose publication the head was signed.
    """
    c = schema.cosignature.c
    lines = connection.scalars(sa.select(c.line).where(c.sequence == sequence).order_by(CodePointOrder(c.witness)))
    return b"".join(bytes(one) for one in lines)


def _signed(row: sa.Row[int, str, str, bytes, bytes, bytes]) -> SignedManifest:
    return SignedManifest(
        row.sequence, row.snapshot_id, row.sha256, bytes(row.body), bytes(row.checkpoint), bytes(row.votes_checkpoint)
    )
