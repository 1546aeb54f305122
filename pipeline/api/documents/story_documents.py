"""Defines Pydantic models of the story about private variants, claims and removals."""

from pydantic import Field

from pipeline.api.documents.base import Document


class StorySentenceDocument(Document):
    """A sentence with its figure, its time and its proof."""

    text: str
    figure: float = Field(description="The figure that the sentence states.")
    unit: str
    since: str | None = Field(description="When the first of its registry events took effect; null without events.")
    until: str | None
    provider: str | None
    model: str | None
    p_value: float | None = Field(description="Of the test behind the sentence; null for a count.")
    events: list[int] = Field(description="Numbers of the registry events from which the figure follows.")
    snapshots: list[str] = Field(description="Snapshots from which the figure follows.")
    alert: str | None = Field(description="The alert about the same finding.")


class StoryCheckDocument(Document):
    """A question about private variants, claims or removals, with the sentences that answer it."""

    check: str
    question: str
    examined: int
    unit: str = Field(description="What was examined.")
    nothing: str = Field(description="The answer if no sentence and no finding under test is listed.")
    sentences: list[StorySentenceDocument]
    under_test: int = Field(description="Sentences about models under test, which are told after the release.")


class StoryVerdictDocument(Document):
    """The verdict on one rule of the board's policy. `passed` is null if the rule cannot be evaluated."""

    rule: str
    passed: bool | None
    what: str


class StoryEventDocument(Document):
    """A registry event on which a sentence is based.

    For an event about a model under test, the id, the model and the SHA-256 are null.
    """

    number: int = Field(description="Its place in the order of arrival.")
    type: str
    at: str
    event_id: str | None
    model: str | None
    sha256: str | None = Field(description="Of the record as it arrived.")


class StoryDocument(Document):
    """What was found about private variants, claims, withdrawn scores and removals over the whole registry."""

    snapshot: str
    sequence: int
    events: int = Field(description="Number of the newest registry event that it covers.")
    since: str | None = Field(description="The first registry event; null if the registry names no provider.")
    as_of: str | None = Field(description="The newest registry event or vote.")
    address: str = Field(description="The permanent address of its page.")
    found: int = Field(description="Number of checks that found something.")
    checks: list[StoryCheckDocument]
    policy: list[StoryVerdictDocument]
    registry: list[StoryEventDocument] = Field(description="The registry events that sentences name.")
    bibtex: str
