"""Defines Pydantic models of responses about models, their history over snapshots, and providers."""

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.documents.board_documents import BoardRowDocument
from pipeline.api.request_params import View


class HistoryPointDocument(Document):
    """The row of a model in one snapshot, with the model's share of all battles."""

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
    share: float = Field(description="The model's battles divided by all battles of the view.")


class HistoryDocument(Document):
    """The rows of a model in one view of every snapshot, oldest first."""

    model: str
    view: View
    rows: list[HistoryPointDocument]


class ModelDocument(Document):
    """A model: its entry in the registry, and its rows in the views of the newest snapshot."""

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
    names: list[str] = Field(description="Later names; votes for them count as its votes.")
    snapshot: str | None
    raw: BoardRowDocument | None
    defended: BoardRowDocument | None
    style: BoardRowDocument | None
    unrated: str | None = Field(description="Why it is not rated.")


class BattleRecordDocument(Document):
    """The battles between two models in the defended view: how many, and the outcomes for the first model."""

    model: str
    opponent: str
    votes: int = Field(description="Battles of the two, ties included.")
    wins: int
    losses: int
    ties: int = Field(description="Also votes that both answers are bad.")
    score: float = Field(description="(wins + half of the ties) / votes.")
    expected: float = Field(description="The score that the two ratings predict.")


class BattleListDocument(Document):
    """A page of battles in the newest snapshot, one row for each pair of models.

    The rows are about the pairs of the best models, or about one model and each of its opponents. The rows are sorted
    by rank. If they are about one model, `model` is this model in every row.
    """

    snapshot: str
    rows: list[BattleRecordDocument]
    next: str | None


class ModelListDocument(Document):
    """A page of models, sorted by name."""

    rows: list[ModelDocument]
    next: str | None
    under_test: int = Field(0, description="Number of models under test, which are listed after their release.")


class ProviderFactDocument(Document):
    """One figure about a provider or about one of its models, with its source."""

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


class ProviderDocument(Document):
    """Facts and findings about a provider, from the registry, the votes and the snapshots."""

    provider: str
    as_of: str
    sources: dict[str, str]
    facts: list[ProviderFactDocument]
    findings: list[dict[str, Any]] = Field(description="Findings of the audits about it or its models.")
    facts_under_test: int = Field(0, description="Number of facts about models under test, which are left out.")
