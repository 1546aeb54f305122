"""Keeps the sessions of operators who signed in on the page, in the memory of the server.

A session is a random id in a cookie that scripts cannot read and other sites cannot send. The operator's token itself
is neither in a cookie nor kept. A session has the digest of its token. At each request, the session allows what the
token allows at this time. Every form has a CSRF token that is computed from the session's id and a key of this process.
Memory is bounded.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache
from fastapi import Request
from fastapi.responses import Response

_SESSION, _SIGN_IN = "integrity_session", "integrity_sign_in"
COOKIE_NAMES = tuple(f"{prefix}{_SESSION}".encode() for prefix in ("", "__Host-"))
"""The two names of the session cookie: the first without TLS, the second (with `__Host-`) with TLS."""

_LIFETIME = 8 * 3_600
_SIGN_IN_LIFETIME = 900
_SESSIONS = 1_000


@dataclass(slots=True)
class PageSession:
    """The state of one operator who signed in on the page.

    Attributes:
        digest: SHA-256 of the operator's token in hexadecimal digits.
        message: a text about what the operator's last action did. The next page shows it. "" if there is none.
        undo: address of the page that undoes this action, to which the next page links; "" if there is none.
    """

    digest: str
    message: str = ""
    undo: str = ""


class PageSessions:
    """All sessions of a server, in memory. A session ends eight hours after the sign-in.

    Args:
        clock: returns the time in seconds from a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._sessions: TTLCache[str, PageSession] = TTLCache(_SESSIONS, _LIFETIME, clock)
        self._lock = threading.Lock()  # requests run in threads, and a look-up may remove what has ended

    def start(self, digest: str) -> str:
        """Start a session for the token with this digest, and return the session's id."""
        session_id = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[session_id] = PageSession(digest)
        return session_id

    def find(self, session_id: str | None) -> PageSession | None:
        """Return the session with this id; None if there is none or if it has ended."""
        with self._lock:
            found: PageSession | None = None if session_id is None else self._sessions.get(session_id)
        return found

    def end(self, session_id: str) -> None:
        """End a session. An unknown id is ignored."""
        with self._lock:
            self._sessions.pop(session_id, None)

    def csrf_token(self, session_id: str) -> str:
        """Return the CSRF token of the forms of a session.

        There is no session before the sign-in. For the form for signing in, `session_id` is the random text in the
        cookie of that form.
        """
        return hmac.digest(self._key, session_id.encode(), "sha256").hex()

    def is_csrf_token(self, session_id: str, given: str) -> bool:
        """Return whether a form has the CSRF token of a session."""
        return hmac.compare_digest(self.csrf_token(session_id).encode(), given.encode())


def session_cookie(request: Request) -> str | None:
    """Return the session id in the cookie of a request; None if there is no such cookie."""
    return request.cookies.get(_name(request, _SESSION))


def set_session_cookie(request: Request, response: Response, session_id: str) -> None:
    """Add the session cookie to a response, and delete the cookie of the form for signing in."""
    _set(request, response, _SESSION, session_id, _LIFETIME)
    _delete(request, response, _SIGN_IN)


def delete_session_cookie(request: Request, response: Response) -> None:
    """Let the response delete the session cookie in the browser."""
    _delete(request, response, _SESSION)


def sign_in_cookie(request: Request) -> str | None:
    """Return the random text in the cookie of the form for signing in; None if there is no such cookie.

    The CSRF token of that form is computed from this text.
    """
    return request.cookies.get(_name(request, _SIGN_IN))


def set_sign_in_cookie(request: Request, response: Response, value: str) -> None:
    """Add the cookie of the form for signing in to a response.

    `value` is a random text, from which the CSRF token of that form is computed.
    """
    _set(request, response, _SIGN_IN, value, _SIGN_IN_LIFETIME)


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(request: Request, name: str) -> str:
    # A browser accepts a name with this prefix only over TLS, for this host alone.
    return f"__Host-{name}" if _is_secure(request) else name


def _set(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        _name(request, name), value, max_age=seconds, path="/", secure=_is_secure(request), httponly=True,
        samesite="strict",
    )  # fmt: skip


def _delete(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(_name(request, name), path="/", secure=_is_secure(request), httponly=True, samesite="strict")
