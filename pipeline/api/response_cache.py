"""Caches responses to GET and HEAD in memory.

The headers of a response decide how long the response is cached (`cache_policies`):

1. With `cache-control: immutable` or `x-cache-until: forever`, the response is cached while there is room.
2. With `no-cache`, the response is cached until the store changes (its change token then differs). If the response also
   has `x-cache-until: published`, it is cached until the next publication (one part of the change token then differs).
3. Responses with `no-store`, errors, and responses above 4 MiB are not cached.
4. A request with an `authorization` header or a session cookie may come from an operator. This response is not cached.
   The request is answered from the cache only if the cached response does not vary by `authorization` or `cookie`.

Concurrent requests for the same response share one computation, until it is known that the response cannot be cached. A
cached response is compressed once, and has one ETag for each encoding. The header `x-cache-until` is not sent to
clients.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from cachetools import FIFOCache, LRUCache
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.api.cached_response import CachedResponse, pack, send_response, without_body
from pipeline.api.change_token import ChangeToken
from pipeline.api.page_sessions import COOKIE_NAMES
from pipeline.api.request_params import format_from_accept
from pipeline.errors import IntegrityError

BUDGET = 64 << 20
"""The default limit on the size of all cached responses, in bytes.

It suffices for some hundreds of snapshots, since all forms of a board of 200 models take about 100 KB."""

_LONG = 64 << 10
# A larger bundle or export is not cached.
_LARGEST = 4 << 20

Key = tuple[str, bytes, str]


class ResponseCache:
    """ASGI middleware that caches responses to GET and HEAD requests in memory.

    Args:
        app: the application.
        token: the change token of the store.
        budget: largest size of all cached responses, in bytes.
        published: takes a change token, and returns the part of it that a publication changes.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: ChangeToken,
        budget: int = BUDGET,
        published: Callable[[Any], Any] = lambda token: token,
    ) -> None:
        self._app = app
        self._published = published
        self._token = token
        self._cached: LRUCache[Key, CachedResponse] = LRUCache(budget, getsizeof=lambda response: response.size)
        self._computing: dict[Key, asyncio.Future[CachedResponse | None]] = {}
        # Paths whose responses are never cached: concurrent requests for them do not wait for each other.
        self._uncacheable: FIFOCache[str, bool] = FIFOCache(_MAX_UNCACHEABLE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request from the cache, or let the application respond."""
        if scope["type"] != "http" or scope["method"] not in _CACHEABLE_METHODS:
            await self._app(scope, receive, send)
            return
        request_headers = {name: value for name, value in scope["headers"] if name in _REQUEST_HEADERS}
        table_format = format_from_accept(request_headers.get(b"accept", b"").decode("latin-1"))
        key = (scope["path"], scope["query_string"], table_format)
        response = self._cached.get(key)
        if response is not None and not await self._valid(response):
            response = None
        if _has_credentials(request_headers) and (response is None or response.personal):
            own = without_body(send) if scope["method"] == "HEAD" else send
            await self._app({**scope, "method": "GET"}, receive, own)
            return
        if response is None:
            response = await self._shared(key, scope, receive, send)
        if response is not None:  # else it has been sent already
            await send_response(response, request_headers, scope["method"] == "HEAD", send)

    async def _valid(self, response: CachedResponse) -> bool:
        return response.token is None or response.token == await self._current(response.published)

    async def _shared(self, key: Key, scope: Scope, receive: Receive, send: Send) -> CachedResponse | None:
        """Return a response, computed once for all waiting requests; None if it was sent already and is not cached."""
        if scope["path"] in self._uncacheable:
            return await self._computed(key, scope, receive, send)
        if (computing := self._computing.get(key)) is not None and (response := await computing) is not None:
            return response
        if key in self._computing:
            return await self._computed(key, scope, receive, send)
        future = self._computing[key] = asyncio.get_running_loop().create_future()
        response = None

        def decided() -> None:
            """Wake the waiting requests. A response that may not be cached is sent only after this call."""
            if not future.done():
                del self._computing[key]
                future.set_result(response)

        try:
            response = await self._computed(key, scope, receive, send, decided)
        finally:
            decided()
        return response

    async def _computed(
        self, key: Key, scope: Scope, receive: Receive, send: Send, uncached: Callable[[], None] = lambda: None
    ) -> CachedResponse | None:
        # Read before the response is computed, so that a change during the computation makes the response stale.
        tokens = await self._current(), await self._current(True)
        recorder = _Recorder(send, scope["method"] == "HEAD", uncached)
        # HEAD is computed as GET; the body is dropped when it is sent.
        await self._app({**scope, "method": "GET"}, receive, recorder)
        response = await recorder.response(*tokens)
        if response is None:
            if recorder.uncacheable:
                self._uncacheable[scope["path"]] = True
        elif response.size <= self._cached.maxsize:
            self._cached[key] = response
        return response

    async def _current(self, published: bool = False) -> Any:
        """Return the change token. While the store is down, return a new object, so that no token is equal to it."""
        try:
            token = await self._token.current()
            return self._published(token) if published else token
        except (IntegrityError, SQLAlchemyError):
            return object()


class _Recorder:
    """Records a response that may be cached; passes any other response through."""

    def __init__(self, send: Send, bodiless: bool, uncached: Callable[[], None]) -> None:
        self._send = send
        self._uncached = uncached
        self._bodiless = bodiless
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._immutable = False
        self._published = False
        self._through = False
        self.uncacheable = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            policy = headers.get(b"cache-control", b"no-store")
            self._immutable = b"immutable" in policy or headers.get(_UNTIL) == b"forever"
            self._published = headers.get(_UNTIL) == b"published"
            self.uncacheable = message["status"] in _CACHEABLE_STATUSES and b"no-store" in policy
            self._start = message
            if message["status"] not in _CACHEABLE_STATUSES or self.uncacheable:
                await self._pass_through()
        elif self._through:
            await self._send({**message, "body": b""} if self._bodiless else message)
        else:
            chunk = message.get("body", b"")
            self._chunks.append(chunk)
            self._size += len(chunk)
            if self._size > _LARGEST:
                self.uncacheable = True  # later requests for this path do not wait for each other
                more = message.get("more_body", False)
                await self._pass_through()
                body = b"" if self._bodiless else b"".join(self._chunks)
                await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _pass_through(self) -> None:
        self._through = True
        self._uncached()
        assert self._start is not None  # noqa: S101  # ASGI: the start comes first
        await self._send(self._start)

    async def response(self, token: Any, published: Any) -> CachedResponse | None:
        """Return the recorded response, which states the token with which it is valid.

        The result is None if the response was not recorded, but was sent to the client immediately.
        """
        if self._through or self._start is None:
            return None
        body = b"".join(self._chunks)
        headers = [(name, value) for name, value in self._start["headers"] if name not in _REPLACED_HEADERS]
        vary = dict(self._start["headers"]).get(b"vary")
        headers.append((b"vary", b"Accept-Encoding" + (b", " + vary if vary else b"")))
        # A long body would keep every other request waiting; for a short one a thread costs more than it saves.
        digest, packed = await asyncio.to_thread(pack, body) if len(body) > _LONG else pack(body)
        status = self._start["status"]
        token = None if self._immutable else published if self._published else token
        personal = vary is not None and any(name in vary.lower() for name in (b"authorization", b"cookie"))
        return CachedResponse(status, tuple(headers), body, packed, digest, token, personal, self._published)


def _has_credentials(request_headers: dict[bytes, bytes]) -> bool:
    """Return whether a request has a token, or the cookie of a session."""
    cookies = request_headers.get(b"cookie", b"")
    return b"authorization" in request_headers or any(name in cookies for name in COOKIE_NAMES)


_CACHEABLE_STATUSES = frozenset({200, 307})
_CACHEABLE_METHODS = frozenset({"GET", "HEAD"})
_REQUEST_HEADERS = frozenset({b"accept", b"accept-encoding", b"authorization", b"cookie", b"if-none-match"})
_UNTIL = b"x-cache-until"
_REPLACED_HEADERS = frozenset({b"content-length", b"etag", b"vary", _UNTIL})
_MAX_UNCACHEABLE = 10_000
