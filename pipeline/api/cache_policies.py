"""Headers that say how long a response may be cached, by clients (cache-control) and by `response_cache`."""

IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
"""For responses at an address with a digest, which never change."""

RENDERED = {"cache-control": "public, max-age=300", "x-cache-until": "forever"}
"""For texts and pictures of unchanging snapshots: they change only with the version of this program."""

REVALIDATE = {"cache-control": "no-cache"}
"""For responses that the next snapshot, alert or exclusion may change: clients must revalidate."""

UNTIL_PUBLISHED = {**REVALIDATE, "x-cache-until": "published"}
"""For responses that only the next snapshot or registry event changes, not alerts or exclusions."""

NO_STORE = {"cache-control": "no-store"}
"""Never cached."""
