"""What the answers look like: the models of OpenAPI.

Answers are written by hand (`tables.as_json`) and only described here; a property test holds them against it.
Times are RFC 3339 in UTC. Ratings are points, rounded to 0.01; intervals cover 95%, in the mean-zero gauge.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.api.asking import View


class Document(BaseModel):
    """The base: nothing is there that is not described."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] = []


class Snapshot(Document):
    """A published snapshot. Its name is the SHA-256 of its body in the canonical form of RFC 8785."""

    snapshot: str
    sequence: int
    previous: str = Field(description="`digest` of the snapshot before it, 64 zeros for the first.")
    digest: str = Field(description="SHA-256 of its manifest, the leaf of the snapshot log.")
    published_at: str
    data_until: str | None = Field(description="When the newest vote of its log was cast.")
    log_size: int = Field(description="Leaves of the vote log that it rates.")
    votes_counted: int = Field(description="Of the defended view.")
    votes_excluded: int
    votes_flagged: int = Field(description="Counted, though an alert speaks of them.")
    views: list[View]


class SnapshotBody(Snapshot):
    """A snapshot with its body."""

    body: dict[str, Any]


class Snapshots(Document):
    """A page of snapshots, newest first."""

    rows: list[Snapshot]
    next: str | None


class Row(Document):
    """A model on a board."""

    model: str
    rating: float
    lower: float
    upper: float
    rank: int
    rank_best: int
    rank_worst: int
    votes: int = Field(description="Battles of the model that the view counts, ties included.")


class Board(Document):
    """A page of a view, best first."""

    snapshot: str
    view: View
    rows: list[Row]
    next: str | None


class Standing(Document):
    """A model in every view; None where it is not rated."""

    model: str
    raw: Row | None
    defended: Row | None
    style: Row | None


class Standings(Document):
    """A page of all views side by side, in the order of the defended one."""

    snapshot: str
    rows: list[Standing]
    next: str | None


class Subject(Document):
    """Whom an alert is about."""

    kind: Literal["voter", "model", "provider", "network", "board"]
    id: str


class Alert(BaseModel):
    """An alert. `partition` and `offset` name the vote at which it opened; of a window `window` and `until`."""

    id: str
    detector: str
    severity: Literal["warning", "critical"]
    subject: Subject
    direction: str
    state: Literal["open", "acknowledged", "snoozed", "appealed", "resolved"]
    opened_at: str
    e_value: float | None
    evidence: dict[str, Any]


class Alerts(Document):
    """A page of alerts, newest first."""

    rows: list[Alert]
    next: str | None


class AlertWhole(Alert):
    """An alert with its votes and what became of it."""

    votes: list[dict[str, Any]]
    history: list[dict[str, Any]]


class Exclusion(Document):
    """An entry of the dated list: what does not count in the defended view from then on, or counts again."""

    number: int
    action: Literal["exclude", "restore"]
    kind: Literal["voter", "vote", "votes"]
    target: str
    reason: str
    name: str
    at: str
    alert: str | None


class Exclusions(Document):
    """A page of the list, newest first."""

    rows: list[Exclusion]
    next: str | None


class Standpoint(Document):
    """A model in one snapshot."""

    sequence: int
    snapshot: str
    published_at: str
    data_until: str | None
    rating: float
    lower: float
    upper: float
    rank: int
    rank_best: int
    rank_worst: int
    votes: int
    share: float = Field(description="The model's battles among all battles of the view.")


class History(Document):
    """A model in every snapshot, oldest first."""

    model: str
    view: View
    rows: list[Standpoint]


class Model(Document):
    """What is known of a model; its places are those of the newest snapshot."""

    model: str
    provider: str | None
    family: str | None
    visibility: str | None
    license: str | None
    submitted_at: str | None
    released_at: str | None
    released_as: str | None
    variants_tested: int | None
    deprecated_at: str | None
    retracted_at: str | None
    names: list[str] = Field(description="Later names; votes for them are its votes.")
    snapshot: str | None
    raw: Row | None
    defended: Row | None
    style: Row | None
    unrated: str | None = Field(description="Why it is not rated.")


class Models(Document):
    """A page of models, by name."""

    rows: list[Model]
    next: str | None


class Fact(Document):
    """One figure about a provider or one of its models."""

    about: str
    fact: str
    value: float | int | None
    unit: str
    definition: str
    source: str = Field(description="A name in `sources`.")
    uncertainty: str
    lower: float | None
    upper: float | None
    detail: list[str]


class Provider(Document):
    """All that registry, votes and snapshots say of a provider."""

    provider: str
    as_of: str
    sources: dict[str, str]
    facts: list[Fact]
    findings: list[dict[str, Any]] = Field(description="What the audits found about it or its models.")


class Battles(Document):
    """What a model did in the battles that are new."""

    votes: int
    wins: int
    losses: int
    score: float | None = Field(description="Wins and half of the ties, as a share.")
    expected: float | None = Field(description="The score that the older board expected.")


class Points(Document):
    """What moved a rating; None where it cannot be told."""

    settings: float | None
    exclusions: float | None
    votes: float | None


class Move(Document):
    """A model on both boards."""

    model: str
    places: int | None = Field(description="Won (+) or lost (−); None for a model on one board only.")
    rating: float | None = Field(description="Points won or lost.")
    reason: str
    points: Points
    battles: Battles
    passed: list[str]
    passed_by: list[str]
    before: Row | None
    after: Row | None


class Entry(Document):
    """An exclusion in a snapshot."""

    kind: str
    target: str
    reason: str
    name: str


class Changed(Document):
    """A setting that differs."""

    name: str
    before: Any
    after: Any


class Diff(Document):
    """What moved between two snapshots, and why; the biggest rise first."""

    before: Snapshot
    after: Snapshot
    view: View
    votes: int = Field(description="New votes that the view counts.")
    excluded: list[Entry]
    restored: list[Entry]
    settings: list[Changed]
    untold: str = Field(description="Why some points are not told; empty where all are.")
    rows: list[Move]


class Status(Document):
    """How far everything is."""

    snapshot: str | None
    published_at: str | None
    fates: dict[str, int]
    alerts: dict[str, int]
    partitions: list[dict[str, Any]]


class Keys(Document):
    """Verifier keys (C2SP signed-note) of the snapshot log, oldest first."""

    keys: list[str]


class SnapshotProof(Document):
    """That a manifest is a leaf of the snapshot log; `path` is hexadecimal, the lowest first."""

    sequence: int
    leaf: int
    size: int
    path: list[str]
    manifest_sha256: str
    checkpoint: str


class Growth(Document):
    """A consistency proof (RFC 9162, 2.1.4); `path` is hexadecimal."""

    log: str
    old: int
    new: int
    path: list[str]


class VoteProof(Document):
    """That a vote is a leaf of the vote log."""

    leaf: int
    size: int
    path: list[str]
    tiles_read: int


class Receipt(Document):
    """A vote's leaf, the proof that the log holds it, and whether it counts."""

    vote: str
    leaf: int
    entry: str = Field(description="The leaf: canonical JSON.")
    size: int
    path: list[str]
    checkpoint: str = Field(description="The signed head of the vote log.")
    snapshot: str = Field(description="SHA-256 of the manifest of the snapshot that rates this log.")
    raw: bool = Field(description="It counts in the raw view.")
    defended: bool
    reason: str = Field(description="Why it does not count; empty where it does.")
    tiles_read: int
