"""Defines Pydantic models of responses about incidents."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from pipeline.api.documents.base import Document

State = Literal["open", "acknowledged", "snoozed", "appealed", "resolved"]


class ClaimDocument(Document):
    """What an incident claims: its subject, and what happened to it, for example that a model was lifted.

    The subject is a model, a provider, a network or the board. For a statement about one way of voting, `kind` is
    habit; for a statement of another kind, `kind` is fact.
    """

    kind: Literal["model", "provider", "habit", "network", "board", "fact"]
    name: str = Field(description="For the public, a network has no name, and neither has a model under test.")
    effect: str


class RankDocument(Document):
    """The ranks of the model that an incident is about: in the newest snapshot, and before and after the incident."""

    raw: int
    defended: int
    before: int | None = Field(description="Counting all votes, in the last snapshot from before; null if unknown.")
    after: int | None = Field(description="Counting all votes, in the first snapshot after it, else in the newest.")


class SuspectedDocument(Document):
    """The suspected accounts of an incident. They vote on its target as the accounts of its alerts do."""

    accounts: int | None = Field(description="Null for the public.")
    votes: int | None = Field(description="Null for the public.")
    accounts_left_out: int | None = Field(description="Excluded by people. Null for the public if it is below five.")
    votes_left_out: int


class IncidentDocument(BaseModel):
    """An incident: a group of alerts with one explanation, such as "this model is promoted".

    The response to a token with the scope `alerts` or `exclusions` also has `first` and `last` (exact times), `voters`
    (pseudonyms), `suspects` (pseudonyms with e-values), `networks` and `former_ids`.
    """

    id: str
    headline: str
    confidence: str
    severity: Literal["critical", "warning", "note"]
    state: State
    about: list[ClaimDocument]
    named: list[str] = Field(description="Models and providers that it or one of its alerts names.")
    what: str = Field(description="The statement of a fact; else empty.")
    opened_at: str = Field(description="A whole hour, as are the other times.")
    begun_at: str
    last_at: str
    e_value: float | None = Field(description="The largest of its alerts; null for a fact.")
    alerts: int
    alert_ids: list[str] = Field(description="For the public, without alerts about voters.")
    detectors: dict[str, int]
    accounts: int | None = Field(description="Null for the public if it is below five.")
    accounts_left_out: int | None
    votes: int
    votes_left_out: int = Field(description="Without votes of suspected accounts.")
    suspected: SuspectedDocument
    excluded_by: list[str]
    awaits_refresh: bool = Field(description="Whether some of it is left out only from the next refresh on.")
    rank: RankDocument | None


class IncidentListDocument(Document):
    """A page of incidents, newest first."""

    rows: list[IncidentDocument]
    next: str | None
    current: bool = Field(description="Whether all alerts are grouped; the monitor groups them once a minute.")


class IncidentDetailDocument(IncidentDocument):
    """An incident with its alerts and with the decisions of people about it.

    The response to a token with the scope `alerts` or `exclusions` also has `account_rows`: the accounts with their
    alerts, votes, times and exclusions; and `suspect_rows`: the same of the suspected accounts, with e-values.
    """

    evidence: list[dict[str, Any]] = Field(description="Its alerts, the earliest first; the address has the votes.")
    history: list[dict[str, Any]]
