"""Defines the security headers of all responses. The application and the HTTP server both add them."""

Header = tuple[bytes, bytes]

_NOBODY, _ANYBODY = b"'none'", b"*"


def _policy(framed_by: bytes, scripts: bytes = b"") -> Header:
    text = (
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors "
    )
    return b"content-security-policy", text + framed_by + scripts


_COMMON: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)

EVERYWHERE: tuple[Header, ...] = (_policy(_NOBODY), *_COMMON, (b"x-frame-options", b"DENY"))

OF_PAGES: tuple[Header, ...] = (*EVERYWHERE, (b"cross-origin-resource-policy", b"same-origin"))
"""The headers of pages. These headers prevent other sites from embedding a page, a style sheet or a chart."""

_OWN_SCRIPT = b"; script-src 'self'; connect-src 'self'"

OF_BOARDS: tuple[Header, ...] = (
    _policy(_NOBODY, _OWN_SCRIPT),
    *(one for one in OF_PAGES if one[0] != b"content-security-policy"),
)
"""The headers of boards. The script of a board is a file of this server, and may send requests to this server only."""

OF_THE_API: tuple[Header, ...] = (
    *EVERYWHERE,
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, X-Next-Cursor, Content-Disposition, Retry-After"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
"""The headers of API responses. Scripts of any site may read the API, but no header allows them to change anything."""

_FOR_OTHER_SITES: Header = (b"cross-origin-resource-policy", b"cross-origin")

OF_PICTURES: tuple[Header, ...] = (*EVERYWHERE, _FOR_OTHER_SITES)
"""The headers of badges and share cards, which other sites show as pictures."""

OF_FRAMES: tuple[Header, ...] = (_policy(_ANYBODY), *_COMMON, _FOR_OTHER_SITES)
"""The headers of the table that other sites show in a frame. It has no form, so a click in a frame changes nothing."""

_FRAMED, _PICTURES = "/embed/board", ("/badges/", "/cards/")


def headers_for(path: str) -> tuple[Header, ...]:
    """Return the security headers of a response, as pairs (name, value). `path` is the path of the request."""
    if path.startswith("/api/"):
        return OF_THE_API
    if path == _FRAMED:
        return OF_FRAMES
    if path == "/" or (path.startswith("/snapshots/") and path.endswith("/board")):
        return OF_BOARDS
    return OF_PICTURES if path.startswith(_PICTURES) else OF_PAGES


def strict_transport(days: int) -> Header:
    """Return the HSTS header. Browsers that receive it over TLS use only TLS for this number of days."""
    return b"strict-transport-security", b"max-age=%d" % (days * 86_400)
