"""Decides whether a response may contain pseudonyms of voters.

Only the response to a request with a token for decisions about voters may contain pseudonyms.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Depends, Request

from pipeline.api.cache_policies import NO_STORE, REVALIDATE
from pipeline.api.operator_access import find_token, record_login
from pipeline.api.store_reader import StoreReader

DECIDING = frozenset({"alerts", "exclusions"})
"""The scopes for decisions about voters. A token with one of these scopes may read the pseudonyms of voters."""


def operator_dependency(reader: StoreReader) -> Any:
    """Return a FastAPI dependency that tells a route whether the reader may see voters.

    The route gets True if the request has a token that allows decisions about voters. It gets False for a request
    without a token, and for a valid token without such a scope. The operators' log records a use of the token, at most
    once an hour for each operator and address.

    Raises:
        Problem: raised during a request. Status 401, if the token is unknown, expired or revoked. Status 429, if the
            client has sent too many invalid tokens.
    """

    # The header is read here: a security scheme would describe the routes as closed to everybody else.
    def check(request: Request) -> bool:
        given = request.headers.get("authorization")
        if given is None:
            return False
        kind, _, text = given.partition(" ")
        token = find_token(reader, request, text if kind.lower() == "bearer" else None)
        record_login(reader, request, token)
        return bool(DECIDING & set(token.scopes))

    return Depends(check)


def policy(operator: bool) -> Mapping[str, str]:
    """Return the caching headers of a response, as header name → value.

    The headers keep a response for an operator out of every cache.

    Args:
        operator: whether the response is for an operator.
    """
    return {**(NO_STORE if operator else REVALIDATE), "vary": "Authorization"}
