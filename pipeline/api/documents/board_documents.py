"""Defines Pydantic models of responses about snapshots, their boards, and the status of the pipeline."""

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.request_params import View

_CLUSTERED = "95% interval that allows for votes of one voter hanging together; null where there is none."
_SEQUENCE = "Interval that holds at all snapshots of the board at once with 95%; null where there is none."
_SURE = "Rank range from comparisons that hold for all models and all snapshots together with 95%."
_GAP = "Rating minus that of the next model: interval that holds at all snapshots at once with 95%."


class CoverageDocument(Document):
    """How many votes of a snapshot were late, and how many were never checked for manipulation.

    A vote is late if its time is before the watermark: the time up to which votes were taken as complete.
    """

    late_rule: str = Field(description="By which rule late votes count.")
    late: int = Field(description="Votes of the raw view that came late.")
    unchecked: int = Field(description="Votes that were never checked for manipulation.")


class SnapshotDocument(Document):
    """A published snapshot. Its name is the SHA-256 of its body in canonical JSON (RFC 8785)."""

    snapshot: str
    sequence: int
    previous: str = Field(description="`digest` of the previous snapshot; 64 zeros for the first.")
    digest: str = Field(description="SHA-256 of its manifest, which is its leaf in the snapshot log.")
    published_at: str
    data_until: str | None = Field(description="When the newest vote in its log was cast.")
    log_size: int = Field(description="Number of leaves of the vote log that it rates.")
    votes_counted: int = Field(description="Votes counted in the defended view.")
    votes_excluded: int
    votes_flagged: int = Field(description="Votes under an open alert that are still counted.")
    coverage: CoverageDocument | None = Field(description="Null for snapshots in which late votes count in raw alone.")
    notes: list[str] = Field(description="Sentences on late votes and on votes that were never checked.")
    views: list[View]
    boards: list[str] = Field(description="Boards by category and language: category/LABEL, language/LABEL.")
    method: str | None = Field(description="Name of its method; null for snapshots that count every vote.")
    left_out: dict[str, int] = Field(description="Rule of the method: votes that it leaves out.")


class SnapshotDetailDocument(SnapshotDocument):
    """A published snapshot with its body, which states everything that the snapshot claims."""

    body: dict[str, Any]


class SnapshotListDocument(Document):
    """A page of snapshots, newest first."""

    rows: list[SnapshotDocument]
    next: str | None


class BoardRowDocument(Document):
    """The row of one model on a board."""

    model: str
    rating: float
    lower: float
    upper: float
    rank: int
    rank_best: int
    rank_worst: int
    votes: int = Field(description="Battles of the model that the view counts, ties included.")
    preliminary: bool = Field(False, description="Whether these are fewer than the method asks for.")
    clustered_lower: float | None = Field(None, description=_CLUSTERED)
    clustered_upper: float | None = Field(None, description=_CLUSTERED)
    clustered_best: int | None = Field(None, description="Best rank that the clustered intervals allow.")
    clustered_worst: int | None = Field(None, description="Worst rank that the clustered intervals allow.")
    sequence_lower: float | None = Field(None, description=_SEQUENCE)
    sequence_upper: float | None = Field(None, description=_SEQUENCE)
    sure_best: int | None = Field(None, description=_SURE)
    sure_worst: int | None = Field(None, description=_SURE)
    gap_lower: float | None = Field(None, description=_GAP)
    gap_upper: float | None = Field(None, description=_GAP)


class BoardDocument(Document):
    """A page of rows from the board of one view, best model first."""

    snapshot: str
    published_at: str
    view: View
    board: str | None = Field(description="The board by category or language; null for a view.")
    rows: list[BoardRowDocument]
    next: str | None


class StandingDocument(Document):
    """The rows of one model in the views raw, defended and style. A row is null if the view does not rate the model."""

    model: str
    raw: BoardRowDocument | None
    defended: BoardRowDocument | None
    style: BoardRowDocument | None


class StandingListDocument(Document):
    """A page of models with their rows in every view, in the order of the defended view."""

    snapshot: str
    rows: list[StandingDocument]
    next: str | None


class StatusDocument(Document):
    """The progress of the pipeline: newest snapshot, votes by fate (accepted, late, …), alerts by state, offsets."""

    appeals: str | None = Field(description="Where voters and providers appeal: a page or a mailbox.")
    snapshot: str | None
    published_at: str | None
    fates: dict[str, int]
    alerts: dict[str, int]
    partitions: list[dict[str, Any]]
