"""Opening the store that a verb is about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline import settings as configuration
from pipeline.store import Store


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store that exists, open for the time of a verb.

    Raises:
        StoreUnavailable: it does not answer, or there is none.
    """
    store = Store.open(url, voter_key=configuration.load().key, create=False)
    try:
        yield store
    finally:
        store.close()


def now() -> int:
    """Wall clock in microseconds: for dates that people read."""
    return time.time_ns() // 1000
