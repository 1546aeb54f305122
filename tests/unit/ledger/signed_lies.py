"""Bundles whose third manifest the operator signs although it is false, made without rating the votes again."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import rfc8785

from pipeline.ledger import bundle, manifest, merkle, signed_note, snapshot_body
from pipeline.ledger.manifest import Manifest
from tests.unit.ledger import slow_merkle
from tests.unit.ledger.board_operator import SIGNER, Change, Files, good, operator


@cache
def third() -> Manifest:
    """The honest manifest of the third snapshot."""
    return manifest.load(operator().manifests[2])


def signed(raw: bytes, files: Mapping[str, bytes] = {}) -> Files:
    """The bundle of a third manifest with these bytes, signed by the operator."""
    manifests = [*operator().manifests[:2], raw]
    leaves = slow_merkle.leaf_hashes(manifests)
    head = signed_note.Checkpoint(f"{third().board}/snapshots", 3, merkle.root(leaves))
    proof = bundle.build_proof(3, 3, 2, merkle.MerkleTree(leaves).node)
    bound = {"manifest.json", "checkpoint", "proof.json", "previous.json", "previous-checkpoint"}
    others = {name: data for name, data in good().items() if name not in bound}
    before = operator().manifests[1], operator().heads[1]
    note = signed_note.sign(head.text, [SIGNER])
    return bundle.assemble(raw, note, proof, {**others, **files}, before=before)


def lie(change: Change) -> Files:
    """The bundle of the honest manifest with a change."""
    return signed(change(third()).dump())


def with_files(files: Mapping[str, bytes], change: Change = lambda it: it) -> Files:
    """A bundle with other files, whose digests the manifest states."""
    listed = {name: data for name, data in files.items() if not name.startswith("votes/")}
    segments = tuple(
        replace(one, sha256=manifest.sha256_hex(files[one.path])) if one.path in files else one
        for one in third().segments
    )
    stated = replace(third(), files={**third().files, **bundle.file_digests(listed)}, segments=segments)
    return signed(change(stated).dump(), files)


def body(**changes: Any) -> bytes:
    """The body of the third snapshot with other values."""
    return rfc8785.dumps({**snapshot_body._expected(third()), **changes})


def with_body(change: Callable[[dict[str, Any]], Any]) -> Files:
    """A bundle with a body of the snapshot, changed."""
    value = snapshot_body._expected(third())
    change(value)
    return with_files({bundle.SNAPSHOT: rfc8785.dumps(value)})
