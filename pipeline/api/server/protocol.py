"""Handles one connection of the HTTP server, as uvicorn's protocol does, with limits on bytes and on time.

Not handled: WebSockets, because no route uses them.
"""

import asyncio
import json
import math
import socket
import struct
from enum import Enum
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pipeline.api.security_headers import OF_PAGES
from pipeline.api.server.connections import ConnectionTable

_HEADERS = b"".join(b"%s: %s\r\n" % header for header in OF_PAGES)
# After a refusal the client may still be sending: what it sends is dropped for a moment, so that it reads the refusal.
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 1 << 20
_NEVER = math.inf


class _Phase(Enum):
    """The part of a connection's newest request that is being received."""

    WAITING = 1
    HEAD = 2
    BODY = 3
    WHOLE = 4


class _TooLarge(Exception):
    """Raised through the parser if a request has too many headers or too long ones."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection of the HTTP server. It is closed if its client sends too much, or sends or reads too slowly.

    Attributes:
        address: address of the client or proxy at the other end of the connection.
    """

    # As many parameters as uvicorn's own protocol, and the table.
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        table: ConnectionTable,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.address = ""
        self._table = table
        self._limits = table.limits
        self._running: RequestResponseCycle | None = None
        self._phase = _Phase.WAITING
        self._deadline = _NEVER
        self._head_bytes = 0
        self._refused = False
        self._dropped = 0
        # When the reader was last seen to take bytes, and how many were left then; 0: nothing is left.
        self._stalled_since = 0.0
        self._unsent = 0
        self._drained = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Add the connection to the table of connections, or refuse it with status 503 if the table has no place."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._deadline = self.loop.time() + self._limits.header_seconds
        if self._table.admit(self):
            self._table.wait(self)
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "connections", "every connection is in use; try again")

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the table, and inform the application about the disconnect."""
        self._table.release(self)
        self._drop_requests()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _drop_requests(self) -> None:
        """Drop the request that the application is answering, and the requests that wait."""
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse the received bytes, and close the connection if they exceed a limit."""
        if self._refused:
            self._dropped += len(data)
            if self._dropped > _LINGER_BYTES:
                self._cut_off()
            return
        self._unset_keepalive_if_required()
        if self._phase is _Phase.WAITING:
            self._begin_head()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request is answered as if it had not asked for another protocol
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _TooLarge):
                self._refuse_headers()
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, "malformed", "expected an HTTP request, got something else")
            return
        if self._phase is _Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes:
                self._refuse_headers()

    def _begin_head(self) -> None:
        self._phase, self._head_bytes = _Phase.HEAD, 0
        self._deadline = self.loop.time() + self._limits.header_seconds

    def on_message_begin(self) -> None:
        """A request begins: start to count the bytes and the time of its headers."""
        super().on_message_begin()
        if self._phase is not _Phase.HEAD:  # it was sent before the response to the one before
            self._begin_head()

    def on_headers_complete(self) -> None:
        """Check the headers, and start the limit on the time of the body."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.header_bytes or len(self.headers) > self._limits.header_count:
            raise _TooLarge
        if len(self.pipeline) >= self._limits.pipelined:
            raise _TooLarge
        self._phase, self._deadline = _Phase.BODY, self.loop.time() + self._limits.body_seconds
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is complete: its limits on bytes and time end."""
        self._deadline = _NEVER
        if self.cycle.response_complete:
            self._phase = _Phase.WAITING
        else:
            self._phase = _Phase.WHOLE
            self._table.work(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Mark the connection as waiting for its client, after a response has been sent."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            if self._phase is _Phase.WHOLE:
                self._phase = _Phase.WAITING
            self._table.wait(self)

    def pause_writing(self) -> None:
        """Mark the connection as waiting for its client, because the client does not read."""
        self._table.wait(self)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Mark the connection as answering a request, because the client has read the buffered bytes."""
        self._drained = True
        if self.cycle is not None and not self.cycle.response_complete:
            self._table.work(self)
        super().resume_writing()

    def give_up_place(self) -> None:
        """Close the connection immediately, because another connection takes its place."""
        self._refused = True
        if self._responding or self.transport.get_write_buffer_size():
            self._cut_off()
        else:
            self.transport.close()

    def sweep(self, now: float) -> None:
        """Close the connection if its client sends or reads too slowly.

        `now` is the time of the event loop in seconds.
        """
        if now >= self._deadline:
            self._time_out()
        unsent = self.transport.get_write_buffer_size()
        moved = self._drained or unsent <= self._unsent - self._limits.stall_bytes
        if not unsent or not self._unsent or moved:
            self._unsent, self._stalled_since, self._drained = unsent, now, False
        elif now - self._stalled_since > self._table.patience(self.address):
            self._table.metrics.refused.labels("slow_reader").inc()
            self._cut_off()

    def _cut_off(self) -> None:
        """Close the connection at once.

        Bytes that the kernel has not sent yet are dropped. Otherwise the kernel would keep them for minutes.
        """
        self._refused = True
        self._drop_requests()
        wire = self.transport.get_extra_info("socket")
        if wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _time_out(self) -> None:
        self._deadline = _NEVER
        answered = self.cycle is not None and self._phase is _Phase.BODY and self.cycle.response_complete
        if self._refused or self._responding:
            self._cut_off()
        elif self._phase is _Phase.WAITING or answered:
            self.transport.close()  # browsers connect ahead of time; and what was refused early is not answered again
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "slow_request", "expected the whole request sooner")

    @property
    def _responding(self) -> bool:
        """Whether a response has been sent in part."""
        one = self._running
        return bool(self.pipeline) or (one is not None and one.response_started and not one.response_complete)

    def _refuse_headers(self) -> None:
        limits = self._limits
        text = f"expected at most {limits.header_count} headers of {limits.header_bytes:,} bytes in all"
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", text)

    def _refuse(self, status: HTTPStatus, reason: str, detail: str) -> None:
        """Send a problem document and close the connection. If a response has been sent in part, only close it."""
        self._refused = True
        self._table.metrics.refused.labels(reason).inc()
        if self._responding:
            self._cut_off()
            return
        self._drop_requests()
        self._write_refusal(status, detail)
        if self.transport.can_write_eof() and status != HTTPStatus.SERVICE_UNAVAILABLE:
            self._deadline = self.loop.time() + _LINGER_SECONDS
            self.transport.write_eof()
        else:
            self.transport.close()

    def _write_refusal(self, status: HTTPStatus, detail: str) -> None:
        problem = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        body = json.dumps(problem).encode()
        retry = b"retry-after: 5\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        parts = [STATUS_LINE[status.value]]
        parts += [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        parts += [_HEADERS, retry, b"cache-control: no-store\r\ncontent-type: application/problem+json\r\n"]
        parts += [b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body), body]
        self.transport.write(b"".join(parts))
