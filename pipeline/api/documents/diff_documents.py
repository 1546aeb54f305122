"""Moves between two snapshots, and their reasons."""

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.documents.board_documents import BoardRowDocument, SnapshotDocument
from pipeline.api.request_params import View


class NewBattlesDocument(Document):
    """A model's new battles."""

    votes: int
    wins: int
    losses: int
    score: float | None = Field(description="Wins plus half of the ties, as a share of the battles.")
    expected: float | None = Field(description="The score that the older board predicts.")


class MovePointsDocument(Document):
    """Rating points by cause; null where they cannot be attributed."""

    settings: float | None
    exclusions: float | None
    votes: float | None


class MoveDocument(Document):
    """A model on both boards, or on one of them."""

    model: str
    places: int | None = Field(description="Places won (+) or lost (−); null for a model on one board only.")
    rating: float | None = Field(description="Points won or lost.")
    reason: str
    points: MovePointsDocument
    battles: NewBattlesDocument
    passed: list[str]
    passed_by: list[str]
    before: BoardRowDocument | None
    after: BoardRowDocument | None


class DiffExclusionDocument(Document):
    """An exclusion that one of the snapshots has and the other has not."""

    kind: str
    target: str
    reason: str
    name: str


class SettingChangeDocument(Document):
    """A setting that differs between the snapshots."""

    name: str
    before: Any
    after: Any


class DiffDocument(Document):
    """Moves between two snapshots and their reasons; the biggest rise first."""

    before: SnapshotDocument
    after: SnapshotDocument
    view: View
    votes: int = Field(description="New votes that the view counts.")
    excluded: list[DiffExclusionDocument]
    restored: list[DiffExclusionDocument]
    settings: list[SettingChangeDocument]
    untold: str = Field(description="Why some points cannot be attributed; empty if all are.")
    rows: list[MoveDocument]
