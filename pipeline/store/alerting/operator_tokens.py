"""Creates, looks up and revokes the tokens with which operators decide over HTTP.

A token is shown once, when it is created. The store keeps only its SHA-256. A slow hash is not needed, because a token
has 256 random bits. Nothing is deleted: a revoked or expired token stays in the list, with its author and the reason.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.store.db import schema

SCOPES = ("alerts", "exclusions", "notices", "log")
"""What a token may permit.

alerts: acknowledge, snooze and appeal alerts. exclusions: exclude and restore votes. alerts and exclusions together:
also resolve and reopen alerts, which may change exclusions. notices: add correction notices. log: read the operators'
log.
"""

# Scanners find leaked tokens by this prefix.
_PREFIX = "integrity_"


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """The owner and the scopes of a valid token.

    Attributes:
        name: owner of the token.
        scopes: what the token permits, a selection of SCOPES.
    """

    name: str
    scopes: tuple[str, ...]


def create(
    connection: Connection, name: str, scopes: Sequence[str], by: str, reason: str, now: int, expires_at: int
) -> str:
    """Create a token with which an operator may decide over HTTP.

    Args:
        name: owner of the token, recorded with every decision that is made with it.
        scopes: a selection of SCOPES.
        by, reason: who creates the token, and why.
        now: present time in microseconds since 1970 UTC.
        expires_at: end of the token's validity, in microseconds since 1970 UTC.

    Returns:
        The token itself, which the store does not keep.

    Raises:
        Usage: name or reason is empty, a scope is unknown, or the name already has a valid token.
    """
    if not name.strip() or not reason.strip():
        raise Usage("expected a name and a reason: a token is not created without both")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise Usage(f"expected scopes among {', '.join(SCOPES)}, got {', '.join(unknown) or 'none'}")
    t = schema.token.c
    if connection.scalar(sa.select(t.token_no).where(t.name == name, *_valid(now))) is not None:
        raise Usage(f"expected a name without a token, got {name!r}: `integrity tokens revoke` ends the one it has")
    token = _PREFIX + secrets.token_urlsafe(32)
    row = {
        "name": name, "scopes": " ".join(sorted(set(scopes))), "sha256": digest(token), "made_by": by, "reason": reason,
        "made_at": now, "expires_at": expires_at,
    }  # fmt: skip
    connection.execute(schema.token.insert(), row)
    return token


def find(connection: Connection, token: str, now: int) -> OperatorToken | None:
    """Return the owner and the scopes of a valid token.

    Args:
        connection: reads the store.
        token: the token itself, as `create` returned it.
        now: present time in microseconds since 1970 UTC.

    Returns:
        None if the token is unknown, revoked or expired.
    """
    return find_digest(connection, digest(token), now)


def find_digest(connection: Connection, sha256: str, now: int) -> OperatorToken | None:
    """Return the owner and the scopes of a valid token, given the SHA-256 of the token.

    Args:
        connection: reads the store.
        sha256: what `digest` returns for the token.
        now: present time in microseconds since 1970 UTC.

    Returns:
        None if the token is unknown, revoked or expired.
    """
    t = schema.token.c
    row = connection.execute(sa.select(t.name, t.scopes).where(t.sha256 == sha256, *_valid(now))).one_or_none()
    return None if row is None else OperatorToken(row.name, tuple(row.scopes.split()))


def revoke(connection: Connection, name: str, by: str, reason: str, now: int) -> list[str]:
    """Revoke the valid token of an owner.

    Args:
        connection: the transaction.
        name: owner of the token.
        by, reason: who revokes the token, and why.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The scopes of the token.

    Raises:
        Usage: the reason is empty, or the owner has no valid token.
    """
    if not reason.strip():
        raise Usage("expected a reason: a token is not revoked without one")
    t = schema.token.c
    found = connection.execute(sa.select(t.token_no, t.scopes).where(t.name == name, *_valid(now))).one_or_none()
    if found is None:
        raise Usage(f"expected a name with a valid token, got {name!r}: `integrity tokens` lists them")
    values = {"revoked_at": now, "revoked_by": by, "revoked_reason": reason}
    connection.execute(sa.update(schema.token).where(t.token_no == found.token_no).values(values))
    return list(found.scopes.split())


def list_tokens(connection: Connection) -> list[dict[str, Any]]:
    """Return every token that was ever created, newest first. A row has the table's columns without the hash."""
    columns = [column for column in schema.token.c if column.name not in {"token_no", "sha256"}]
    rows = connection.execute(sa.select(*columns).order_by(schema.token.c.token_no.desc())).mappings()
    return [{**row, "scopes": row["scopes"].split()} for row in rows]


def _valid(now: int) -> tuple[sa.ColumnElement[bool], ...]:
    t = schema.token.c
    return t.revoked_at.is_(None), t.expires_at > now


def digest(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal digits, by which the store knows the token."""
    return hashlib.sha256(token.encode()).hexdigest()
