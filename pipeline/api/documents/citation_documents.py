"""Defines Pydantic models of the citation of a snapshot, which is a CSL-JSON item."""

from pydantic import Field

from pipeline.api.documents.base import Document


class CitedNameDocument(Document):
    """A name in a CSL-JSON citation, as one text that is not split into given name and family name."""

    literal: str


class CitedDateDocument(Document):
    """A date in a CSL-JSON citation, as numbers for year, month and day."""

    parts: list[list[int]] = Field(alias="date-parts", description="Year, month, day.")


class CitationDocument(Document):
    """The citation of a snapshot as a CSL-JSON item."""

    id: str
    type: str
    title: str
    author: list[CitedNameDocument]
    issued: CitedDateDocument
    version: str = Field(description="The snapshot's sequence number.")
    note: str = Field(description="The snapshot's SHA-256, and which votes it counts.")
    URL: str | None = Field(None, description="The snapshot's page, if the server knows its own address.")
