"""Defines Pydantic models of responses about the operators' log."""

from typing import Any

from pydantic import Field

from pipeline.api.documents.base import Document


class OperatorLogEntryDocument(Document):
    """One row of the operators' log: who did what, when and why."""

    number: int
    at: str
    operator: str = Field(description="The token's owner, or the name that a command was given.")
    via: str = Field(description="api, page or cli.")
    origin: str = Field(description="The client's address, or LOGIN@HOST of a command.")
    action: str
    target: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    database_role: str | None = Field(description="The PostgreSQL role that wrote the row.")


class OperatorLogDocument(Document):
    """A page of the operators' log, newest first."""

    rows: list[OperatorLogEntryDocument]
    next: str | None
