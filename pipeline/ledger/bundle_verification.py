"""Is a bundle what it says? From its files and a key alone, offline.

Laws: the first thing that is wrong is named and ends the check; a file is hashed before it is parsed; the order is from
what is signed outward: manifest, signature, inclusion, growth, files, leaves, counts, ratings. Nothing here imports the
store, the settings or the API.

Without a key of the caller's the answer is "consistent, and signed by the key that the bundle itself names": whoever
replaced the bundle could have replaced that key.

Not checked, for it cannot be from public data: why a voter was excluded, what the private fields say, and whether the
operator shows everybody the same log; witnesses and a checkpoint that the caller kept (`remembered`) are for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Refuted
from . import bundle, canonical_json, leaf, manifest, published_views, segment, signed_note
from .bundle import CHECKPOINT, EXCLUDED, KEY, MANIFEST, PREVIOUS, PREVIOUS_CHECKPOINT, PROOF, BundleFiles
from .manifest import Manifest
from .merkle import WIDTH, leaf_hash
from .merkle_proofs import check_consistency, check_inclusion
from .signed_note import Checkpoint, VerifierKey
from .vote_log import VoteLog


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """What was checked.

    Attributes:
        manifest: what is true.
        sha256: of the manifest: the name of the snapshot.
        checkpoint: the head of the snapshot log.
        signer: the log's key.
        key_checked: the caller gave that key; else it is only the one that the bundle names.
        witnesses: who signed besides.
    """

    manifest: Manifest
    sha256: str
    checkpoint: Checkpoint
    signer: VerifierKey
    key_checked: bool
    witnesses: tuple[str, ...]

    def __str__(self) -> str:
        """The verdict in a sentence."""
        of = f"snapshot {self.manifest.sequence} of {self.manifest.board}: {self.manifest.vote_log.size} leaves"
        signed = f"signed by {self.signer.name} {self.signer.key_id.hex()}"
        if self.key_checked:
            return f"{of}, verified, {signed}"
        return f"{of}, consistent, {signed}, key not checked: get the key from the operator and give it with --key"


def verify_bundle(
    files: BundleFiles, keys: Sequence[VerifierKey] = (), remembered: bytes | None = None
) -> VerifiedBundle:
    """Check a bundle.

    Args:
        files: the bundle (`bundle.BundleFolder`, or paths and contents).
        keys: the operator's keys, known from elsewhere; without any the bundle's own is taken.
        remembered: a checkpoint of the same log that the caller kept, the same or an older one.

    Raises:
        Refuted: names the first thing that is wrong; `reason` is one word.
    """
    names = set(files)
    raw = _file(files, names, MANIFEST)
    said = manifest.load(raw)
    trusted = tuple(keys) or (_own_key(_file(files, names, KEY)),)
    known = _Known.of(said)
    head, signers = _head(_file(files, names, CHECKPOINT), CHECKPOINT, trusted, known)
    proof = canonical_json.load(bundle.BundleProof, _file(files, names, PROOF), PROOF)
    if head.origin != said.origin:
        raise Refuted("checkpoint", CHECKPOINT, f"expected the log {said.origin}, got {head.origin}")
    check_inclusion(leaf_hash(raw), said.sequence - 1, head.size, _hashes(proof.inclusion), head.root, MANIFEST)
    before = _growth(files, names, said, head, proof, trusted)
    _rotation(said, before, signers)
    _remembered(remembered, head, trusted, known)
    _layout(names, said)
    _digests(files, said)
    _votes(files, said, before)
    return VerifiedBundle(
        said,
        manifest.sha256_hex(raw),
        head,
        next(key for key in signers if key in trusted),
        bool(keys),
        tuple(key.name for key in signers if key.kind == signed_note.COSIGNATURE),
    )


def _hashes(path: tuple[canonical_json.Digest, ...]) -> list[bytes]:
    return [bytes.fromhex(one) for one in path]


def _file(files: BundleFiles, names: set[str], name: str) -> bytes:
    if name not in names:
        raise Refuted("missing", name, "expected this file in the bundle")
    return files[name]


def _own_key(data: bytes) -> VerifierKey:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise Refuted("key", KEY, "expected a key in ASCII") from None
    if not text.endswith("\n"):
        raise Refuted("key", KEY, "expected a line")
    return VerifierKey.parse(text[:-1], KEY)


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys that a manifest names: of the log itself, and of witnesses. Their signatures must be good."""

    log: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...]

    @classmethod
    def of(cls, said: Manifest, where: str = MANIFEST) -> _Known:
        log = tuple(VerifierKey.parse(one, f"{where}.keys") for one in said.keys)
        if not log or any(key.kind != signed_note.ED25519 or key.name != said.origin for key in log):
            raise Refuted("key", f"{where}.keys", f"expected Ed25519 keys of {said.origin}")
        return cls(log, tuple(VerifierKey.parse(one, f"{where}.witnesses") for one in said.witnesses))


def _head(
    data: bytes, where: str, trusted: Sequence[VerifierKey], known: _Known
) -> tuple[Checkpoint, tuple[VerifierKey, ...]]:
    """A checkpoint whose every signature is good, one of them by a trusted key of the log."""
    parsed = signed_note.parse(data, where)
    signers = signed_note.verify(parsed, dict.fromkeys([*trusted, *known.log, *known.witnesses]), where)
    head = signed_note.parse_checkpoint(parsed, where)
    if not any(key in trusted and key.kind == signed_note.ED25519 and key.name == head.origin for key in signers):
        raise Refuted("unsigned", where, f"expected the signature of {head.origin} by a key that is trusted")
    return head, signers


def _rotation(said: Manifest, before: Manifest | None, signers: tuple[VerifierKey, ...]) -> None:
    """Keys are added one at a time, and a new one is introduced by the signature of the one before it."""
    keys = before.keys if before is not None else said.keys[:1]
    if said.keys[: len(keys)] != keys or len(said.keys) > len(keys) + 1:
        raise Refuted("key", f"{MANIFEST}.keys", "expected the keys of the manifest before, and at most one more")
    names = {str(key) for key in signers}
    for one in said.keys[len(keys) - 1 :]:
        if one not in names:
            raise Refuted("unsigned", CHECKPOINT, f"expected the signature of {one.rsplit('+', 1)[0]}")


def _growth(
    files: BundleFiles,
    names: set[str],
    said: Manifest,
    head: Checkpoint,
    proof: bundle.BundleProof,
    trusted: Sequence[VerifierKey],
) -> Manifest | None:
    """The manifest before, which the log holds one leaf earlier; the log at its time is the beginning of this one."""
    if said.sequence == 1:
        if proof.previous_inclusion or proof.consistency:
            raise Refuted("consistency", PROOF, "expected no proofs of anything before the first snapshot")
        return None
    raw = _file(files, names, PREVIOUS)
    before = manifest.load(raw, PREVIOUS)
    if manifest.sha256_hex(raw) != said.previous or before.sequence != said.sequence - 1 or before.board != said.board:
        raise Refuted("previous", PREVIOUS, f"expected manifest {said.sequence - 1} with SHA-256 {said.previous}")
    path = _hashes(proof.previous_inclusion)
    check_inclusion(leaf_hash(raw), said.sequence - 2, head.size, path, head.root, PREVIOUS)
    known = _Known.of(before, PREVIOUS)
    # What is signed by a trusted key names the keys of the log before it.
    older, _ = _head(_file(files, names, PREVIOUS_CHECKPOINT), PREVIOUS_CHECKPOINT, [*trusted, *known.log], known)
    if older.origin != head.origin:
        raise Refuted("checkpoint", PREVIOUS_CHECKPOINT, f"expected the log {head.origin}, got {older.origin}")
    check_consistency(older.size, older.root, head.size, head.root, _hashes(proof.consistency), PREVIOUS_CHECKPOINT)
    if older.size < before.sequence:
        raise Refuted("previous", PREVIOUS_CHECKPOINT, f"expected at least {before.sequence} leaves, got {older.size}")
    return before


def _remembered(data: bytes | None, head: Checkpoint, trusted: Sequence[VerifierKey], known: _Known) -> None:
    """Without a proof between them, two heads can be compared if they are of one size, or the log shrank."""
    if data is None:
        return
    kept, _ = _head(data, "remembered checkpoint", [*trusted, *known.log], known)
    if kept.origin != head.origin:
        raise Refuted("checkpoint", "remembered checkpoint", f"expected the log {head.origin}, got {kept.origin}")
    if kept.size >= head.size:
        check_consistency(kept.size, kept.root, head.size, head.root, [], "remembered checkpoint")


def _layout(names: set[str], said: Manifest) -> None:
    for name in (EXCLUDED, KEY):
        if name not in said.files:
            raise Refuted("fields", f"{MANIFEST}.files", f"expected {name} among them")
    expected = bundle.expected_paths(said)
    for name in sorted(expected - names):
        raise Refuted("missing", name, "expected this file in the bundle")
    for name in sorted(names - expected):
        raise Refuted("unlisted", name, "expected no file that the manifest does not list")


def _digests(files: BundleFiles, said: Manifest) -> None:
    for name, expected in sorted(said.files.items()):
        found = manifest.sha256_hex(files[name])
        if found != expected:
            raise Refuted("digest", name, f"expected SHA-256 {expected}, got {found}")


def _votes(files: BundleFiles, said: Manifest, before: Manifest | None) -> None:
    log = _read_log(files, said, before)
    published_views.check_configuration(said.configuration, f"{MANIFEST}.configuration")
    excluded = segment.read_excluded(files[EXCLUDED], EXCLUDED)
    raw, defended, taken = log.counted(excluded, len(said.exclusions))
    for place, (one, votes) in enumerate(zip(said.exclusions, taken, strict=True)):
        if one.votes != votes:
            where = f"{MANIFEST}.exclusions[{place}]"
            raise Refuted("exclusion", where, f"expected {one.votes} excluded votes, {EXCLUDED} names {votes}")
    for name, published, counted in (("raw", said.views.raw, raw), ("defended", said.views.defended, defended)):
        counts = log.counts(counted, [one.model for one in published.unrated])
        published_views.check_view(published, counts, said.configuration, f"view {name}")


def _read_log(files: BundleFiles, said: Manifest, before: Manifest | None) -> VoteLog:
    """All leaves, each file hashed before it is parsed; the roots now and at the manifest before."""
    log = VoteLog()
    older = before.vote_log if before is not None else None
    if older is not None and older.size > said.vote_log.size:
        raise Refuted(
            "rollback", f"{MANIFEST}.vote_log", f"expected at least {older.size} leaves, got {said.vote_log.size}"
        )
    for one in said.segments:
        if one.first != log.frontier.size or not one.size:
            raise Refuted("size", one.path, f"expected a segment with leaves from {log.frontier.size} on")
        _extend(log, one, files[one.path], older)
    if log.frontier.size != said.vote_log.size:
        raise Refuted("size", "votes", f"expected {said.vote_log.size} leaves, got {log.frontier.size}")
    if log.frontier.root().hex() != said.vote_log.root:
        raise Refuted(
            "root", "votes", f"expected root {said.vote_log.root}, the leaves give {log.frontier.root().hex()}"
        )
    if older is not None and older.size == 0:
        _check_older(VoteLog(), older)
    return log


def _extend(log: VoteLog, one: manifest.SegmentFile, data: bytes, older: manifest.VoteLogHead | None) -> None:
    found = manifest.sha256_hex(data)
    if found != one.sha256:
        row = segment.first_wrong_row(data, one.path)
        place = "" if row is None else f", the first row that is not its leaf is leaf {one.first + row}"
        raise Refuted("digest", one.path, f"expected SHA-256 {one.sha256}, got {found}{place}")
    rows, stated = segment.read(data, one.path)
    if len(rows) != one.size:
        raise Refuted("size", one.path, f"expected {one.size} leaves, got {len(rows)}")
    leaf.check(rows, one.first)
    hashes = leaf.hashes(rows)
    if hashes != stated:
        row = segment.first_wrong_row(data, one.path) or 0
        raise Refuted("leaf", f"leaf {one.first + row}", "expected the hash of its row")
    cut = older.size - one.first if older is not None else -1
    if 0 < cut <= one.size and older is not None:
        log.extend(rows.slice(0, cut), hashes[: cut * WIDTH])
        _check_older(log, older)
        log.extend(rows.slice(cut), hashes[cut * WIDTH :])
    else:
        log.extend(rows, hashes)


def _check_older(log: VoteLog, older: manifest.VoteLogHead) -> None:
    found = log.frontier.root().hex()
    if found != older.root:
        raise Refuted("consistency", "votes", f"at {older.size} leaves expected root {older.root}, they give {found}")
