"""Checks the signed heads of a bundle: who signed, that the manifests are in the log, and that the log only grew.

The head of a log is its name, size and root hash; a signed head is called a checkpoint. A manifest is parsed only after
a proof shows that its leaf hash is in the log under a signed head. Only one small file is parsed although no signature
protects it: `proof.json`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Refuted
from . import canonical_json, manifest, manifest_claims, signed_note, size_limits
from .bundle import CHECKPOINT, MANIFEST, PREVIOUS, PREVIOUS_CHECKPOINT, PROOF, BundleFiles, BundleProof, file_size
from .manifest import Manifest, sha256_hex
from .manifest_notices import check_notices
from .merkle import leaf_hash, root
from .merkle_proofs import check_consistency, check_inclusion
from .signed_note import Checkpoint, SignedNote, VerifierKey

KEPT = "kept checkpoint"
"""The name, in errors, of the earlier checkpoint that the caller has saved."""

# The sequence of a manifest, found without parsing it: in canonical JSON no text contains a quote that is not escaped.
_SEQUENCE = re.compile(rb',"sequence":([1-9][0-9]{0,15}),"[uv]')


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The verified head of the snapshot log, and the manifests that are proved to be in the log.

    Attributes:
        checkpoint: the verified head of the snapshot log.
        signers: the keys with a valid signature, among the trusted keys and the keys and witnesses in the manifest.
        manifest: the manifest of the snapshot.
        raw: bytes of the manifest.
        previous: the manifest of the previous snapshot, None for the first snapshot.
    """

    checkpoint: Checkpoint
    signers: tuple[VerifierKey, ...]
    manifest: Manifest
    raw: bytes
    previous: Manifest | None


def check_heads(files: BundleFiles, names: set[str], trusted: Sequence[VerifierKey], kept: bytes | None) -> SignedHead:
    """Check the signed heads of a bundle, and its manifest and previous manifest.

    Args:
        files: the bundle.
        names: paths of the bundle's files.
        trusted: keys of the log, one of which must have signed the head.
        kept: an earlier checkpoint of the same log that the caller saved, as a signed note. The log must continue it.
            None for no comparison.

    Returns:
        The verified head with both manifests.

    Raises:
        Refuted: a signature, a proof or a manifest is wrong. The message names the first fault.
    """
    note = signed_note.parse(read_file(files, names, CHECKPOINT, size_limits.MAX_SMALL), CHECKPOINT)
    head = _signed_checkpoint(note, CHECKPOINT, trusted)
    raw_proof = read_file(files, names, PROOF, size_limits.MAX_JSON)
    proof = canonical_json.load(BundleProof, raw_proof, PROOF)
    raw = read_file(files, names, MANIFEST, size_limits.MAX_JSON)
    found = _included_manifest(raw, proof, head)
    _check_leaves(proof, head)
    named = _NamedKeys.of(found)
    if head.origin != found.origin:
        raise Refuted("checkpoint", CHECKPOINT, f"expected the log {found.origin}, got {head.origin}")
    signers = signed_note.verify(
        note, dict.fromkeys([*trusted, *named.log, *named.witnesses]), CHECKPOINT, strict=False
    )
    previous = _check_previous(files, names, found, head, proof, trusted)
    _check_key_rotation(found, previous, signers)
    if kept is not None:
        _check_kept(kept, head, proof, [*trusted, *named.log], previous is not None)
    return SignedHead(head, signers, found, raw, previous)


def read_file(files: BundleFiles, names: set[str], name: str, most: int) -> bytes:
    """Return the content of one file of a bundle, if it exists and is not too large.

    Args:
        files: the bundle.
        names: paths of all files of the bundle.
        name: path of the file.
        most: largest size in bytes.

    Raises:
        Refuted: reason `missing`: `names` does not contain `name`. Reason `limit`: the file is larger than `most`
            bytes.
    """
    if name not in names:
        raise Refuted("missing", name, "expected this file in the bundle")
    size_limits.require_size(name, file_size(files, name), most)
    return files[name]


@dataclass(frozen=True, slots=True)
class _NamedKeys:
    """The keys of the log and of the witnesses that a manifest names. Every signature by such a key must be valid."""

    log: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...]

    @classmethod
    def of(cls, given: Manifest, where: str = MANIFEST) -> _NamedKeys:
        log = tuple(VerifierKey.parse(text, f"{where}.keys") for text in given.keys)
        if not log or any(key.kind != signed_note.ED25519 or key.name != given.origin for key in log):
            raise Refuted("key", f"{where}.keys", f"expected Ed25519 keys of {given.origin}")
        return cls(log, tuple(VerifierKey.parse(text, f"{where}.witnesses") for text in given.witnesses))


def _signed_checkpoint(note: SignedNote, where: str, trusted: Sequence[VerifierKey]) -> Checkpoint:
    """Return the head in a note, after checking that a trusted key of its log signed the note."""
    signers = signed_note.verify(note, dict.fromkeys(trusted), where, strict=False)
    head = signed_note.parse_checkpoint(note, where)
    if not any(key.kind == signed_note.ED25519 and key.name == head.origin for key in signers):
        raise Refuted("unsigned", where, f"expected the signature of {head.origin} by a trusted key")
    return head


def _check_leaves(proof: BundleProof, head: Checkpoint) -> None:
    if proof.leaves is None:
        return
    if (len(proof.leaves), root(_leaves(proof.leaves))) != (head.size, head.root):
        raise Refuted("consistency", f"{PROOF}.leaves", f"expected the {head.size} leaves of the signed head")


def _leaves(digests: Sequence[canonical_json.Digest]) -> bytes:
    return bytes.fromhex("".join(digests))


def _included_manifest(raw: bytes, proof: BundleProof, head: Checkpoint) -> Manifest:
    """Check that a manifest is in the log of the head, then parse and return it."""
    stated = _SEQUENCE.search(raw)
    sequence = head.size if stated is None else int(stated[1])
    _check_in_log(raw, sequence - 1, head, proof.inclusion, MANIFEST)
    found = manifest.load(raw)
    if found.sequence != sequence:
        raise Refuted("fields", f"{MANIFEST}.sequence", f"expected {sequence}, its place in the log")
    manifest_claims.check_claims(found, MANIFEST)
    return found


def _check_in_log(raw: bytes, index: int, head: Checkpoint, path: tuple[canonical_json.Digest, ...], name: str) -> None:
    hashes = [bytes.fromhex(digest) for digest in path]
    try:
        check_inclusion(leaf_hash(raw), index, head.size, hashes, head.root, name)
    except Refuted:
        lf = raw.replace(b"\r\n", b"\n").removesuffix(b"\n")
        if lf != raw:
            check_inclusion(leaf_hash(lf), index, head.size, hashes, head.root, name)
            raise Refuted(
                "inclusion", name, "it is in the log but for its line endings, which a transfer changed"
            ) from None
        raise


def _check_key_rotation(given: Manifest, previous: Manifest | None, signers: tuple[VerifierKey, ...]) -> None:
    """Check that a manifest adds at most one key to those of the previous manifest, and that the right keys signed.

    The manifest's last key must have signed. If this key is new, the key before it must have signed too. If `previous`
    is None, the first key of the manifest counts as the previous key.

    Raises:
        Refuted: reason `key`: the keys are wrong. Reason `unsigned`: a signature is missing.
    """
    keys = previous.keys if previous is not None else given.keys[:1]
    if given.keys[: len(keys)] != keys or len(given.keys) > len(keys) + 1:
        raise Refuted("key", f"{MANIFEST}.keys", "expected the keys of the previous manifest and at most one more")
    signed = {str(key) for key in signers}
    for text in given.keys[len(keys) - 1 :]:
        if text not in signed:
            raise Refuted("unsigned", CHECKPOINT, f"expected the signature of {text.rsplit('+', 1)[0]}")


def _check_previous(
    files: BundleFiles,
    names: set[str],
    given: Manifest,
    head: Checkpoint,
    proof: BundleProof,
    trusted: Sequence[VerifierKey],
) -> Manifest | None:
    """Check that the previous manifest is one leaf before `given`, and that the log was only extended since.

    Returns:
        The previous manifest; None if `given` is of the first snapshot.
    """
    if given.sequence == 1:
        if proof.previous_inclusion or proof.consistency:
            raise Refuted("consistency", PROOF, "expected no proofs about a snapshot before the first")
        return None
    raw, before = read_file(files, names, PREVIOUS, size_limits.MAX_JSON), given.sequence - 1
    if sha256_hex(raw) != given.previous:
        raise Refuted("previous", PREVIOUS, f"expected manifest {before} with SHA-256 {given.previous}")
    _check_in_log(raw, before - 1, head, proof.previous_inclusion, PREVIOUS)
    previous = manifest.load(raw, PREVIOUS)
    if (previous.sequence, previous.board) != (before, given.board):
        raise Refuted("previous", PREVIOUS, f"expected manifest {before} of {given.board}")
    if given.at < previous.at:
        raise Refuted("previous", f"{MANIFEST}.at", f"expected a time from {previous.at} on, got {given.at}")
    data = read_file(files, names, PREVIOUS_CHECKPOINT, size_limits.MAX_SMALL)
    # The previous manifest is in a log that a trusted key signed, so the keys that it names are trusted for its head.
    keys = [*trusted, *_NamedKeys.of(previous, PREVIOUS).log]
    older = _signed_checkpoint(signed_note.parse(data, PREVIOUS_CHECKPOINT), PREVIOUS_CHECKPOINT, keys)
    if older.origin != head.origin:
        raise Refuted("checkpoint", PREVIOUS_CHECKPOINT, f"expected the log {head.origin}, got {older.origin}")
    path = [bytes.fromhex(digest) for digest in proof.consistency]
    check_consistency(older.size, older.root, head.size, head.root, path, PREVIOUS_CHECKPOINT)
    if older.size < before:
        raise Refuted("previous", PREVIOUS_CHECKPOINT, f"expected at least {before} leaves, got {older.size}")
    check_notices(given.notices, previous.notices, f"{MANIFEST}.notices")
    return previous


def _check_kept(
    data: bytes, head: Checkpoint, proof: BundleProof, keys: Sequence[VerifierKey], has_previous: bool
) -> None:
    """Check that the log of the bundle begins with the log of an earlier checkpoint, which the caller has kept."""
    kept = _signed_checkpoint(signed_note.parse(data, KEPT), KEPT, keys)
    if kept.origin != head.origin:
        raise Refuted("checkpoint", KEPT, f"expected the log {head.origin}, got {kept.origin}")
    if kept.size >= head.size or kept.size == 0:
        check_consistency(kept.size, kept.root, head.size, head.root, [], KEPT)
        return
    if proof.leaves is not None:
        found = root(_leaves(proof.leaves[: kept.size]))
        if found != kept.root:
            raise Refuted(
                "fork",
                KEPT,
                f"its {kept.size} leaves have root {kept.root.hex()}, the first {kept.size} of the bundle's log "
                f"{found.hex()}: the log was shown to you with another past",
            )
        return
    if not has_previous:
        raise Refuted("consistency", KEPT, "the bundle has no proof from this checkpoint on")
    # A bundle without the leaves of its log proves growth from the snapshot before alone.
    path = [bytes.fromhex(digest) for digest in proof.consistency]
    if kept.size != head.size - 1:
        raise Refuted(
            "consistency",
            KEPT,
            f"expected the leaves of the log in {PROOF}, without which nothing shows that it begins with the "
            f"{kept.size} leaves of this checkpoint: get a bundle of a newer version",
        )
    check_consistency(kept.size, kept.root, head.size, head.root, path, KEPT)
