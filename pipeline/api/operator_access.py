"""Checks what a request may do: tokens, scopes, and the rows of the operators' log about refused requests.

Laws: a token allows only what its scopes name, and an action needs the scopes of everything it changes; a request with
a missing, expired or revoked token gets the same response, without the reason; each refusal is a row of the log.
"""

import logging
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import DBAPIError

from pipeline.api.error_responses import Problem
from pipeline.api.login_guard import LoginGuard
from pipeline.api.store_reader import StoreReader
from pipeline.open_store import now
from pipeline.store.alerting import operator_tokens, operators_log
from pipeline.store.alerting.operator_tokens import OperatorToken
from pipeline.store.alerting.operators_log import Operator

_log = logging.getLogger("integrity.api")
_BEARER = HTTPBearer(auto_error=False, description="A token made by `integrity tokens add`.")
# The name of nobody in particular: no valid token was given.
_UNKNOWN = "unknown"

CredentialsParam = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def client_address(request: Request) -> str:
    """Return the address of the client, as the server has it from the connection or from a proxy that it trusts."""
    return request.client.host if request.client else _UNKNOWN


def require_scopes(reader: StoreReader, *scopes: str) -> Any:
    """Return a FastAPI dependency that gives the operator of a request whose token has all of these scopes."""

    def check(request: Request, given: CredentialsParam) -> Operator:
        return authorize(reader, request, find_token(reader, request, given.credentials if given else None), *scopes)

    return Depends(check)


def require_token(reader: StoreReader) -> Any:
    """Return a FastAPI dependency that gives the valid token, for a route whose scopes depend on the request."""

    def check(request: Request, given: CredentialsParam) -> OperatorToken:
        return find_token(reader, request, given.credentials if given else None)

    return Depends(check)


def find_token(reader: StoreReader, request: Request, given: str | None) -> OperatorToken:
    """Find the valid token of a request.

    Raises:
        Problem: 401, which the operators' log records; 429, this client has sent too many invalid tokens.
    """
    found = None
    logins: LoginGuard = request.app.state.logins
    if given is not None:
        logins.admit(request)
        with reader.connect() as connection:
            found = operator_tokens.find(connection, given, now())
    if found is None:
        if given is not None:
            logins.failed(request)
        _record_refusal(reader, request, _UNKNOWN, operators_log.FAILED_LOGIN)
        raise Problem(401, "expected a valid token, as Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
    return found


def authorize(reader: StoreReader, request: Request, token: OperatorToken, *scopes: str) -> Operator:
    """Return the operator of a token that has all of these scopes.

    Raises:
        Problem: 403; names the missing scopes, and the operators' log records it.
    """
    missing = [scope for scope in scopes if scope not in token.scopes]
    if missing:
        _record_refusal(reader, request, token.name, operators_log.DENIED)
        wanted = " and ".join(f"the scope {scope}" for scope in scopes)
        raise Problem(403, f"expected a token with {wanted}, got one with {', '.join(token.scopes)}")
    return Operator(token.name, "api", client_address(request))


def record_login(reader: StoreReader, request: Request, token: OperatorToken) -> None:
    """Store a login of an operator who reads with a token, unless the last hour has the same name and address."""
    operator, at = Operator(token.name, "api", client_address(request)), now()
    with reader.connect() as connection:
        known = operators_log.has_login(connection, operator, at)
    if not known:
        with reader.store.write() as connection:
            operators_log.record(connection, operator, operators_log.LOGIN, token.name, at)


def _record_refusal(reader: StoreReader, request: Request, name: str, action: str) -> None:
    operator = Operator(name, "api", client_address(request))
    try:
        with reader.connect() as connection:
            if not operators_log.takes_refusals(connection, now()):
                return
        with reader.store.write() as connection:
            target = f"{request.method} {request.scope['path']}"[:300]
            operators_log.record_refusal(connection, operator, action, target, now())
    except DBAPIError as error:  # the response is the same where the log cannot be written
        _log.error("operators' log: %s not recorded: %s", action, error)
