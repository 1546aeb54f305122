"""The base class of all documents, and the document of an error."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """The base class of models of JSON bodies: requests and responses of the API. Unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ProblemDocument(BaseModel):
    """An error (problem details, RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] = []
