"""The base class of all documents, and the document of an error."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """The base class of all documents. A document has no fields other than those of its class."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ProblemDocument(BaseModel):
    """An error (problem details, RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] = []
