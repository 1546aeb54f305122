"""What changes something: behind tokens.

Laws: a decision carries the name of the token's owner and a reason, and is written down with both; a token decides only
what its scopes allow; without one, or with one that no longer holds, nothing is told of why.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from pipeline.api.alerts import AlertId
from pipeline.api.change_token import ChangeToken
from pipeline.api.problems import Problem
from pipeline.api.reader import NEVER, Reader
from pipeline.api.request_params import TEXT
from pipeline.api.tables import as_json
from pipeline.jobs import moderation
from pipeline.jobs.open_store import now
from pipeline.store.alerting import operator_tokens
from pipeline.store.alerting.operator_tokens import OperatorToken

_BEARER = HTTPBearer(auto_error=False, description="A token of `integrity tokens add`.")
_LONGEST = 24.0 * 366
# One line, and something in it that is no space: what `str.strip` would leave.
_SEEN = r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f\u3000]"
_LINE = r"[^\x00-\x1f\x7f\x85\u2028\u2029]*"
Reason = Annotated[str, Field(min_length=1, max_length=2_000, pattern=f"^{_LINE}{_SEEN}{_LINE}$")]
Hours = Annotated[float, Field(gt=0, le=_LONGEST, description="Of a snooze; default: until somebody acts.")]
_TARGET = "A voter's pseudonym, a vote's id, or from=TIME,to=TIME[,model=…][,cohort=…][,network=…][,prompt=…]."
Target = Annotated[str, Field(min_length=1, max_length=1_000, pattern=TEXT, description=_TARGET)]


class Why(BaseModel):
    """Why it is decided."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


class Moving(Why):
    """Why, and of a snooze for how long."""

    hours: Hours | None = None


class Counting(Why):
    """What to count no longer, or again."""

    action: Literal["exclude", "restore"]
    kind: Literal["voter", "vote", "votes"]
    target: Target


class Moved(BaseModel):
    """Where an alert is now."""

    model_config = ConfigDict(extra="forbid")
    alert: str
    state: str
    done: str


class Counted(BaseModel):
    """The entry that was made."""

    model_config = ConfigDict(extra="forbid")
    action: str
    kind: str
    target: str
    name: str
    reason: str
    done: str


_DENIED: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token that holds."}, 403: {"description": "The token may not decide this."},
}  # fmt: skip


def routes(reader: Reader, changes: ChangeToken) -> APIRouter:
    """The routes, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["operators"], responses=_DENIED)

    def bearer(scope: str) -> Any:
        def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> OperatorToken:
            return _token(reader, given, scope)

        return Depends(check)

    may_move, may_count = bearer("alerts"), bearer("exclusions")

    @router.post("/alerts/{alert}/{action}", response_model=Moved)
    def decide(
        alert: AlertId,
        action: Literal["ack", "snooze", "appeal", "resolve", "reopen"],
        body: Moving,
        token: OperatorToken = may_move,
    ) -> Response:
        """Take an alert to another state."""
        with reader.store.write() as connection:
            result = moderation.change_alert_state(connection, alert, action, token.name, body.reason, body.hours)
        changes.expire()
        return as_json(result, NEVER)

    @router.post("/alerts/{alert}/votes/{action}", response_model=Counted)
    def votes(
        alert: AlertId, action: Literal["exclude", "restore"], body: Why, token: OperatorToken = may_count
    ) -> Response:
        """Exclude the votes that an alert speaks of, or count them again, from the next refresh on."""
        with reader.store.write() as connection:
            result = moderation.change_exclusion(connection, action, alert, token.name, body.reason)
        changes.expire()
        return as_json(result, NEVER)

    @router.post("/exclusions", response_model=Counted)
    def exclusion(body: Counting, token: OperatorToken = may_count) -> Response:
        """Exclude votes, or count them again; the defended board follows at the next refresh."""
        with reader.store.write() as connection:
            result = moderation.change_exclusion(
                connection, body.action, f"{body.kind}:{body.target}", token.name, body.reason
            )
        changes.expire()
        return as_json(result, NEVER)

    return router


def _token(reader: Reader, given: HTTPAuthorizationCredentials | None, scope: str) -> OperatorToken:
    found = None
    if given is not None:
        with reader.read() as connection:
            found = operator_tokens.find(connection, given.credentials, now())
    if found is None:
        raise Problem(401, "expected a token that holds, as Authorization: Bearer", {"www-authenticate": "Bearer"})
    if scope not in found.scopes:
        raise Problem(403, f"expected a token with the scope {scope}, got one with {', '.join(found.scopes)}")
    return found
