"""Checks a bundle from its files and a key alone, offline.

Laws: the first fault is named and ends the check; a file is hashed before it is parsed; the order follows what is
signed: manifest, signature, inclusion, growth, files, leaves, counts, ratings.

Without a key from the caller the verdict is "consistent, signed by the key that the bundle names": whoever replaced the
bundle could have replaced that key.

Not checked, since public data cannot show it: why a voter was excluded, what the private fields contain, and whether
the operator shows everybody the same log. Against a log that differs between readers, witnesses help, and a checkpoint
that the caller kept (`remembered`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Refuted
from . import bundle, canonical_json, leaf, leaf_encoding, published_views, segment, signed_note
from .bundle import CHECKPOINT, EXCLUDED, KEY, MANIFEST, PREVIOUS, PREVIOUS_CHECKPOINT, PROOF, BundleFiles
from .manifest import Manifest, SegmentFile, VoteCoverage, VoteLogHead, sha256_hex
from .manifest import load as load_manifest
from .merkle import WIDTH, leaf_hash
from .merkle_proofs import check_consistency, check_inclusion
from .signed_note import Checkpoint, VerifierKey
from .vote_log import VoteLog


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """The result of a successful check.

    Attributes:
        manifest: the verified claims.
        sha256: SHA-256 of the manifest, the id of the snapshot.
        checkpoint: the head of the snapshot log.
        signer: the key of the log.
        key_checked: whether the caller gave that key; otherwise only the bundle names it.
        witnesses: names of the witnesses that signed too.
    """

    manifest: Manifest
    sha256: str
    checkpoint: Checkpoint
    signer: VerifierKey
    key_checked: bool
    witnesses: tuple[str, ...]

    def __str__(self) -> str:
        """The verdict as a sentence."""
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
        files: the bundle: a `BundleFolder`, a `BundleArchive`, or a mapping of paths to contents.
        keys: the operator's keys, from a trusted source; without any, the key in the bundle is used.
        remembered: a checkpoint of the same log that the caller kept, of the same or an earlier size.

    Raises:
        Refuted: names the first fault; `reason` is one word.
    """
    names = set(files)
    raw = _read(files, names, MANIFEST)
    manifest = load_manifest(raw)
    trusted = tuple(keys) or (_own_key(_read(files, names, KEY)),)
    named = _NamedKeys.of(manifest)
    head, signers = _check_head(_read(files, names, CHECKPOINT), CHECKPOINT, trusted, named)
    proof = canonical_json.load(bundle.BundleProof, _read(files, names, PROOF), PROOF)
    if head.origin != manifest.origin:
        raise Refuted("checkpoint", CHECKPOINT, f"expected the log {manifest.origin}, got {head.origin}")
    check_inclusion(leaf_hash(raw), manifest.sequence - 1, head.size, _hashes(proof.inclusion), head.root, MANIFEST)
    previous = _check_previous(files, names, manifest, head, proof, trusted)
    _check_key_rotation(manifest, previous, signers)
    _check_remembered(remembered, head, trusted, named)
    _check_file_names(names, manifest)
    _check_digests(files, manifest)
    _check_votes(files, manifest, previous)
    return VerifiedBundle(
        manifest,
        sha256_hex(raw),
        head,
        next(key for key in signers if key in trusted),
        bool(keys),
        tuple(key.name for key in signers if key.kind == signed_note.COSIGNATURE),
    )


def _hashes(path: tuple[canonical_json.Digest, ...]) -> list[bytes]:
    return [bytes.fromhex(digest) for digest in path]


def _read(files: BundleFiles, names: set[str], name: str) -> bytes:
    if name not in names:
        raise Refuted("missing", name, "expected this file in the bundle")
    return files[name]


def _own_key(data: bytes) -> VerifierKey:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise Refuted("key", KEY, "expected a key in ASCII") from None
    if not text.endswith("\n"):
        raise Refuted("key", KEY, "expected a line that ends with a newline")
    return VerifierKey.parse(text[:-1], KEY)


@dataclass(frozen=True, slots=True)
class _NamedKeys:
    """The keys of the log and of witnesses that a manifest names. A signature by one of these keys must be valid."""

    log: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...]

    @classmethod
    def of(cls, manifest: Manifest, where: str = MANIFEST) -> _NamedKeys:
        log = tuple(VerifierKey.parse(text, f"{where}.keys") for text in manifest.keys)
        if not log or any(key.kind != signed_note.ED25519 or key.name != manifest.origin for key in log):
            raise Refuted("key", f"{where}.keys", f"expected Ed25519 keys of {manifest.origin}")
        return cls(log, tuple(VerifierKey.parse(text, f"{where}.witnesses") for text in manifest.witnesses))


def _check_head(
    data: bytes, where: str, trusted: Sequence[VerifierKey], named: _NamedKeys
) -> tuple[Checkpoint, tuple[VerifierKey, ...]]:
    """Check that all signatures by known keys are valid, and that one is by a trusted key of the log."""
    note = signed_note.parse(data, where)
    signers = signed_note.verify(note, dict.fromkeys([*trusted, *named.log, *named.witnesses]), where)
    head = signed_note.parse_checkpoint(note, where)
    if not any(key in trusted and key.kind == signed_note.ED25519 and key.name == head.origin for key in signers):
        raise Refuted("unsigned", where, f"expected the signature of {head.origin} by a trusted key")
    return head, signers


def _check_key_rotation(manifest: Manifest, previous: Manifest | None, signers: tuple[VerifierKey, ...]) -> None:
    """Check that at most one key was added, and that both the new key and the key before it signed."""
    keys = previous.keys if previous is not None else manifest.keys[:1]
    if manifest.keys[: len(keys)] != keys or len(manifest.keys) > len(keys) + 1:
        raise Refuted("key", f"{MANIFEST}.keys", "expected the keys of the previous manifest and at most one more")
    signed = {str(key) for key in signers}
    for text in manifest.keys[len(keys) - 1 :]:
        if text not in signed:
            raise Refuted("unsigned", CHECKPOINT, f"expected the signature of {text.rsplit('+', 1)[0]}")


def _check_previous(
    files: BundleFiles,
    names: set[str],
    manifest: Manifest,
    head: Checkpoint,
    proof: bundle.BundleProof,
    trusted: Sequence[VerifierKey],
) -> Manifest | None:
    """Check that the previous manifest is the leaf before this one, and that its log is the beginning of this log."""
    if manifest.sequence == 1:
        if proof.previous_inclusion or proof.consistency:
            raise Refuted("consistency", PROOF, "expected no proofs about a snapshot before the first")
        return None
    raw = _read(files, names, PREVIOUS)
    previous = load_manifest(raw, PREVIOUS)
    before = manifest.sequence - 1
    if (sha256_hex(raw), previous.sequence, previous.board) != (manifest.previous, before, manifest.board):
        raise Refuted("previous", PREVIOUS, f"expected manifest {before} with SHA-256 {manifest.previous}")
    check_inclusion(leaf_hash(raw), before - 1, head.size, _hashes(proof.previous_inclusion), head.root, PREVIOUS)
    named = _NamedKeys.of(previous, PREVIOUS)
    # The previous manifest is in a log that a trusted key signed, so the keys that it names are trusted for its head.
    older, _ = _check_head(_read(files, names, PREVIOUS_CHECKPOINT), PREVIOUS_CHECKPOINT, [*trusted, *named.log], named)
    if older.origin != head.origin:
        raise Refuted("checkpoint", PREVIOUS_CHECKPOINT, f"expected the log {head.origin}, got {older.origin}")
    check_consistency(older.size, older.root, head.size, head.root, _hashes(proof.consistency), PREVIOUS_CHECKPOINT)
    if older.size < previous.sequence:
        raise Refuted(
            "previous", PREVIOUS_CHECKPOINT, f"expected at least {previous.sequence} leaves, got {older.size}"
        )
    return previous


def _check_remembered(data: bytes | None, head: Checkpoint, trusted: Sequence[VerifierKey], named: _NamedKeys) -> None:
    """Compare with a head that the caller kept; without a proof, only a fork at equal sizes and a rollback show."""
    if data is None:
        return
    where = "remembered checkpoint"
    kept, _ = _check_head(data, where, [*trusted, *named.log], named)
    if kept.origin != head.origin:
        raise Refuted("checkpoint", where, f"expected the log {head.origin}, got {kept.origin}")
    if kept.size >= head.size:
        check_consistency(kept.size, kept.root, head.size, head.root, [], where)


def _check_file_names(names: set[str], manifest: Manifest) -> None:
    for name in (EXCLUDED, KEY):
        if name not in manifest.files:
            raise Refuted("fields", f"{MANIFEST}.files", f"expected an entry for {name}")
    expected = bundle.expected_paths(manifest)
    for name in sorted(expected - names):
        raise Refuted("missing", name, "expected this file in the bundle")
    for name in sorted(names - expected):
        raise Refuted("unlisted", name, "expected only files that the manifest lists")


def _check_digests(files: BundleFiles, manifest: Manifest) -> None:
    for name, expected in sorted(manifest.files.items()):
        found = sha256_hex(files[name])
        if found != expected:
            raise Refuted("digest", name, f"expected SHA-256 {expected}, got {found}")


def _check_votes(files: BundleFiles, manifest: Manifest, previous: Manifest | None) -> None:
    log = _check_log(files, manifest, previous)
    published_views.check_configuration(manifest.configuration, f"{MANIFEST}.configuration")
    excluded = segment.read_excluded(files[EXCLUDED], EXCLUDED)
    coverage = manifest.coverage
    raw, defended, votes_by_exclusion = log.counted(
        excluded, len(manifest.exclusions), late_counts=coverage is not None
    )
    _check_coverage(coverage, previous, log.count_late(raw), int(raw.sum()))
    for place, (exclusion, votes) in enumerate(zip(manifest.exclusions, votes_by_exclusion, strict=True)):
        if exclusion.votes != votes:
            where = f"{MANIFEST}.exclusions[{place}]"
            raise Refuted("exclusion", where, f"expected {exclusion.votes} excluded votes, {EXCLUDED} has {votes}")
    views = manifest.views
    for name, published, counted in (("raw", views.raw, raw), ("defended", views.defended, defended)):
        counts = log.counts(counted, [model.model for model in published.unrated])
        published_views.check_view(published, counts, manifest.configuration, f"view {name}")


def _check_coverage(coverage: VoteCoverage | None, previous: Manifest | None, late: int, votes: int) -> None:
    """Check the late rule, which must stay once a manifest states it, and the numbers of late and unchecked votes."""
    where = f"{MANIFEST}.coverage"
    if coverage is None:
        if previous is not None and previous.coverage is not None:
            raise Refuted("late_rule", where, "expected the late rule of the previous manifest, got none")
        return
    if coverage.late != late:
        raise Refuted("late_rule", where, f"the log gives {late} late votes, published are {coverage.late}")
    if coverage.unchecked > votes:
        raise Refuted("late_rule", where, f"expected at most {votes} unchecked votes, got {coverage.unchecked}")


def _check_log(files: BundleFiles, manifest: Manifest, previous: Manifest | None) -> VoteLog:
    """Read all segments, each hashed before it is parsed. Check the root now and at the previous manifest."""
    log, head = VoteLog(), manifest.vote_log
    older = previous.vote_log if previous is not None else None
    if older is not None and older.size > head.size:
        raise Refuted("rollback", f"{MANIFEST}.vote_log", f"expected at least {older.size} leaves, got {head.size}")
    for file in manifest.segments:
        if file.first != log.frontier.size or not file.size:
            raise Refuted("size", file.path, f"expected a segment that begins with leaf {log.frontier.size}")
        _append_segment(log, file, files[file.path], older)
    if log.frontier.size != head.size:
        raise Refuted("size", "votes", f"expected {head.size} leaves, got {log.frontier.size}")
    if log.frontier.root().hex() != head.root:
        raise Refuted("root", "votes", f"expected root {head.root}, the leaves give {log.frontier.root().hex()}")
    if older is not None and older.size == 0:
        _check_older(VoteLog(), older)
    return log


def _append_segment(log: VoteLog, file: SegmentFile, data: bytes, older: VoteLogHead | None) -> None:
    found = sha256_hex(data)
    if found != file.sha256:
        row = segment.first_wrong_row(data, file.path)
        place = "" if row is None else f"; the first row that differs from its hash is leaf {file.first + row}"
        raise Refuted("digest", file.path, f"expected SHA-256 {file.sha256}, got {found}{place}")
    rows, stored_hashes = segment.read(data, file.path)
    if len(rows) != file.size:
        raise Refuted("size", file.path, f"expected {file.size} leaves, got {len(rows)}")
    leaf.check(rows, file.first)
    hashes = leaf_encoding.hashes(rows)
    if hashes != stored_hashes:
        row = segment.first_wrong_row(data, file.path) or 0
        raise Refuted("leaf", f"leaf {file.first + row}", "expected the hash of its row")
    cut = older.size - file.first if older is not None else -1
    if 0 < cut <= file.size and older is not None:
        log.extend(rows.slice(0, cut), hashes[: cut * WIDTH])
        _check_older(log, older)
        log.extend(rows.slice(cut), hashes[cut * WIDTH :])
    else:
        log.extend(rows, hashes)


def _check_older(log: VoteLog, older: VoteLogHead) -> None:
    found = log.frontier.root().hex()
    if found != older.root:
        raise Refuted("consistency", "votes", f"at {older.size} leaves expected root {older.root}, they give {found}")
