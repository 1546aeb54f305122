"""Checks a bundle offline, from its files and a key.

The check ends at the first fault and names it. A file is hashed before it is parsed. The order of the checks is:
signature, inclusion, manifest, growth of the logs, files, leaves, counts, ratings.

If the caller gives no key, the verdict is only "consistent, signed by the key in the bundle". Somebody who replaced the
bundle could also have replaced that key.

Public data cannot show why a voter was excluded, what the private fields contain, or whether the operator shows
everybody the same log. These three are therefore not checked. Witnesses reveal a log that differs between readers, and
so does a checkpoint that the caller saved (`remembered`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import pyarrow as pa

from ..errors import Refuted
from ..ratings.rated_models import count_rated
from ..vocabulary.arrays import Bool
from . import (
    bundle,
    interval_verification,
    label_verification,
    leaf,
    leaf_encoding,
    published_views,
    segment,
    signed_note,
    size_limits,
    snapshot_body,
    voter_scores_file,
)
from .bundle import EXCLUDED, KEY, MANIFEST, BundleFiles, file_size
from .bundle_heads import check_heads, read_file
from .manifest import Manifest, PublishedView, SegmentFile, VoteCoverage, VoteLogHead, sha256_hex
from .merkle import WIDTH
from .signed_note import Checkpoint, VerifierKey
from .vote_log import VoteLog

_BOARD, _VIEW = "board ", "view "


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """The result of a successful check of a bundle: what was verified, and who signed it.

    Attributes:
        manifest: the verified manifest.
        sha256: SHA-256 of the manifest.
        checkpoint: the head of the snapshot log.
        signer: the key of the log.
        key_checked: True if the caller gave the key `signer`. If False, `signer` comes from the bundle and is not
            trusted.
        witnesses: names of the witnesses that signed the checkpoint.
    """

    manifest: Manifest
    sha256: str
    checkpoint: Checkpoint
    signer: VerifierKey
    key_checked: bool
    witnesses: tuple[str, ...]

    @property
    def statements(self) -> tuple[str, ...]:
        """Paths of the files that the operator states and nobody can check.

        Some intervals are computed from these files.
        """
        return tuple(path for path in (voter_scores_file.PATH,) if path in self.manifest.files)

    def __str__(self) -> str:
        """Return the verdict as a sentence."""
        stated = f"; intervals clustered by voter rest on {', '.join(self.statements)}, the operator's statement"
        stated = stated if self.statements else ""
        of = f"snapshot {self.manifest.sequence} of {self.manifest.board}: {self.manifest.vote_log.size} leaves"
        signed = f"signed by {self.signer.name} {self.signer.key_id.hex()}"
        if self.key_checked:
            return f"{of}, verified, {signed}{stated}"
        return (
            f"{of}, consistent, {signed}{stated}; key not checked: get the key from the operator and give it with --key"
        )


def verify_bundle(
    files: BundleFiles, keys: Sequence[VerifierKey] = (), remembered: bytes | None = None
) -> VerifiedBundle:
    """Check a bundle offline, and raise the first fault.

    Args:
        files: the bundle: a `BundleFolder`, a `BundleArchive`, or a mapping of paths to contents.
        keys: the operator's keys, from a trusted source. If there are none, the key in the bundle is used, and the
            result says so (`key_checked`).
        remembered: an earlier checkpoint of the same log that the caller saved. The log must continue it.

    Returns:
        What was verified: the manifest, the head and the signers.

    Raises:
        Refuted: the first fault; its `reason` is one word.
    """
    names = _list_files(files)
    trusted = tuple(keys) or (_own_key(read_file(files, names, KEY, size_limits.MAX_SMALL)),)
    head = check_heads(files, names, trusted, remembered)
    _check_file_names(names, head.manifest)
    _check_digests(files, head.manifest)
    _check_votes(files, head.manifest, head.previous)
    snapshot_body.check_body(files, head.manifest)
    return VerifiedBundle(
        head.manifest,
        sha256_hex(head.raw),
        head.checkpoint,
        next(key for key in head.signers if key in trusted),
        bool(keys),
        tuple(key.name for key in head.signers if key.kind == signed_note.COSIGNATURE),
    )


def _list_files(files: BundleFiles) -> set[str]:
    names = set(files)
    if len(names) > size_limits.MAX_FILES:
        raise Refuted("limit", "bundle", f"expected at most {size_limits.MAX_FILES:,} files, got {len(names):,}")
    for name in sorted(names):
        if len(name) > size_limits.MAX_PATH:
            raise Refuted("limit", name[:80], f"expected a path of at most {size_limits.MAX_PATH} characters")
    return names


def _own_key(data: bytes) -> VerifierKey:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise Refuted("key", KEY, "expected a key in ASCII") from None
    if not text.endswith("\n"):
        raise Refuted("key", KEY, "expected a line that ends with a newline")
    if text.endswith("\r\n"):
        raise Refuted("key", KEY, "expected a line that ends in LF, got CRLF: a transfer changed the line ending")
    return VerifierKey.parse(text[:-1], KEY)


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
        data = files[name]
        if sha256_hex(data) != expected:
            raise _wrong_digest(name, data, expected)


def _wrong_digest(name: str, data: bytes, expected: str) -> Refuted:
    """Return the error about a file with a wrong digest. The file is not parsed, so no leaf is named."""
    found = sha256_hex(data)
    if b"\r\n" in data and sha256_hex(data.replace(b"\r\n", b"\n")) == expected:
        return Refuted("digest", name, f"expected SHA-256 {expected}, got {found}: a transfer changed LF to CRLF")
    return Refuted("digest", name, f"expected SHA-256 {expected}, got {found}: it is not the file that was signed")


def _check_votes(files: BundleFiles, manifest: Manifest, previous: Manifest | None) -> None:
    log = _check_log(files, manifest, previous)
    published_views.check_configuration(manifest.configuration, f"{MANIFEST}.configuration")
    excluded = segment.read_excluded(files[EXCLUDED], EXCLUDED, log.frontier.size)
    coverage = manifest.coverage
    labels = label_verification.read_labels(files, manifest, previous, log)
    raw, defended, votes_by_exclusion = log.counted(
        excluded,
        len(manifest.exclusions),
        late_counts=coverage is not None,
        left_out=label_verification.names_left_out(manifest, labels),
    )
    label_verification.check_left_out(manifest, labels, raw)
    _check_coverage(coverage, previous, log.count_late(raw), log.count_readable())
    for place, (exclusion, votes) in enumerate(zip(manifest.exclusions, votes_by_exclusion, strict=True)):
        if exclusion.votes != votes:
            where = f"{MANIFEST}.exclusions[{place}]"
            raise Refuted("exclusion", where, f"expected {exclusion.votes} excluded votes, {EXCLUDED} has {votes}")
    views = ("view raw", manifest.views.raw, raw), ("view defended", manifest.views.defended, defended)
    boards = manifest.boards or {}
    # One after another: a mask takes a byte for each vote, and there may be dozens of boards.
    more = ((f"{_BOARD}{name}", boards[name], defended & labels.selects(name)) for name in sorted(boards))
    _check_boards(files, manifest, log, chain(views, more))


def _check_boards(
    files: BundleFiles, manifest: Manifest, log: VoteLog, views: Iterable[tuple[str, PublishedView, Bool]]
) -> None:
    """Check each of `views` against the vote log.

    An element of `views` is the name of a view or board, its published figures, and a mask of the leaves that count.
    """
    unregistered, paths = manifest.unregistered or (), [one.path for one in manifest.segments]
    stated = interval_verification.read_stated(files, manifest)
    for where, published, counted in views:
        counts = log.counts(counted, [model.model for model in published.unrated])
        if where.startswith(_BOARD):  # it names only the models that it has votes on
            counts = counts.without_empty_models()
        size_limits.require_ratable(count_rated(counts), sum(map(partial(file_size, files), paths)), where)
        tie_only = manifest.coverage is not None
        published_views.check_view(published, counts, manifest.configuration, where, unregistered, tie_only=tie_only)
        if stated is not None and not where.startswith(_BOARD):
            stated.check(where.removeprefix(_VIEW), counts.without_models(unregistered), manifest)


def _check_coverage(coverage: VoteCoverage | None, previous: Manifest | None, late: int, votes: int) -> None:
    """Check the rule for late votes, and the numbers of late and of unchecked votes (`VoteCoverage`).

    Once a manifest has stated the rule, every later manifest must state it too.

    Args:
        coverage: what the manifest states; None if it states nothing.
        previous: the previous manifest; None for the first snapshot.
        late: number of late votes in the log.
        votes: largest possible number of unchecked votes.
    """
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
    """Read all segments and check the roots of the log, now and at the previous manifest.

    A segment is parsed only after its hash was checked.
    """
    log, head = VoteLog(), manifest.vote_log
    older = previous.vote_log if previous is not None else None
    if older is not None and older.size > head.size:
        raise Refuted("rollback", f"{MANIFEST}.vote_log", f"expected at least {older.size} leaves, got {head.size}")
    for file in manifest.segments:
        if file.first != log.frontier.size or not file.size:
            raise Refuted("size", file.path, f"expected a segment that begins with leaf {log.frontier.size}")
        _append_segment(log, file, files, older)
    if log.frontier.size != head.size:
        raise Refuted("size", "votes", f"expected {head.size} leaves, got {log.frontier.size}")
    if log.frontier.root().hex() != head.root:
        raise Refuted("root", "votes", f"expected root {head.root}, the leaves give {log.frontier.root().hex()}")
    if older is not None and older.size == 0:
        _check_older(VoteLog(), older)
    return log


def _append_segment(log: VoteLog, file: SegmentFile, files: BundleFiles, older: VoteLogHead | None) -> None:
    rows, stored_hashes = _read_segment(file, files)
    leaf.check(rows, file.first)
    hashes = leaf_encoding.hashes(rows)
    if hashes != stored_hashes:
        row = segment.first_wrong_row(stored_hashes, hashes)
        raise Refuted("leaf", f"leaf {file.first + row}", "expected the hash of its row")
    cut = older.size - file.first if older is not None else -1
    edges = [0, cut, file.size] if 0 < cut <= file.size else [0, file.size]
    for low, high in pairwise(edges):
        log.extend(
            rows.slice(low, high - low), hashes[low * WIDTH : high * WIDTH], partial(_read_ids, file, files, low, high)
        )
        if older is not None and high == cut:
            _check_older(log, older)


def _read_segment(file: SegmentFile, files: BundleFiles) -> tuple[pa.Table, bytes]:
    """Check the SHA-256 of a segment's file, then parse the file. Return the rows and their stored hashes."""
    data = files[file.path]
    if sha256_hex(data) != file.sha256:
        raise _wrong_digest(file.path, data, file.sha256)
    rows, stored_hashes = segment.read(data, file.path)
    if len(rows) != file.size:
        raise Refuted("size", file.path, f"expected {file.size} leaves, got {len(rows)}")
    return rows, stored_hashes


def _read_ids(file: SegmentFile, files: BundleFiles, low: int, high: int) -> pa.Array:
    """Return the vote ids of the rows `low` to `high` − 1 of a segment. The segment is checked again."""
    return _read_segment(file, files)[0]["vote"].slice(low, high - low).combine_chunks()


def _check_older(log: VoteLog, older: VoteLogHead) -> None:
    found = log.frontier.root().hex()
    if found != older.root:
        raise Refuted("consistency", "votes", f"at {older.size} leaves expected root {older.root}, they give {found}")
