"""Answers that are made once.

Laws: an answer that says `immutable` (or, to this middleware alone, `x-kept: forever`) is kept until there is no room;
any other that may be kept (`no-cache`: ask whether it still holds) is kept until the pulse of the store changes, or, if
it says `x-kept: published`, the part of it that a publication changes; what several ask for at once is made once;
errors, and answers that say `no-store`, are never kept. Every kept answer has an ETag and is compressed once.

The pulse is read at most once in `PERIOD`, so an answer is behind the store by no more than that.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.api.request_params import preferred
from pipeline.errors import IntegrityError

PERIOD = 1.0
"""Seconds between two looks at the store."""

BUDGET = 64 << 20
"""Bytes of kept answers: a board of 200 models in every form is about 100 KB, so some hundreds of snapshots."""

# Smaller than a packet: compressing it saves nothing.
_WORTH_COMPRESSING = 1_400
# A bundle or an export of this size is sent and forgotten.
_LARGEST = 4 << 20

Key = tuple[str, bytes, str]
Header = tuple[bytes, bytes]


class Pulse:
    """When something that readers see has changed.

    Args:
        read: numbers of the store that grow with every change; called on another thread.
        clock: seconds.
    """

    def __init__(self, read: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._beat: Any = None
        self._due = float("-inf")
        self._reading: asyncio.Task[Any] | None = None

    async def current(self) -> Any:
        """The newest beat; the first to ask after a while reads it, who comes meanwhile waits with them."""
        if self._clock() < self._due:
            return self._beat
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._refresh())
        return await asyncio.shield(self._reading)

    def touch(self) -> None:
        """Look again at the next request: something was just changed here."""
        self._due = float("-inf")

    async def _refresh(self) -> Any:
        try:
            self._beat = await self._read()
            self._due = self._clock() + PERIOD
            return self._beat
        finally:
            self._reading = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A kept answer.

    Attributes:
        status: 200, or that of a redirect.
        headers: all but content-length and content-encoding.
        body: as it is.
        packed: gzip, None where it is not worth it.
        etag: of the body.
        beat: the pulse it holds for, None for ever.
        published: of the pulse, only what a publication changes counts.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes
    packed: bytes | None
    etag: bytes
    beat: Any
    published: bool = False

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return len(self.body) + len(self.packed or b"") + 1_000


class Kept:
    """ASGI middleware that keeps answers to GET and HEAD.

    Args:
        app: what answers.
        pulse: of the store.
        budget: bytes.
        published: the part of a beat that a publication changes.
    """

    def __init__(
        self, app: ASGIApp, pulse: Pulse, budget: int = BUDGET, published: Callable[[Any], Any] = lambda beat: beat
    ) -> None:
        self._app = app
        self._published = published
        self._pulse = pulse
        self._budget = budget
        self._size = 0
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._making: dict[Key, asyncio.Future[Answer | None]] = {}
        # Addresses whose answers are never kept: nobody waits for another's.
        self._never: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from what is kept, or let it be made."""
        if scope["type"] != "http" or scope["method"] not in _READING:
            await self._app(scope, receive, send)
            return
        asked = {name: value for name, value in scope["headers"] if name in _ASKED}
        key = (scope["path"], scope["query_string"], preferred(asked.get(b"accept", b"").decode("latin-1")))
        answer = self._answers.get(key)
        if answer is not None and (answer.beat is None or answer.beat == await self._beat(answer.published)):
            self._answers.move_to_end(key)
        else:
            answer = await self._shared(key, scope, receive, send)
        if answer is not None:  # else it was sent as it was made
            await _send(answer, asked, scope["method"] == "HEAD", send)

    async def _shared(self, key: Key, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        """The answer that somebody is making, or one made now; None if it may not be kept and is sent."""
        if scope["path"] in self._never:
            return await self._made(key, scope, receive, send)
        if (making := self._making.get(key)) is not None and (answer := await making) is not None:
            return answer
        if key in self._making:
            return await self._made(key, scope, receive, send)
        future = self._making[key] = asyncio.get_running_loop().create_future()
        answer = None
        try:
            answer = await self._made(key, scope, receive, send)
        finally:
            del self._making[key]
            future.set_result(answer)
        return answer

    async def _made(self, key: Key, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        beats = await self._beat(), await self._beat(True)
        catching = _Catching(send, scope["method"] == "HEAD")
        # What answers GET answers HEAD: without the body.
        await self._app({**scope, "method": "GET"}, receive, catching)
        answer = catching.answer(*beats)
        if answer is not None:
            self._keep(key, answer)
        elif catching.unkeepable:
            self._never = {*self._never, scope["path"]} if len(self._never) < _MOST_NEVER else {scope["path"]}
        return answer

    async def _beat(self, published: bool = False) -> Any:
        """The pulse; a store that does not answer has one that equals no other, and what is immutable still stands."""
        try:
            beat = await self._pulse.current()
            return self._published(beat) if published else beat
        except (IntegrityError, SQLAlchemyError):
            return object()

    def _keep(self, key: Key, answer: Answer) -> None:
        before = self._answers.pop(key, None)
        self._size += answer.size - (before.size if before else 0)
        self._answers[key] = answer
        while self._size > self._budget:
            _, gone = self._answers.popitem(last=False)
            self._size -= gone.size


class _Catching:
    """Takes an answer down if it may be kept; lets it through if not."""

    def __init__(self, send: Send, bodiless: bool) -> None:
        self._send = send
        self._bodiless = bodiless
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._immutable = False
        self._published = False
        self._through = False
        self.unkeepable = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            policy = headers.get(b"cache-control", b"no-store")
            self._immutable = b"immutable" in policy or headers.get(_HOW) == b"forever"
            self._published = headers.get(_HOW) == b"published"
            self.unkeepable = message["status"] in _KEPT and b"no-store" in policy
            self._start = message
            if message["status"] not in _KEPT or self.unkeepable:
                await self._let_through()
        elif self._through:
            await self._send({**message, "body": b""} if self._bodiless else message)
        else:
            chunk = message.get("body", b"")
            self._chunks.append(chunk)
            self._size += len(chunk)
            if self._size > _LARGEST:
                self.unkeepable = True  # whoever asks for it next waits for nobody
                more = message.get("more_body", False)
                await self._let_through()
                body = b"" if self._bodiless else b"".join(self._chunks)
                await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _let_through(self) -> None:
        self._through = True
        assert self._start is not None  # noqa: S101  # ASGI: the start comes first
        await self._send(self._start)

    def answer(self, beat: Any, published: Any) -> Answer | None:
        """What was taken down.

        Args:
            beat: the pulse before it was made.
            published: the part of it that a publication changes.
        """
        if self._through or self._start is None:
            return None
        body = b"".join(self._chunks)
        etag = b'"' + blake2b(body, digest_size=16).hexdigest().encode() + b'"'
        kept = [(name, value) for name, value in self._start["headers"] if name not in _OURS]
        vary = dict(self._start["headers"]).get(b"vary")
        kept += [(b"etag", etag), (b"vary", b"Accept-Encoding" + (b", " + vary if vary else b""))]
        packed = gzip.compress(body, 6, mtime=0) if len(body) > _WORTH_COMPRESSING else None
        worth = packed is not None and len(packed) < 0.9 * len(body)
        status = self._start["status"]
        beat = None if self._immutable else published if self._published else beat
        return Answer(status, tuple(kept), body, packed if worth else None, etag, beat, self._published)


async def _send(answer: Answer, asked: dict[bytes, bytes], bodiless: bool, send: Send) -> None:
    headers = list(answer.headers)
    seen = asked.get(b"if-none-match")
    if seen is not None and (seen.strip() == b"*" or answer.etag in seen):
        await send({"type": "http.response.start", "status": _NOT_MODIFIED, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    body = answer.body
    if answer.packed is not None and b"gzip" in asked.get(b"accept-encoding", b""):
        body = answer.packed
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless else body})


_NOT_MODIFIED = 304
_KEPT = frozenset({200, 307})
_READING = frozenset({"GET", "HEAD"})
_ASKED = frozenset({b"accept", b"accept-encoding", b"if-none-match"})
_HOW = b"x-kept"
_OURS = frozenset({b"content-length", b"etag", b"vary", _HOW})
_MOST_NEVER = 10_000
