"""Defines manifests: what a snapshot claims, as canonical JSON. A manifest is a leaf of the snapshot log.

A manifest contains the SHA-256 of the previous manifest, so the log has one order. It lists the SHA-256 of every
file of the bundle that no proof or signature covers. Ratings and intervals are rounded to 0.01 point.

Not handled: whether the claims are true (`bundle_verification`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from ..errors import Refuted
from ..ratings.rated_models import UnratedModel
from . import canonical_json
from .canonical_json import Digest
from .manifest_notices import ManifestNotice

SCHEMA = 1
NO_PREVIOUS = Digest("0" * 64)

JsonScalar = str | int | float | bool | None

LATE_COUNT = "late votes count in raw and defended"
"""The value of `late_rule` in `VoteCoverage`."""


@dataclass(frozen=True, slots=True)
class VoteLogHead:
    """The vote log that a snapshot rates, given by its number of leaves and its root."""

    size: int
    root: Digest


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """The file of one seal, which has the leaves [first, first + size)."""

    first: int
    size: int
    sha256: Digest

    @property
    def path(self) -> str:
        """Path of the file in a bundle."""
        return f"votes/{self.first:012d}.parquet"


@dataclass(frozen=True, slots=True)
class ManifestExclusion:
    """An exclusion in the manifest: what is excluded, why and by whom, and how many votes that is."""

    kind: str
    target: str
    reason: str
    name: str
    votes: int


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One row of a published board: the rating, rank and votes of a model.

    Attributes:
        model: name of the model.
        rating: points, rounded to 0.01.
        lower, upper: bounds of the 95% interval of the rating in points, with the mean of all ratings fixed.
        rank, rank_best, rank_worst: the rank, and the range of ranks that the interval allows (`MarginalRanks`).
        votes: number of votes on the model.
    """

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
    """A published board with the figures from which a reader can check it.

    Attributes:
        votes: number of counted votes.
        counts_sha256: digest of the counts of all pairs of models (`published_views.counts_digest`).
        gradient_norm: largest absolute component of the gradient at the published fit, in votes.
        rows: the rated models, by rank.
        unrated: the models without a rating, by name.
    """

    votes: int
    counts_sha256: Digest
    gradient_norm: float
    rows: tuple[BoardRow, ...]
    unrated: tuple[UnratedModel, ...]


@dataclass(frozen=True, slots=True)
class PublishedViews:
    """The published boards of the raw view and of the defended view."""

    raw: PublishedView
    defended: PublishedView


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings that affect ratings or alerts, with the SHA-256 of their canonical JSON."""

    sha256: Digest
    values: Mapping[str, JsonScalar]


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """The version of the code, and the SHA-256 of the lock file of its libraries; "" without a lock file."""

    version: str
    lock_sha256: str


@dataclass(frozen=True, slots=True)
class DataQuality:
    """The result of the checks before publication (quality gate).

    Attributes:
        id: id of the verdict; "" if no checks were made.
        success: whether no critical expectation failed.
    """

    id: str
    success: bool


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that was open when the snapshot was published, as the manifest lists it."""

    id: str
    detector: str
    severity: str


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """States how far a partition of a source was read when the snapshot was made.

    Attributes:
        source: name of the source, such as a topic.
        partition: the source's number of the partition.
        next_offset: the next offset to read.
    """

    source: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class VoteCoverage:
    """States how late votes count, and how many votes are late or unchecked.

    A late vote was read after the pipeline had stopped waiting for votes of its time.

    Attributes:
        late_rule: always LATE_COUNT. A manifest of an earlier version has no VoteCoverage. Under such a manifest, late
            votes count in the raw view only, and a model whose votes are all ties gets its standard error by the
            general formula.
        late: number of late votes in the raw view.
        unchecked: number of votes that no detector evaluated. These votes were read before the first snapshot, and no
            backfill evaluated them. The operator states this number; it does not follow from the log.
    """

    late_rule: str
    late: int
    unchecked: int


@dataclass(frozen=True, slots=True)
class PublishedMethod:
    """The method: the rules by which the defended view, and the boards by category and language, leave votes out.

    Attributes:
        name: name of the method.
        rules: names in `method_rules.RULE_BITS`, in the order of RULE_BITS.
        left_out: rule → number of votes of the raw view that the rule leaves out. A vote that several rules leave out
            counts under the first of them. Labels in the bundle mark these votes. Nobody can check the labels.
    """

    name: str
    rules: tuple[str, ...]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that a snapshot claims. The fields are those of its canonical JSON.

    Attributes:
        schema: version of the format.
        board: the name of the board; its snapshot log is named `board/snapshots`.
        sequence: 1 for the first snapshot.
        previous: SHA-256 of the previous manifest, NO_PREVIOUS for the first.
        at: when the snapshot was made, RFC 3339.
        vote_log: size and root of the vote log.
        segments: the files of the vote log, in order.
        exclusions: the exclusions; `excluded.parquet` refers to their positions.
        configuration: the settings and their digest.
        code: the version of the code.
        quality: the data-quality verdict.
        views: the raw and the defended board.
        alerts: the alerts that were open at publication, sorted by id.
        watermark: how far each source was read.
        keys: the keys that have signed this log, oldest first. The last one signs this manifest; the first manifest of
            a new key is also signed by the key before it.
        witnesses: the keys of witnesses that may sign checkpoints.
        files: path → SHA-256 of every file of the bundle that no proof or signature covers.
        coverage: how late votes count, and numbers of late and unchecked votes; None in manifests of earlier versions.
        unregistered: models that are not in the registry, sorted. No view counts votes on them before they are
            registered. None if there are no such models, and in manifests of earlier versions.
        notices: all correction notices so far, oldest first; None if there are none.
        appeals: address for appeals of voters and providers; None if the operator names no address.
        method: the rules of the defended view; None in manifests of earlier versions, which count every vote.
        boards: "category/LABEL" or "language/LABEL" → the board of the defended votes with that label; None without
            boards.
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
    coverage: VoteCoverage | None = None
    unregistered: tuple[str, ...] | None = None
    notices: tuple[ManifestNotice, ...] | None = None
    appeals: str | None = None
    method: PublishedMethod | None = None
    boards: Mapping[str, PublishedView] | None = None

    @property
    def origin(self) -> str:
        """Name of the board's snapshot log, as its checkpoints state it."""
        return f"{self.board}/snapshots"

    @property
    def votes_origin(self) -> str:
        """Name of the board's vote log, as its checkpoints state it."""
        return f"{self.board}/votes"

    def dump(self) -> bytes:
        """Return the manifest as canonical JSON, the bytes of its leaf in the snapshot log."""
        return canonical_json.dump(self)


def load(data: bytes, where: str = "manifest.json") -> Manifest:
    """Parse a manifest from its bytes.

    Args:
        data: the bytes of a manifest.
        where: name of the file, for messages.

    Raises:
        Refuted: reason `limit` or `canonical`: the data has too many values, or is not canonical JSON. Reason `fields`:
            a field is missing or wrong. Reason `schema`: the version is unknown. Reason `previous`: the field
            `previous` does not fit the sequence number. Reason `late_rule`: the rule of late votes is unknown.
    """
    found = canonical_json.load(Manifest, data, where)
    if found.schema != SCHEMA:
        raise Refuted("schema", where, f"expected schema {SCHEMA}, got {found.schema}")
    if found.sequence < 1:
        raise Refuted("fields", f"{where}.sequence", "expected a number from 1")
    if (found.previous == NO_PREVIOUS) != (found.sequence == 1):
        raise Refuted("previous", where, "expected a previous manifest, unless it is the first")
    if found.coverage is not None and found.coverage.late_rule != LATE_COUNT:
        raise Refuted("late_rule", f"{where}.coverage", f"expected {LATE_COUNT!r}, got {found.coverage.late_rule!r}")
    return found


def sha256_hex(data: bytes) -> Digest:
    """Return the SHA-256 of some bytes as 64 lower-case hexadecimal digits."""
    return Digest(sha256(data).hexdigest())
