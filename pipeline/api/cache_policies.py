"""Defines response headers that say how long clients, and the module `response_cache`, may cache a response.

The header `x-cache-until` is for the module `response_cache` only, which does not send it to clients.
"""

IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
"""For responses whose address contains a digest: they never change."""

RENDERED = {"cache-control": "public, max-age=300", "x-cache-until": "forever"}
"""For texts about a snapshot: they change only when the version of this program changes."""

DRAWN = {"cache-control": "public, max-age=300", "x-cache-until": "published"}
"""For charts of a snapshot. They change if the registry puts a model under test, which is then no longer drawn."""

REVALIDATE = {"cache-control": "no-cache"}
"""For responses that may change with the next snapshot, alert or exclusion: clients must ask again before each use."""

UNTIL_PUBLISHED = {**REVALIDATE, "x-cache-until": "published"}
"""For responses that change with the next snapshot or registry event, but not with alerts or exclusions."""

NO_STORE = {"cache-control": "no-store"}
"""For responses that must not be cached."""
