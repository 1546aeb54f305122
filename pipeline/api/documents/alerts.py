"""Alerts, and the dated list of what does not count."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from pipeline.api.documents.base import Document


class Subject(Document):
    """Whom an alert is about."""

    kind: Literal["voter", "model", "provider", "network", "board"]
    id: str


class Alert(BaseModel):
    """An alert. `partition` and `offset` name the vote at which it opened; of a window `window` and `until`."""

    id: str
    detector: str
    severity: Literal["warning", "critical"]
    subject: Subject
    direction: str
    state: Literal["open", "acknowledged", "snoozed", "appealed", "resolved"]
    opened_at: str
    e_value: float | None
    evidence: dict[str, Any]


class Alerts(Document):
    """A page of alerts, newest first."""

    rows: list[Alert]
    next: str | None


class AlertWhole(Alert):
    """An alert with its votes and what became of it."""

    votes: list[dict[str, Any]]
    history: list[dict[str, Any]]


class Exclusion(Document):
    """An entry of the dated list: what does not count in the defended view from then on, or counts again."""

    number: int
    action: Literal["exclude", "restore"]
    kind: Literal["voter", "vote", "votes"]
    target: str
    reason: str
    name: str
    at: str
    alert: str | None


class Exclusions(Document):
    """A page of the list, newest first."""

    rows: list[Exclusion]
    next: str | None
