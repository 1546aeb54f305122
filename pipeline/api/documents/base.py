"""Defines the base class of the Pydantic models of requests and responses, and the model of an error response."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """The base class of models of JSON bodies: requests and responses of the API. Unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ProblemDocument(BaseModel):
    """The response about an error: problem details as in RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] = []
