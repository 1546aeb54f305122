"""Snapshots and their boards, and how far everything is."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.request_params import View


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


class Status(Document):
    """How far everything is."""

    snapshot: str | None
    published_at: str | None
    fates: dict[str, int]
    alerts: dict[str, int]
    partitions: list[dict[str, Any]]
