"""Models and providers: what is known of them, and where they stood."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.documents.boards import Row
from pipeline.api.request_params import View


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
