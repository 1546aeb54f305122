"""Defines response headers that say how long clients, and the module `response_cache`, may cache a response.

The header `x-cache-until` is for the module `response_cache` only, which does not send it to clients.
"""

IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
"""Headers of responses that never change, because their address contains a digest."""

RENDERED = {"cache-control": "public, max-age=300", "x-cache-until": "forever"}
"""Headers of texts about a snapshot. Such a text changes only when the version of this program changes."""

DRAWN = {"cache-control": "public, max-age=300", "x-cache-until": "published"}
"""Headers of charts of a snapshot. They are not immutable: a model that the registry puts under test later is left out
of the chart."""

REVALIDATE = {"cache-control": "no-cache"}
"""Headers of responses that may change with each snapshot, alert or exclusion. Clients must ask before each use."""

UNTIL_PUBLISHED = {**REVALIDATE, "x-cache-until": "published"}
"""Headers of responses that change with the next snapshot or registry event, but not with alerts or exclusions."""

NO_STORE = {"cache-control": "no-store"}
"""Headers of responses that must not be cached."""
