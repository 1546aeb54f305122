"""Routes by which operators decide about alerts and votes, protected by tokens.

Laws: a decision is recorded with the name of the token's owner and a reason; a token allows only what its scopes name;
a request with a missing, expired or revoked token gets the same response, without the reason.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pipeline.api.cache_policies import NO_STORE
from pipeline.api.change_token import ChangeToken
from pipeline.api.documents.action_documents import (
    AlertActionDocument,
    AlertActionRequest,
    ExclusionActionDocument,
    ExclusionRequest,
    ReasonRequest,
)
from pipeline.api.error_responses import Problem
from pipeline.api.openapi_responses import TOKEN_RESPONSES
from pipeline.api.request_params import AlertParam
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response
from pipeline.jobs import moderation
from pipeline.open_store import now
from pipeline.store.alerting import operator_tokens
from pipeline.store.alerting.operator_tokens import OperatorToken

_BEARER = HTTPBearer(auto_error=False, description="A token made by `integrity tokens add`.")


def routes(reader: StoreReader, changes: ChangeToken) -> APIRouter:
    """Return the routes, in the order in which OpenAPI lists them."""
    router = APIRouter(tags=["operators"], responses=TOKEN_RESPONSES)

    def require_scope(scope: str) -> Any:
        def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> OperatorToken:
            return _check_token(reader, given, scope)

        return Depends(check)

    may_change_alerts, may_exclude = require_scope("alerts"), require_scope("exclusions")

    @router.post("/alerts/{alert}/{action}", response_model=AlertActionDocument)
    def change_alert(
        alert: AlertParam,
        action: Literal["ack", "snooze", "appeal", "resolve", "reopen"],
        body: AlertActionRequest,
        token: OperatorToken = may_change_alerts,
    ) -> Response:
        """Change the state of an alert."""
        with reader.store.write() as connection:
            result = moderation.change_alert_state(connection, alert, action, token.name, body.reason, body.hours)
        changes.expire()
        return json_response(result, NO_STORE)

    @router.post("/alerts/{alert}/votes/{action}", response_model=ExclusionActionDocument)
    def exclude_alert_votes(
        alert: AlertParam,
        action: Literal["exclude", "restore"],
        body: ReasonRequest,
        token: OperatorToken = may_exclude,
    ) -> Response:
        """Exclude the votes of an alert, or restore them, from the next refresh on."""
        with reader.store.write() as connection:
            result = moderation.change_exclusion(connection, action, alert, token.name, body.reason)
        changes.expire()
        return json_response(result, NO_STORE)

    @router.post("/exclusions", response_model=ExclusionActionDocument)
    def exclude(body: ExclusionRequest, token: OperatorToken = may_exclude) -> Response:
        """Exclude votes or restore them; the defended board follows at the next refresh."""
        target = f"{body.kind}:{body.target}"
        with reader.store.write() as connection:
            result = moderation.change_exclusion(connection, body.action, target, token.name, body.reason)
        changes.expire()
        return json_response(result, NO_STORE)

    return router


def _check_token(reader: StoreReader, given: HTTPAuthorizationCredentials | None, scope: str) -> OperatorToken:
    found = None
    if given is not None:
        with reader.connect() as connection:
            found = operator_tokens.find(connection, given.credentials, now())
    if found is None:
        raise Problem(401, "expected a valid token, as Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
    if scope not in found.scopes:
        raise Problem(403, f"expected a token with the scope {scope}, got one with {', '.join(found.scopes)}")
    return found
