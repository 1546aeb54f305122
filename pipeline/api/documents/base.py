"""What every answer is, and what an error is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """The base: nothing is there that is not described."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] = []
