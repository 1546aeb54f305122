"""Makes proofs from the public logs: signed heads, inclusion, consistency, tiles.

Every proof leads to a signed head. A vote that is sealed but in no published snapshot therefore has no proof yet. The
proof of a vote in a log of n leaves reads O(log n) tiles.
"""

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.ledger import manifest as manifest_format
from pipeline.ledger import merkle
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import Manifest
from pipeline.ledger.merkle_proofs import consistency_path, inclusion_path
from pipeline.ledger.tiles import FULL, HEIGHT, Tile, TileReader
from pipeline.store.boards import snapshots
from pipeline.store.db.engine import Store
from pipeline.store.log import leaf_index, manifests
from pipeline.store.log.manifests import SignedManifest
from pipeline.store.votes import ingest

SNAPSHOTS, VOTES = "snapshots", "votes"


@dataclass(frozen=True, slots=True)
class SnapshotProof:
    """Proves that a manifest is in the snapshot log.

    Attributes:
        sequence: sequence number of the snapshot.
        leaf: index of the manifest's leaf, sequence − 1.
        size: number of leaves of the log at `checkpoint`.
        path: the inclusion proof: hashes in hexadecimal digits, lowest level first.
        manifest_sha256: SHA-256 of the manifest.
        checkpoint: the signed head of the snapshot log.
    """

    sequence: int
    leaf: int
    size: int
    path: tuple[Digest, ...]
    manifest_sha256: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class VoteProof:
    """Proves that a vote is in the vote log.

    Attributes:
        leaf: index of the vote's leaf.
        size: number of leaves of the log.
        path: the inclusion proof: hashes in hexadecimal digits, lowest level first.
        tiles_read: number of tiles that were read for the proof.
    """

    leaf: int
    size: int
    path: tuple[Digest, ...]
    tiles_read: int


def read_checkpoint(store: Store, log: str = SNAPSHOTS) -> bytes:
    """Return the newest signed head of a log as a signed note.

    Only the head of the snapshot log has signature lines of witnesses.

    Raises:
        Usage: nothing is published, or `log` is not the name of a log.
    """
    with store.read() as connection:
        signed = newest_manifest(connection)
        if _checked(log) == VOTES:
            return signed.votes_checkpoint
        return signed.checkpoint + manifests.read_cosignatures(connection, signed.sequence)


def read_keys(store: Store) -> tuple[str, ...]:
    """Return the public keys that have signed the snapshot log, oldest first. The last key is in use.

    Raises:
        Usage: nothing is published.
    """
    with store.read() as connection:
        return parse_manifest(newest_manifest(connection).body).keys


def read_manifest(store: Store, snapshot_id: str | None = None) -> bytes:
    """Return the manifest of a snapshot as bytes.

    Args:
        store: the store.
        snapshot_id: id of the snapshot, or the beginning of the id; default: the newest snapshot.

    Raises:
        Usage: no snapshot has this id.
    """
    with store.read() as connection:
        return find_manifest(connection, snapshot_id).body


def prove_snapshot(store: Store, snapshot_id: str | None = None) -> SnapshotProof:
    """Prove that a snapshot is in the snapshot log, up to the newest signed head of the log.

    Args:
        store: the store.
        snapshot_id: id of the snapshot, or the beginning of the id; None for the newest snapshot.

    Raises:
        Usage: no snapshot has this id.
    """
    with store.read() as connection:
        signed, newest = find_manifest(connection, snapshot_id), newest_manifest(connection)
        path = inclusion_path(signed.sequence - 1, newest.sequence, snapshot_tree(connection, newest).node)
        head = newest.checkpoint + manifests.read_cosignatures(connection, newest.sequence)
    return SnapshotProof(
        signed.sequence, signed.sequence - 1, newest.sequence, _hexadecimal(path), signed.sha256, head.decode()
    )


def prove_growth(store: Store, old: int, new: int, log: str = SNAPSHOTS) -> tuple[Digest, ...]:
    """Prove that a log with `new` leaves continues the same log with `old` leaves.

    Args:
        store: the store.
        old, new: the two numbers of leaves.
        log: SNAPSHOTS or VOTES, the name of the log.

    Returns:
        The consistency proof: hashes in hexadecimal digits, lowest level first.

    Raises:
        Usage: the sizes do not satisfy 0 ≤ old ≤ new ≤ size of the newest head, nothing is published, or `log` is not
            the name of a log.
    """
    with store.read() as connection:
        newest = newest_manifest(connection)
        size = newest.sequence if _checked(log) == SNAPSHOTS else parse_manifest(newest.body).vote_log.size
        if not 0 <= old <= new <= size:
            raise Usage(f"expected sizes 0 ≤ old ≤ new ≤ {size}, got {old} and {new}")
        tree = snapshot_tree(connection, newest) if log == SNAPSHOTS else TileReader(size, store.files.get_tile)
        return _hexadecimal(consistency_path(old, new, tree.node))


def prove_vote(store: Store, vote_id: str) -> VoteProof:
    """Prove that a vote is in the vote log that the newest snapshot rates.

    Raises:
        Usage: no vote has this id, the vote is not in a published log yet, or nothing is published.
    """
    with store.read() as connection:
        manifest = parse_manifest(newest_manifest(connection).body)
        return prove_leaf(store, find_leaf(connection, vote_id, manifest), manifest)


def read_tile(store: Store, log: str, path: str) -> bytes:
    """Return the hashes of a tile of a log as 32·n bytes.

    Args:
        store: the store.
        log: SNAPSHOTS or VOTES, the name of the log.
        path: path of the tile as in C2SP tlog-tiles.

    Raises:
        Usage: `log` is not the name of a log, nothing is published, or the log up to its newest head has no tile with
            this path.
        Unavailable: the ledger's files lack the tile.
    """
    try:
        tile = Tile.parse(path)
    except ValueError as error:
        raise Usage(str(error)) from None
    with store.read() as connection:
        newest = newest_manifest(connection)
        tree = snapshot_tree(connection, newest) if _checked(log) == SNAPSHOTS else None
        size = tree.size if tree is not None else parse_manifest(newest.body).vote_log.size
    first = tile.index * FULL
    if (first + tile.width) << (HEIGHT * tile.level) > size:
        raise Usage(f"expected a tile of a log of {size} leaves, got {path}")
    if tree is None:
        return store.files.get_tile(tile)
    return b"".join(tree.node(HEIGHT * tile.level, index) for index in range(first, first + tile.width))


def newest_manifest(connection: Connection) -> SignedManifest:
    """Return the manifest of the newest published snapshot, with its signed heads.

    Raises:
        Usage: nothing is published.
    """
    found = manifests.newest(connection)
    if found is None:
        raise Usage("expected a published snapshot, got none: `integrity refresh` publishes one")
    return found


def find_manifest(connection: Connection, snapshot_id: str | None) -> SignedManifest:
    """Return the manifest of a published snapshot, with its signed heads.

    Args:
        connection: reads the store.
        snapshot_id: id of the snapshot, or the beginning of the id; None for the newest snapshot.

    Raises:
        Usage: no snapshot has this id.
    """
    return manifests.find_by_snapshot(connection, snapshots.find(connection, snapshot_id).snapshot_id)


@lru_cache(maxsize=4)
def parse_manifest(body: bytes) -> Manifest:
    """Parse a manifest. Results are cached, because strict parsing takes longer than a proof."""
    return manifest_format.load(body)


def snapshot_tree(connection: Connection, head: SignedManifest) -> merkle.MerkleTree:
    """Return the Merkle tree of the snapshot log up to and including the manifest `head`."""
    return merkle.MerkleTree(manifests.leaf_hashes(connection, head.sequence))


def find_leaf(connection: Connection, vote_id: str, manifest: Manifest) -> int:
    """Return the index of a vote's leaf in the vote log of a snapshot.

    Args:
        connection: reads the store.
        vote_id: id of the vote.
        manifest: manifest of the snapshot, which states the size of its vote log.

    Raises:
        Usage: no vote has this id, or the vote is not in this log.
    """
    position = ingest.expect_stored(connection, vote_id)
    found = leaf_index.find_leaves(connection, [position]).get(position)
    if found is None or found >= manifest.vote_log.size:
        raise Usage(f"expected a vote that a snapshot rates, got {vote_id!r}, which the next `integrity refresh` takes")
    return found


def prove_leaf(store: Store, leaf: int, manifest: Manifest) -> VoteProof:
    """Prove that a leaf is in the vote log of a snapshot.

    Args:
        store: the store.
        leaf: index of the leaf.
        manifest: manifest of the snapshot, which states the size of its vote log.
    """
    log = TileReader(manifest.vote_log.size, store.files.get_tile)
    path = inclusion_path(leaf, manifest.vote_log.size, log.node)
    return VoteProof(leaf, manifest.vote_log.size, _hexadecimal(path), log.reads)


def _checked(log: str) -> str:
    if log not in (SNAPSHOTS, VOTES):
        raise Usage(f"expected the log {SNAPSHOTS} or {VOTES}, got {log!r}")
    return log


def _hexadecimal(path: list[bytes]) -> tuple[Digest, ...]:
    return tuple(Digest(one.hex()) for one in path)
