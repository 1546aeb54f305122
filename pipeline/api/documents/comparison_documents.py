"""Defines Pydantic models of the comparison of two models."""

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.documents.board_documents import BoardRowDocument


class ComparedModelDocument(Document):
    """One of two compared models, with its rows in the newest snapshot."""

    model: str
    provider: str | None
    unrated: str | None = Field(description="Why it is not rated.")
    raw: BoardRowDocument | None
    defended: BoardRowDocument | None
    style: BoardRowDocument | None


class BattlesDocument(Document):
    """The battles between two models in one view, counted by outcome."""

    votes: int
    won_a: int
    won_b: int
    ties: int
    both_bad: int
    score_a: float | None = Field(description="Share that `a` won, ties and both_bad as half; null without votes.")


class PairBattlesDocument(Document):
    """The battles between two models, counted by outcome in the raw and in the defended view."""

    raw: BattlesDocument
    defended: BattlesDocument


class DifferenceDocument(Document):
    """The defended rating of model `a` minus the defended rating of model `b`, in points, with a 95% interval."""

    points: float
    error: float = Field(description="Standard error.")
    lower: float
    upper: float
    clustered: bool = Field(description="Whether the error allows for votes of one voter hanging together.")
    separated: bool = Field(description="Whether the interval does not contain 0.")
    votes_factor: float | None = Field(
        description="By which factor the votes would have to grow to separate the models; null if they are separated."
    )


class ExpectedScoreDocument(Document):
    """The share of battles that model `a` is expected to win against model `b`, with a 95% interval.

    A tie counts as half a win.
    """

    score_a: float
    error: float = Field(description="Standard error.")
    lower: float
    upper: float


class ComparedBoardDocument(Document):
    """The ratings of two models on a board by category or language, and their difference."""

    board: str
    rating_a: float
    rating_b: float
    points: float = Field(description="Rating of `a` minus that of `b`.")
    apart: bool = Field(description="Whether the intervals of the two models do not overlap.")


class ComparisonDocument(Document):
    """The comparison of two models in the newest snapshot."""

    snapshot: str
    a: ComparedModelDocument
    b: ComparedModelDocument
    battles: PairBattlesDocument
    difference: DifferenceDocument | None = Field(description="Null if one of them has no defended rating.")
    expected: ExpectedScoreDocument | None
    boards: list[ComparedBoardDocument] = Field(description="Those that list both, the furthest lead of `b` first.")
    sentences: list[str] = Field(description="What the figures say.")
