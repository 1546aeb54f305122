"""Finds the operator who is signed in on the page, and checks the forms with which operators decide there.

A decision on the page needs a session, the CSRF token of the session, and the scopes of everything that it changes. A
form that another site sent is refused. The operator's token is looked up at every request, so that a session ends when
the token is revoked.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request

from pipeline.api.error_responses import Problem
from pipeline.api.operator_view import DECIDING
from pipeline.api.page_sessions import PageSession, PageSessions, session_cookie
from pipeline.api.request_params import TEXT_PATTERN
from pipeline.api.store_reader import StoreReader
from pipeline.open_store import now
from pipeline.store.alerting import operator_tokens
from pipeline.store.alerting.operator_tokens import OperatorToken

_FORM = "application/x-www-form-urlencoded"
_FIELDS = ("csrf", "token", "next", "reason", "hours")
_LONGEST = {"reason": 2_000, "next": 100}
CSRF = "csrf"


@dataclass(frozen=True, slots=True)
class PageOperator:
    """The operator who is signed in on the page, and what the operator may do.

    Attributes:
        token: the operator's token, which has a name and scopes.
        session_id: the id of the operator's session.
        session: the state of this session, such as the message that the next page shows.
        csrf: the CSRF token of the forms of this session.
    """

    token: OperatorToken
    session_id: str
    session: PageSession
    csrf: str

    @property
    def sees_voters(self) -> bool:
        """Whether the operator may read pseudonyms of voters."""
        return bool(DECIDING & set(self.token.scopes))

    def may(self, *scopes: str) -> bool:
        """Return whether the token has all of these scopes."""
        return set(scopes) <= set(self.token.scopes)

    def take_message(self) -> tuple[str, str]:
        """Return the message about the operator's last action and the address of the page that undoes the action.

        Both are deleted from the session, so that only one page shows them.
        """
        taken = self.session.message, self.session.undo
        self.session.message = self.session.undo = ""
        return taken


def page_operator_dependency(reader: StoreReader, sessions: PageSessions) -> Any:
    """Return a FastAPI dependency by which a route gets the operator who is signed in; None for anybody else."""

    def find(request: Request) -> PageOperator | None:
        session_id = session_cookie(request)
        session = sessions.find(session_id)
        if session is None or session_id is None:
            return None
        with reader.connect() as connection:
            token = operator_tokens.find_digest(connection, session.digest, now())
        if token is None:
            sessions.end(session_id)
            return None
        return PageOperator(token, session_id, session, sessions.csrf_token(session_id))

    return Depends(find)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of the form that a request contains.

    Raises:
        Problem: status 403 if another site sent the form, 415 if the body is no form, or 422 if it is not a valid form
            of these pages.
    """
    _refuse_other_sites(request)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM:
        raise Problem(415, f"expected a form as {_FORM}")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise Problem(422, "expected a form of at most 20 fields in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or not fields.keys() <= set(_FIELDS):
        raise Problem(422, f"form: expected each of {', '.join(_FIELDS)} at most once, and nothing else")
    for name, value in fields.items():
        if len(value) > _LONGEST.get(name, 300):
            raise Problem(422, f"form {name}: expected at most {_LONGEST.get(name, 300):,} characters")
        if value and not re.match(TEXT_PATTERN, value):
            raise Problem(422, f"form {name}: expected one line of visible characters")
    return fields


FormFields = Depends(read_form)
"""A FastAPI dependency whose value is the fields of a form."""


def expect_csrf_token(sessions: PageSessions, session_id: str | None, fields: dict[str, str]) -> None:
    """Refuse a form that does not have the CSRF token of the session.

    Raises:
        Problem: status 403, if the form has no CSRF token of this session.
    """
    if session_id is None or not sessions.is_csrf_token(session_id, fields.get(CSRF, "")):
        raise Problem(403, "this form is not of your session, or too old: nothing was changed; open the page again")


def _refuse_other_sites(request: Request) -> None:
    """Refuse a form that a page of another site sent. The browser states the page's site in headers of the request.

    SameSite=Strict and the CSRF token refuse such a form as well, if the operator is signed in.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "null")
    # A browser sends "null" for a page that has the referrer policy of ours.
    foreign = origin != "null" and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or site not in (None, "same-origin", "none"):
        raise Problem(403, "expected a form of this site, got one of another: nothing was changed")
