"""What a reader may ask of the public ledger: heads, proofs, receipts, tiles, bundles.

Laws: everything is about a signed head, never about what is merely sealed; a proof of one vote reads O(log n) tiles and
one segment; what is handed out is read from the ledger's files as they are, so a reader finds what an audit would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.ledger import bundle as bundles
from pipeline.ledger import bundle_archive as archives
from pipeline.ledger import leaf, merkle, segment
from pipeline.ledger import manifest as manifest_format
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import Manifest
from pipeline.ledger.merkle_proofs import consistency_path, inclusion_path
from pipeline.ledger.receipt import VoteReceipt
from pipeline.ledger.tiles import Tile, TileReader
from pipeline.store.boards import snapshots
from pipeline.store.db import schema
from pipeline.store.db.engine import Store
from pipeline.store.log import leaf_index, manifests
from pipeline.store.log.manifests import SignedManifest
from pipeline.store.votes import ingest
from pipeline.vocabulary.fates import ACCEPTED, FATES, LATE

SNAPSHOTS, VOTES = "snapshots", "votes"


@dataclass(frozen=True, slots=True)
class SnapshotProof:
    """That a manifest is in the snapshot log.

    Attributes:
        sequence: of its manifest.
        leaf: its index, sequence − 1.
        size: of the log's newest head.
        path: the proof, hexadecimal digests, the lowest first.
        manifest_sha256: of the manifest.
        checkpoint: the signed head.
    """

    sequence: int
    leaf: int
    size: int
    path: tuple[Digest, ...]
    manifest_sha256: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class VoteProof:
    """That a vote is in the vote log; `tiles_read` is what the proof cost."""

    leaf: int
    size: int
    path: tuple[Digest, ...]
    tiles_read: int


def checkpoint(store: Store, log: str = SNAPSHOTS) -> bytes:
    """The newest signed head of a log, witnesses' lines included.

    Raises:
        Usage: nothing is published, or there is no such log.
    """
    with store.read() as connection:
        signed = _newest(connection)
        if _checked(log) == VOTES:
            return signed.votes_checkpoint
        return signed.checkpoint + manifests.read_cosignatures(connection, signed.sequence)


def keys(store: Store) -> tuple[str, ...]:
    """The keys of the snapshot log, oldest first; the last one signs.

    Raises:
        Usage: nothing is published.
    """
    with store.read() as connection:
        return _manifest(_newest(connection).body).keys


def manifest(store: Store, snapshot_id: str | None = None) -> bytes:
    """The manifest of a snapshot (an id or its beginning), by default the newest.

    Raises:
        Usage: there is none.
    """
    with store.read() as connection:
        return _signed(connection, snapshot_id).body


def prove_snapshot(store: Store, snapshot_id: str | None = None) -> SnapshotProof:
    """That a snapshot is in the snapshot log as its newest head has it.

    Raises:
        Usage: there is no such snapshot.
    """
    with store.read() as connection:
        signed, newest = _signed(connection, snapshot_id), _newest(connection)
        path = inclusion_path(signed.sequence - 1, newest.sequence, _snapshot_tree(connection, newest).node)
        head = newest.checkpoint + manifests.read_cosignatures(connection, newest.sequence)
    return SnapshotProof(
        signed.sequence, signed.sequence - 1, newest.sequence, _hexadecimal(path), signed.sha256, head.decode()
    )


def prove_growth(store: Store, old: int, new: int, log: str = SNAPSHOTS) -> tuple[Digest, ...]:
    """That a log with `new` leaves begins with the one of `old` leaves.

    Raises:
        Usage: expected 0 ≤ old ≤ new ≤ the size of the newest head.
    """
    with store.read() as connection:
        newest = _newest(connection)
        size = newest.sequence if _checked(log) == SNAPSHOTS else _manifest(newest.body).vote_log.size
        if not 0 <= old <= new <= size:
            raise Usage(f"expected sizes 0 ≤ old ≤ new ≤ {size}, got {old} and {new}")
        tree = _snapshot_tree(connection, newest) if log == SNAPSHOTS else TileReader(size, store.files.get_tile)
        return _hexadecimal(consistency_path(old, new, tree.node))


def prove_vote(store: Store, vote_id: str) -> VoteProof:
    """That a vote is in the vote log of the newest snapshot.

    Raises:
        Usage: no such vote, or not yet in a published log.
    """
    with store.read() as connection:
        said = _manifest(_newest(connection).body)
        return _proof(store, _leaf(connection, vote_id, said), said)


def receipt(store: Store, vote_id: str) -> VoteReceipt:
    """A vote's receipt, for whoever cast it.

    Raises:
        Usage: no such vote, or not yet in a published log.
    """
    with store.read() as connection:
        signed = _newest(connection)
        said = _manifest(signed.body)
        return _receipt(store, connection, signed, said, _leaf(connection, vote_id, said))


def receipts_of(store: Store, voter: int) -> list[VoteReceipt]:
    """Receipts of all votes of a voter (a pseudonym) that are in the newest snapshot's log.

    Raises:
        Usage: nothing is published.
    """
    v = schema.vote.c
    with store.read() as connection:
        signed = _newest(connection)
        said = _manifest(signed.body)
        mine = connection.execute(sa.select(v.partition_no, v.offset).where(v.voter == voter)).all()
        leaves = sorted(leaf_index.find_leaves(connection, [(row.partition_no, row.offset) for row in mine]).values())
        return [_receipt(store, connection, signed, said, at) for at in leaves if at < said.vote_log.size]


def tile(store: Store, log: str, path: str) -> bytes:
    """A tile of a log, as C2SP tlog-tiles names it.

    Raises:
        Usage: this is no path of a tile of the log as its newest head has it.
    """
    try:
        asked = Tile.parse(path)
    except ValueError as error:
        raise Usage(str(error)) from None
    with store.read() as connection:
        newest = _newest(connection)
        if _checked(log) == SNAPSHOTS:
            return _tile_of(_snapshot_tree(connection, newest), asked)
        size = _manifest(newest.body).vote_log.size
    if (asked.index * 256 + asked.width) << (8 * asked.level) > size:
        raise Usage(f"expected a tile of a log of {size} leaves, got {path}")
    return store.files.get_tile(asked)


def bundle(store: Store, snapshot_id: str | None = None) -> Mapping[str, bytes]:
    """The files of a snapshot's bundle; a segment is read when it is asked for.

    Raises:
        Usage: there is no such snapshot.
    """
    with store.read() as connection:
        signed = _signed(connection, snapshot_id)
        said = _manifest(signed.body)
        older = manifests.find_by_sequence(connection, signed.sequence - 1)
        tree = _snapshot_tree(connection, signed)
        proof = bundles.build_proof(signed.sequence, signed.sequence, signed.sequence - 1, tree.node)
        head = signed.checkpoint + manifests.read_cosignatures(connection, signed.sequence)
        before = (older.body, older.checkpoint + _kept(connection, older)) if older else None
    return _Files(store, bundles.assemble(signed.body, head, proof, {}, before=before), said)


def archive(store: Store, out: BinaryIO, snapshot_id: str | None = None) -> None:
    """Write a snapshot's bundle as one file (a zip): the same snapshot and signatures give the same bytes.

    Raises:
        Usage: there is no such snapshot.
    """
    archives.write(out, bundle(store, snapshot_id))


class _Files(Mapping[str, bytes]):
    """What is in memory, and what is read from the ledger's files when it is asked for."""

    def __init__(self, store: Store, held: dict[str, bytes], said: Manifest) -> None:
        self._store = store
        self._held = held
        self._digests = {**{one.path: one.sha256 for one in said.segments}, **said.files}

    def __getitem__(self, name: str) -> bytes:
        return self._held[name] if name in self._held else self._store.files.get(self._digests[name])

    def __iter__(self) -> Iterator[str]:
        return iter([*self._held, *self._digests])

    def __len__(self) -> int:
        return len(self._held) + len(self._digests)


@lru_cache(maxsize=4)
def _manifest(body: bytes) -> Manifest:
    """A manifest from its bytes: reading one strictly takes longer than the proof that it is needed for."""
    return manifest_format.load(body)


def _checked(log: str) -> str:
    if log not in (SNAPSHOTS, VOTES):
        raise Usage(f"expected the log {SNAPSHOTS} or {VOTES}, got {log!r}")
    return log


def _newest(connection: Connection) -> SignedManifest:
    found = manifests.newest(connection)
    if found is None:
        raise Usage("expected a published snapshot, got none: `integrity refresh` publishes one")
    return found


def _signed(connection: Connection, snapshot_id: str | None) -> SignedManifest:
    return manifests.find_by_snapshot(connection, snapshots.find(connection, snapshot_id).snapshot_id)


def _kept(connection: Connection, older: SignedManifest) -> bytes:
    return manifests.read_cosignatures(connection, older.sequence)


def _snapshot_tree(connection: Connection, head: SignedManifest) -> merkle.MerkleTree:
    return merkle.MerkleTree(manifests.leaf_hashes(connection, head.sequence))


def _hexadecimal(path: list[bytes]) -> tuple[Digest, ...]:
    return tuple(Digest(one.hex()) for one in path)


def _leaf(connection: Connection, vote_id: str, said: Manifest) -> int:
    key = np.frombuffer(hashlib.sha256(vote_id.encode()).digest()[:16], dtype="V16")
    at = list(ingest.find_by_key(connection, key).values())
    if not at:
        raise Usage(f"expected the id of a stored vote, got {vote_id!r}")
    found = leaf_index.find_leaves(connection, at).get(at[0])
    if found is None or found >= said.vote_log.size:
        raise Usage(f"expected a vote that a snapshot rates, got {vote_id!r}, which the next `integrity refresh` takes")
    return found


def _proof(store: Store, at: int, said: Manifest) -> VoteProof:
    log = TileReader(said.vote_log.size, store.files.get_tile)
    path = inclusion_path(at, said.vote_log.size, log.node)
    return VoteProof(at, said.vote_log.size, _hexadecimal(path), log.reads)


def _receipt(store: Store, connection: Connection, signed: SignedManifest, said: Manifest, at: int) -> VoteReceipt:
    proof = _proof(store, at, said)
    held = max((one for one in said.segments if one.first <= at), key=lambda one: one.first)
    row = segment.read(store.files.get(held.sha256), held.path)[0].slice(at - held.first, 1)
    fate, vote = row["fate"][0].as_py(), row["vote"][0].as_py()
    reason = _out(store, connection, said, at)
    taken_back = reason.startswith("taken back")
    raw = fate in (FATES[ACCEPTED], FATES[LATE]) and not taken_back
    if fate != FATES[ACCEPTED] and not reason:
        reason = fate
    return VoteReceipt(
        vote=vote,
        leaf=at,
        entry=leaf.entries(row)[0].decode(),
        size=proof.size,
        path=proof.path,
        checkpoint=signed.votes_checkpoint.decode(),
        snapshot=Digest(signed.sha256),
        raw=raw,
        defended=raw and not reason,
        reason=reason,
        tiles_read=proof.tiles_read,
    )


def _out(store: Store, connection: Connection, said: Manifest, at: int) -> str:
    """Why an accepted vote does not count, "" if it does."""
    r = schema.retraction.c
    reason = connection.scalar(sa.select(r.reason).where(r.retracts == at, r.leaf < said.vote_log.size))
    if reason is not None:
        return f"taken back: {reason}"
    name = bundles.EXCLUDED
    listed = segment.read_excluded(store.files.get(said.files[name]), name)
    found = listed.filter(pc.equal(listed["leaf"], pa.scalar(at, pa.int64())))
    if not len(found):
        return ""
    entry = said.exclusions[found["exclusion"][0].as_py()]
    return f"excluded: {entry.reason} ({entry.name})"


def _tile_of(tree: merkle.MerkleTree, asked: Tile) -> bytes:
    if (asked.index * 256 + asked.width) << (8 * asked.level) > tree.size:
        raise Usage(f"expected a tile of a log of {tree.size} leaves, got {asked.path}")
    nodes = range(asked.index * 256, asked.index * 256 + asked.width)
    return b"".join(tree.node(8 * asked.level, index) for index in nodes)
