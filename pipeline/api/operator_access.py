"""Checks whether a request has a token with the required scopes, and records refused requests in the operators' log.

A token allows only the actions of its scopes. An action needs the scopes of everything that it changes. The response to
a missing, an expired and a revoked token is the same and does not state the reason. Each refusal is a row of the log.
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
from pipeline.store.alerting.operators_log import Operator, Via

_log = logging.getLogger("integrity.api")
_BEARER = HTTPBearer(auto_error=False, description="A token made by `integrity tokens add`.")
# The name of nobody in particular: no valid token was given.
_UNKNOWN = "unknown"

CredentialsParam = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def client_address(request: Request) -> str:
    """Return the IP address of the client of a request, from the connection or from the header of a trusted proxy."""
    return request.client.host if request.client else _UNKNOWN


def require_scopes(reader: StoreReader, *scopes: str) -> Any:
    """Return a FastAPI dependency that requires a token with all of these scopes.

    The value of the dependency is the operator of the token.
    """

    def check(request: Request, given: CredentialsParam) -> Operator:
        return authorize(reader, request, find_token(reader, request, given.credentials if given else None), *scopes)

    return Depends(check)


def require_token(reader: StoreReader) -> Any:
    """Return a FastAPI dependency that requires a valid token. The value of the dependency is this token.

    The route must check the scopes itself.
    """

    def check(request: Request, given: CredentialsParam) -> OperatorToken:
        return find_token(reader, request, given.credentials if given else None)

    return Depends(check)


def find_token(reader: StoreReader, request: Request, given: str | None, via: Via = "api") -> OperatorToken:
    """Return the token of a request if it is valid.

    Args:
        reader: reads the store.
        request: the request.
        given: the secret that the request sent; None if it sent none.
        via: how the secret was sent, for the operators' log.

    Raises:
        Problem: status 401 if the secret is no valid token; the operators' log records this. Status 429 if the client
            has sent too many invalid tokens.
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
        _record_refusal(reader, request, Operator(_UNKNOWN, via, client_address(request)), operators_log.FAILED_LOGIN)
        raise Problem(401, "expected a valid token, as Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
    return found


def authorize(reader: StoreReader, request: Request, token: OperatorToken, *scopes: str, via: Via = "api") -> Operator:
    """Check that a token has all of these scopes, and return its operator.

    Args:
        reader: reads the store.
        request: the request.
        token: the valid token of the request.
        scopes: the scopes that the action needs.
        via: how the operator acts, for the operators' log.

    Raises:
        Problem: status 403, if the token lacks a scope. The message names the scopes of the action and those of the
            token. The operators' log records the refusal.
    """
    missing = [scope for scope in scopes if scope not in token.scopes]
    if missing:
        _record_refusal(reader, request, Operator(token.name, via, client_address(request)), operators_log.DENIED)
        wanted = " and ".join(f"the scope {scope}" for scope in scopes)
        raise Problem(403, f"expected a token with {wanted}, got one with {', '.join(token.scopes)}")
    return Operator(token.name, via, client_address(request))


def record_login(reader: StoreReader, request: Request, token: OperatorToken) -> None:
    """Record in the operators' log that an operator reads with a token.

    At most one row per hour is written for each name and address.
    """
    operator, at = Operator(token.name, "api", client_address(request)), now()
    with reader.connect() as connection:
        known = operators_log.has_login(connection, operator, at)
    if not known:
        with reader.store.write() as connection:
            operators_log.record(connection, operator, operators_log.LOGIN, token.name, at)


def _record_refusal(reader: StoreReader, request: Request, operator: Operator, action: str) -> None:
    try:
        with reader.connect() as connection:
            if not operators_log.takes_refusals(connection, now()):
                return
        with reader.store.write() as connection:
            target = f"{request.method} {request.scope['path']}"[:300]
            operators_log.record_refusal(connection, operator, action, target, now())
    except DBAPIError as error:  # the response is the same where the log cannot be written
        _log.error("operators' log: %s not recorded: %s", action, error)
