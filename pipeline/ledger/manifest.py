"""The manifest of a snapshot: the leaf of the snapshot log, canonical JSON, everything that a snapshot claims.

Laws: a manifest names the one before it by SHA-256, so that a log of manifests has one order; every file of a bundle
that is no proof is named here by its SHA-256; ratings and intervals are rounded to 0.01 point.

Not handled: whether the claims are true (`verify`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from ..errors import Refuted
from ..ratings.rated_models import UnratedModel
from . import canonical_json
from .canonical_json import Digest

SCHEMA = 1
NO_PREVIOUS = Digest("0" * 64)

JsonScalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class VoteLogHead:
    """The vote log as the snapshot rates it."""

    size: int
    root: Digest


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """The file of one seal: leaves [first, first + size)."""

    first: int
    size: int
    sha256: Digest

    @property
    def path(self) -> str:
        """Where a bundle has it."""
        return f"votes/{self.first:012d}.parquet"


@dataclass(frozen=True, slots=True)
class ManifestExclusion:
    """Votes that the defended view does not count, why, and in whose name."""

    kind: str
    target: str
    reason: str
    name: str
    votes: int


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A model's line of a board; points are rounded to 0.01, intervals are in the mean-zero gauge."""

    model: str
    rating: float
    lower: float
    upper: float
    rank: int
    rank_best: int
    rank_worst: int
    votes: int


@dataclass(frozen=True, slots=True)
class PublishedView:
    """A board.

    Attributes:
        votes: votes counted.
        counts_sha256: of the exact counts (`views.counts_digest`).
        gradient_norm: of the fit, in votes.
        rows: by rank.
        unrated: by name.
    """

    votes: int
    counts_sha256: Digest
    gradient_norm: float
    rows: tuple[BoardRow, ...]
    unrated: tuple[UnratedModel, ...]


@dataclass(frozen=True, slots=True)
class PublishedViews:
    """Both boards, always side by side."""

    raw: PublishedView
    defended: PublishedView


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings that can change a rating or an alert, and SHA-256 of their canonical JSON."""

    sha256: Digest
    values: Mapping[str, JsonScalar]


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """What computed it: the version, and SHA-256 of the file that pins every library ("" where there is none)."""

    version: str
    lock_sha256: str


@dataclass(frozen=True, slots=True)
class DataQuality:
    """The verdict of the data-quality gate that let the votes through ("" where none was asked)."""

    id: str
    success: bool


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that was open at publication."""

    id: str
    detector: str
    severity: str


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """How far a source had been read: the next offset."""

    source: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot claims.

    Attributes:
        schema: of this record.
        board: the name of the board; its snapshot log is called `board/snapshots`.
        sequence: 1 for the first snapshot.
        previous: SHA-256 of the manifest before it, NO_PREVIOUS for the first.
        at: when it was made, RFC 3339.
        vote_log: size and root.
        segments: the files of the vote log, in order.
        exclusions: in the order that `excluded.parquet` refers to.
        configuration: settings.
        code: what computed it.
        quality: the data-quality verdict.
        views: the boards.
        alerts: open alerts, by id.
        watermark: how far each source was read.
        keys: the keys that have signed this log, oldest first; the last one signs this manifest, and a new one signs
            its first together with the one before it.
        witnesses: the keys of witnesses whose signatures may stand under a checkpoint.
        files: every other file of a bundle, by path.
    """

    schema: int
    board: str
    sequence: int
    previous: Digest
    at: str
    vote_log: VoteLogHead
    segments: tuple[SegmentFile, ...]
    exclusions: tuple[ManifestExclusion, ...]
    configuration: Configuration
    code: CodeVersion
    quality: DataQuality
    views: PublishedViews
    alerts: tuple[OpenAlert, ...]
    watermark: tuple[SourcePosition, ...]
    keys: tuple[str, ...]
    witnesses: tuple[str, ...]
    files: Mapping[str, Digest]

    @property
    def origin(self) -> str:
        """The name of the log whose leaf it is."""
        return f"{self.board}/snapshots"

    @property
    def votes_origin(self) -> str:
        """The name of the vote log."""
        return f"{self.board}/votes"

    def dump(self) -> bytes:
        """Its bytes: the leaf."""
        return canonical_json.dump(self)


def load(data: bytes, where: str = "manifest.json") -> Manifest:
    """Read a manifest from its bytes.

    Raises:
        Refuted: reason `canonical`, `fields` or `schema`.
    """
    found = canonical_json.load(Manifest, data, where)
    if found.schema != SCHEMA:
        raise Refuted("schema", where, f"expected schema {SCHEMA}, got {found.schema}")
    if found.sequence < 1:
        raise Refuted("fields", f"{where}.sequence", "expected a number from 1")
    if (found.previous == NO_PREVIOUS) != (found.sequence == 1):
        raise Refuted("previous", where, "expected a manifest before it where, and only where, it is not the first")
    return found


def sha256_hex(data: bytes) -> Digest:
    """SHA-256 as a manifest writes it."""
    return Digest(sha256(data).hexdigest())
