"""Defines Pydantic models of responses about alerts and exclusions."""

from typing import Any, Literal

from pydantic import BaseModel

from pipeline.api.documents.base import Document


class SubjectDocument(Document):
    """The voter, model, provider, network or board that an alert is about."""

    kind: Literal["voter", "model", "provider", "network", "board"]
    id: str


class AlertDocument(BaseModel):
    """An alert: a detector's statement about a subject, with evidence.

    If a single vote opened the alert, it also has the vote's `partition` and `offset`. If the vote counts of
    five-minute windows opened the alert, it has the times `window` and `until` instead.
    """

    id: str
    detector: str
    severity: Literal["warning", "critical"]
    subject: SubjectDocument
    direction: str
    state: Literal["open", "acknowledged", "snoozed", "appealed", "resolved"]
    opened_at: str
    e_value: float | None
    evidence: dict[str, Any]


class AlertListDocument(Document):
    """A page of alerts, newest first."""

    rows: list[AlertDocument]
    next: str | None


class AlertDetailDocument(AlertDocument):
    """An alert with the newest votes of its subject, and with the history of its states."""

    votes: list[dict[str, Any]]
    history: list[dict[str, Any]]


class ExclusionDocument(Document):
    """An entry of the list of exclusions, which excludes votes from the defended view or restores excluded votes."""

    number: int
    action: Literal["exclude", "restore"]
    kind: Literal["voter", "vote", "votes"]
    target: str
    reason: str
    name: str
    at: str
    alert: str | None


class ExclusionListDocument(Document):
    """A page of the list of exclusions, newest first."""

    rows: list[ExclusionDocument]
    next: str | None
