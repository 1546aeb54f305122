"""Whether a reader is an operator: with a valid token of any scope, answers name voters by pseudonym."""

from collections.abc import Mapping
from typing import Any

from fastapi import Depends, Request

from pipeline.api.cache_policies import NO_STORE, REVALIDATE
from pipeline.api.error_responses import Problem
from pipeline.api.store_reader import StoreReader
from pipeline.open_store import now
from pipeline.store.alerting import operator_tokens


def operator_dependency(reader: StoreReader) -> Any:
    """A dependency: True with a valid token, False without any.

    Raises:
        Problem: 401; a token that is unknown, expired or revoked.
    """

    # The header is read here: a security scheme would describe the routes as closed to everybody else.
    def check(request: Request) -> bool:
        given = request.headers.get("authorization")
        if given is None:
            return False
        kind, _, token = given.partition(" ")
        with reader.connect() as connection:
            found = operator_tokens.find(connection, token, now()) if kind.lower() == "bearer" else None
        if found is None:
            raise Problem(401, "expected a valid token, as Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
        return True

    return Depends(check)


def policy(operator: bool) -> Mapping[str, str]:
    """How long an answer may be cached: what an operator sees is for nobody else."""
    return NO_STORE if operator else REVALIDATE
