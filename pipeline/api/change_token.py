"""A token that changes with the store, so that a cached response can be checked."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

PERIOD = 1.0
"""Seconds between two reads of the token; a cached response is at most this much older than the store."""


class ChangeToken:
    """Reads the token at most once in `PERIOD` seconds; concurrent requests share one read.

    The decorators of cachetools would not share one asynchronous computation.

    Args:
        read: reads numbers from the store, some of which grow with every change.
        clock: returns seconds; monotonic.
    """

    def __init__(self, read: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._token: Any = None
        self._due = float("-inf")
        self._reading: asyncio.Task[Any] | None = None

    async def current(self) -> Any:
        """Return the token; read it from the store if the last read is older than `PERIOD`."""
        if self._clock() < self._due:
            return self._token
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._refresh())
        return await asyncio.shield(self._reading)

    def expire(self) -> None:
        """Make the next request read the token, because this process has just changed the store."""
        self._due = float("-inf")

    async def _refresh(self) -> Any:
        try:
            self._token = await self._read()
            self._due = self._clock() + PERIOD
            return self._token
        finally:
            self._reading = None
