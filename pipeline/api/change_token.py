"""Reads the change token, by which the response cache notices changes. The token changes whenever the store changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

PERIOD = 1.0
"""The shortest time in seconds between two reads of the token. A cached response is outdated by at most this time."""


class ChangeToken:
    """Keeps the change token of the store, and reads it at most once in `PERIOD` seconds.

    Concurrent requests share one read.

    Args:
        read: reads the token from the store. The token consists of numbers, at least one of which changes whenever the
            store changes.
        clock: returns the time in seconds from a monotonic clock.
    """

    def __init__(self, read: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._token: Any = None
        self._due = float("-inf")
        self._reading: asyncio.Task[Any] | None = None

    async def current(self) -> Any:
        """Return the change token.

        The token is read from the store if `expire` was called or if the last read is at least `PERIOD` seconds old.
        """
        if self._clock() < self._due:
            return self._token
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._refresh())
        return await asyncio.shield(self._reading)

    def expire(self) -> None:
        """Make the next call of `current` read the store. This is called after this process has changed the store."""
        self._due = float("-inf")

    async def _refresh(self) -> Any:
        try:
            self._token = await self._read()
            self._due = self._clock() + PERIOD
            return self._token
        finally:
            self._reading = None
