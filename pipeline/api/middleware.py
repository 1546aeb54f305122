"""ASGI middleware: a limit for request bodies, and the headers of every response."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Longer than any decision of an operator.
_MAX_BODY = 64 << 10

_SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
# Any site may read the API; without credentials and allowed methods, none can change anything through it.
_CROSS_ORIGIN_HEADERS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, X-Next-Cursor, Content-Disposition"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)


class BodyLimit:
    """Refuses a request body of more than 64 KiB while it is received."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; refuse it as soon as its body exceeds the limit."""
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
    """Adds the security headers to every response, and the cross-origin headers to responses of the API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_api = scope["path"].startswith("/api/")
        added = _SECURITY_HEADERS + _CROSS_ORIGIN_HEADERS if is_api else _SECURITY_HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
