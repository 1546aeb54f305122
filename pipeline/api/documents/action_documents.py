"""Defines Pydantic models of the requests by which operators decide about alerts and votes, and of the responses."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.api.documents.base import Document
from pipeline.api.request_params import TEXT_PATTERN

_MAX_HOURS = 24.0 * 366
# One line with at least one visible character, which is what `str.strip` would keep.
_VISIBLE = r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f\u3000]"
_LINE = r"[^\x00-\x1f\x7f\x85\u2028\u2029]*"
_TARGET = "A voter's pseudonym, a vote's id, or from=TIME,to=TIME[,model=…][,cohort=…][,network=…][,prompt=…]."

Reason = Annotated[str, Field(min_length=1, max_length=2_000, pattern=f"^{_LINE}{_VISIBLE}{_LINE}$")]
Hours = Annotated[float, Field(gt=0, le=_MAX_HOURS, description="Length of a snooze; default: until somebody acts.")]
Target = Annotated[str, Field(min_length=1, max_length=1_000, pattern=TEXT_PATTERN, description=_TARGET)]


class ReasonRequest(Document):
    """The body of a request that states the reason for a decision."""

    reason: Reason


class AlertActionRequest(ReasonRequest):
    """The body of a request to act on an alert: the reason, and the duration in hours of a snooze."""

    hours: Hours | None = None


class ExclusionRequest(ReasonRequest):
    """The body of a request to exclude votes from the defended view, or to restore excluded votes."""

    action: Literal["exclude", "restore"]
    kind: Literal["voter", "vote", "votes"]
    target: Target


class NoticeRequest(Document):
    """The body of a request to add a correction notice: the text of the notice."""

    text: Reason


class NextRefreshDocument(Document):
    """How many votes a decision moves into and out of the defended view at the next refresh.

    `votes_in` is the number of votes that the next refresh will count again because of the decision. `votes_out` is the
    number of votes that it will no longer count.
    """

    votes_in: int
    votes_out: int


class AlertActionDocument(Document):
    """The response to an action on an alert.

    `state` is the state of the alert after the action. `next_refresh` has the numbers of votes that the next refresh
    will count again, and no longer count, because of the action. `done` is a sentence that says what was done.
    """

    alert: str
    state: str
    next_refresh: NextRefreshDocument
    done: str


class IncidentActionDocument(Document):
    """The response to a decision about an incident. Fields that the action does not have are null.

    `alerts` is the number of alerts whose state changed. `targets` is the number of voters whose votes were excluded or
    restored, plus the number of other sets of votes.
    """

    incident: str
    state: str | None
    alerts: int | None
    targets: int | None
    next_refresh: NextRefreshDocument | None
    done: str


class TokenDocument(Document):
    """A token of an operator: the name of its owner, and its scopes."""

    name: str
    scopes: list[str]


class ExclusionActionDocument(Document):
    """The response to a decision that excluded votes or restored excluded votes.

    `kind` and `target` are those of the first exclusion that was added or undone. `name` is the operator's name.
    `next_refresh` has the numbers of votes that the next refresh will count again, and no longer count, because of the
    decision. `done` is a sentence that says what was done.
    """

    action: str
    kind: str
    target: str
    name: str
    reason: str
    next_refresh: NextRefreshDocument
    done: str
