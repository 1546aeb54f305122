"""Defines ASGI middleware that limits the size of request bodies and adds headers to every response."""

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.api.security_headers import headers_for, strict_transport

# Longer than any decision of an operator.
_MAX_BODY = 64 << 10


class BodyLimit:
    """Refuses a request as soon as more than 64 KiB of its body have been received."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application. If its body exceeds the limit, respond with status 413 instead."""
        received = 0

        async def counting_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > _MAX_BODY:
                raise HTTPException(413, f"expected a body of at most {_MAX_BODY:,} bytes")
            return message

        await self._app(scope, counting_receive if scope["type"] == "http" else receive, send)


class ResponseHeaders:
    """Adds the security headers to every response, and the cross-origin headers to responses of the API.

    Args:
        app: the application.
        count: called with the status of every response.
        https_days: number of days for which browsers must use HTTPS only (HSTS header); 0 for no such header.
    """

    def __init__(self, app: ASGIApp, count: Callable[[int], None], https_days: int) -> None:
        self._app = app
        self._count = count
        self._secured = (strict_transport(https_days),) if https_days else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, and add the headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = headers_for(scope["path"])
        if scope.get("scheme") == "https":
            added += self._secured

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(message["status"])
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
