"""The headers of every response, whether the application or the server writes the response."""

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
"""No other site embeds a page, a style sheet or a chart."""

OF_THE_API: tuple[Header, ...] = (
    *EVERYWHERE,
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, X-Next-Cursor, Content-Disposition, Retry-After"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
"""Any site may read the API; without credentials and allowed methods, none can change anything through it."""


def strict_transport(days: int) -> Header:
    """Return the HSTS header for responses over TLS: browsers use only TLS for so many days."""
    return b"strict-transport-security", b"max-age=%d" % (days * 86_400)
