"""What moved between two snapshots, and why."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.documents.boards import Row, Snapshot
from pipeline.api.request_params import View


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
