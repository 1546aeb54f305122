"""Defines Pydantic models of responses about correction notices."""

from pydantic import Field

from pipeline.api.documents.base import Document


class NoticeDocument(Document):
    """A correction notice: a dated note that a named person added to a published snapshot."""

    number: int
    sequence: int = Field(description="The snapshot's sequence number.")
    snapshot: str
    text: str
    name: str
    at: str


class NoticeListDocument(Document):
    """A list of correction notices, oldest first."""

    rows: list[NoticeDocument]
