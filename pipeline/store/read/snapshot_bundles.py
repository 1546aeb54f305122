"""Reads a snapshot's bundle from the ledger's files: everything that is needed to verify the snapshot."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from pipeline.ledger import bundle, bundle_archive
from pipeline.ledger.manifest import Manifest
from pipeline.store.db.engine import Store
from pipeline.store.log import manifests
from pipeline.store.read.log_proofs import find_manifest, parse_manifest, snapshot_tree


def read_bundle(store: Store, snapshot_id: str | None = None) -> Mapping[str, bytes]:
    """Return the bundle of a snapshot, as path → content of each file.

    A file of the ledger is read only when it is looked up in the result.

    Args:
        store: the store.
        snapshot_id: id of the snapshot, or the beginning of the id; None for the newest snapshot.

    Raises:
        Usage: no snapshot has this id.
    """
    with store.read() as connection:
        signed = find_manifest(connection, snapshot_id)
        older = manifests.find_by_sequence(connection, signed.sequence - 1)
        tree = snapshot_tree(connection, signed)
        proof = bundle.build_proof(signed.sequence, signed.sequence, signed.sequence - 1, tree.node)
        head = signed.checkpoint + manifests.read_cosignatures(connection, signed.sequence)
        before = None
        if older is not None:
            before = (older.body, older.checkpoint + manifests.read_cosignatures(connection, older.sequence))
    files = bundle.assemble(signed.body, head, proof, {}, before=before)
    return _BundleFiles(store, files, parse_manifest(signed.body))


def write_archive(store: Store, out: BinaryIO, snapshot_id: str | None = None) -> None:
    """Write the bundle of a snapshot as a zip file to a stream.

    The same snapshot and signatures give the same bytes.

    Args:
        store: the store.
        out: the stream.
        snapshot_id: id of the snapshot, or the beginning of the id; None for the newest snapshot.

    Raises:
        Usage: no snapshot has this id.
    """
    bundle_archive.write(out, read_bundle(store, snapshot_id))


class _BundleFiles(Mapping[str, bytes]):
    """Files in memory, and files of the ledger that are read on access."""

    def __init__(self, store: Store, in_memory: dict[str, bytes], manifest: Manifest) -> None:
        self._store = store
        self._in_memory = in_memory
        self._digests = {**{one.path: one.sha256 for one in manifest.segments}, **manifest.files}

    def __getitem__(self, name: str) -> bytes:
        return self._in_memory[name] if name in self._in_memory else self._store.files.get(self._digests[name])

    def __iter__(self) -> Iterator[str]:
        return iter([*self._in_memory, *self._digests])

    def __len__(self) -> int:
        return len(self._in_memory) + len(self._digests)
