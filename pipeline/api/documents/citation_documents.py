"""Defines Pydantic models of the citation of a snapshot, as an item of CSL-JSON."""

from pydantic import Field

from pipeline.api.documents.base import Document


class CitedNameDocument(Document):
    """A name in a citation as one text, which is not split into given name and family name."""

    literal: str


class CitedDateDocument(Document):
    """A date in a citation."""

    parts: list[list[int]] = Field(alias="date-parts", description="Year, month, day.")


class CitationDocument(Document):
    """The citation of a snapshot."""

    id: str
    type: str
    title: str
    author: list[CitedNameDocument]
    issued: CitedDateDocument
    version: str = Field(description="The snapshot's sequence number.")
    note: str = Field(description="The snapshot's SHA-256, and which votes it counts.")
    URL: str | None = Field(None, description="The snapshot's page, if the server knows its own address.")
