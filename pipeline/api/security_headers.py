"""Defines the security headers of every response, whether the application or the HTTP server writes the response."""

Header = tuple[bytes, bytes]

EVERYWHERE: tuple[Header, ...] = (
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

OF_PAGES: tuple[Header, ...] = (*EVERYWHERE, (b"cross-origin-resource-policy", b"same-origin"))
"""The headers of pages. They prevent other sites from embedding a page, a style sheet or a chart."""

OF_THE_API: tuple[Header, ...] = (
    *EVERYWHERE,
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, X-Next-Cursor, Content-Disposition, Retry-After"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
"""The headers of API responses. Scripts of any site may read the API, but no header allows them to change anything."""


def strict_transport(days: int) -> Header:
    """Return the HSTS header for responses over TLS, which lets browsers use only TLS for this number of days."""
    return b"strict-transport-security", b"max-age=%d" % (days * 86_400)
