"""Defines a cached response, and how it is compressed and sent."""

import gzip
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from starlette.types import Message, Send

# Smaller than a packet: compressing it saves nothing.
_WORTH_COMPRESSING = 1_400
_NOT_MODIFIED = 304

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A cached response, and the condition under which it is valid.

    Attributes:
        status: HTTP status.
        headers: all headers except content-length, content-encoding and etag.
        body: the body without compression.
        packed: the body compressed with gzip; None if compression saves too little.
        digest: digest of the body, from which the ETag of each encoding is made.
        token: value of the change token for which the response is valid. None if the response is always valid.
        personal: whether the response varies by `authorization` or `cookie`, so that operators need another response.
        published: whether `token` is only the part of the change token that a publication changes.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes
    packed: bytes | None
    digest: bytes
    token: Any
    personal: bool = False
    published: bool = False

    def etag(self, packed: bool) -> bytes:
        """Return the ETag of the compressed body if `packed` is true, else the ETag of the body without compression."""
        return b'"%s%s"' % (self.digest, b"-gzip" if packed else b"")

    @property
    def size(self) -> int:
        """An estimate of the memory that the response takes, in bytes."""
        return len(self.body) + len(self.packed or b"") + 1_000


def pack(body: bytes) -> tuple[bytes, bytes | None]:
    """Return the digest and the gzip of a body; None instead of the gzip if it saves too little."""
    digest = blake2b(body, digest_size=16).hexdigest().encode()
    packed = gzip.compress(body, 6, mtime=0) if len(body) > _WORTH_COMPRESSING else None
    return digest, packed if packed is not None and len(packed) < 0.9 * len(body) else None


@lru_cache(maxsize=256)
def _accepts_gzip(accepted: bytes) -> bool:
    """Return whether an Accept-Encoding header names gzip, and not with q=0."""
    for part in accepted.decode("latin-1").lower().split(","):
        coding, *parameters = (one.replace(" ", "") for one in part.split(";"))
        if coding == "gzip":
            return not any(re.fullmatch(r"q=0(\.0*)?", one) for one in parameters)
    return False


def _is_current(etag: bytes, given: bytes | None) -> bool:
    """Return whether If-None-Match names this ETag, as a strong or as a weak ETag."""
    if given is None:
        return False
    return any(one.strip().removeprefix(b"W/") in (etag, b"*") for one in given.split(b","))


def without_body(send: Send) -> Send:
    """Return a function that sends messages as `send` does, with an empty body."""

    async def stripped(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return stripped


async def send_response(
    response: CachedResponse, request_headers: dict[bytes, bytes], bodiless: bool, send: Send
) -> None:
    """Send a response, compressed if the client accepts that; status 304 if the client already has it.

    Args:
        response: the response.
        request_headers: headers of the request, with names in lower case.
        bodiless: whether to leave out the body, as in a response to HEAD.
        send: the function of ASGI that sends a message to the client.
    """
    packed = response.packed is not None and _accepts_gzip(request_headers.get(b"accept-encoding", b""))
    etag = response.etag(packed)
    headers = [*response.headers, (b"etag", etag)]
    if _is_current(etag, request_headers.get(b"if-none-match")):
        await send({"type": "http.response.start", "status": _NOT_MODIFIED, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    body = response.body
    if packed and response.packed is not None:
        body = response.packed
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless else body})
