"""Defines Pydantic models of the response about the moves of models between two snapshots."""

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.documents.board_documents import BoardRowDocument, SnapshotDocument
from pipeline.api.request_params import View


class NewBattlesDocument(Document):
    """Those battles of a model that the newer of two snapshots counts and the older does not count."""

    votes: int
    wins: int
    losses: int
    score: float | None = Field(description="Wins plus half of the ties, as a share of the battles.")
    expected: float | None = Field(description="The score that the older board predicts.")


class MovePointsDocument(Document):
    """The rating change of a model in points, split by cause. A value is null if the change cannot be attributed."""

    settings: float | None
    method: float | None = Field(description="By rules of the method that were turned on or off.")
    exclusions: float | None
    votes: float | None


class MoveDocument(Document):
    """How one model moved between two snapshots.

    `before` is null if the older snapshot lacks the model, and `after` is null if the newer snapshot lacks the model.
    """

    model: str
    places: int | None = Field(description="Places won (+) or lost (−); null for a model on one board only.")
    rating: float | None = Field(description="Points won or lost.")
    reason: str
    points: MovePointsDocument
    rules: dict[str, float | None] = Field(description="The points of `method` by rule.")
    battles: NewBattlesDocument
    passed: list[str]
    passed_by: list[str]
    before: BoardRowDocument | None
    after: BoardRowDocument | None


class DiffExclusionDocument(Document):
    """An exclusion that only one of the two snapshots has."""

    kind: str
    target: str
    reason: str
    name: str


class SettingChangeDocument(Document):
    """A setting whose value differs between the two snapshots."""

    name: str
    before: Any
    after: Any


class DiffDocument(Document):
    """All moves of models between two snapshots, with their reasons, the largest rise first."""

    before: SnapshotDocument
    after: SnapshotDocument
    view: View
    board: str | None = Field(None, description="The board by category or language; null for a view.")
    votes: int = Field(description="New votes that the view counts.")
    excluded: list[DiffExclusionDocument]
    restored: list[DiffExclusionDocument]
    settings: list[SettingChangeDocument]
    rules_on: list[str] = Field(description="Rules of the newer method alone, which leave votes out.")
    rules_off: list[str] = Field(description="Rules of the older method alone.")
    untold: str = Field(description="Why some points cannot be attributed; empty if all are.")
    rows: list[MoveDocument]
