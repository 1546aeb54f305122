"""Runs costly requests in a small pool of their own, so that they delay nobody else.

Laws: at most `threads` run, each on a connection of the store's pool that is kept for them; at most `queue` wait, and
the next one is refused at once (503); a client may ask for so many a minute (429). A response from the cache costs
nothing and is not counted.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from pipeline.api.client_rates import ClientRates, client_of
from pipeline.api.error_responses import Problem
from pipeline.metrics import ApiMetrics

Result = TypeVar("Result")

THREADS = 2
_QUEUE = 16


class CostlyWork:
    """The pool.

    Args:
        rates: how many a client may ask for.
        threads: how many run at once.
        queue: how many wait.
    """

    def __init__(self, rates: ClientRates, metrics: ApiMetrics, threads: int = THREADS, queue: int = _QUEUE) -> None:
        self._rates = rates
        self._metrics = metrics
        self._threads = anyio.CapacityLimiter(threads)
        self._most = threads + queue
        self._taken = 0

    async def run(self, request: Request, work: Callable[[], Result], *, limited: bool = True) -> Result:
        """Run this in a thread of the pool and return its result.

        Args:
            limited: count it against the rate of the client.

        Raises:
            Problem: 429, this client asks too often; 503, too many wait.
        """
        if limited:
            refuse_if_too_often(self._rates, request, self._metrics, "costly requests")
            self._rates.count(requesting_client(request))
        if self._taken >= self._most:
            self._metrics.refused.labels("busy").inc()
            raise Problem(503, "too many costly requests wait; try again", {"retry-after": "2"})
        self._taken += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        finally:
            self._taken -= 1


def requesting_client(request: Request) -> str:
    """Return who sent a request; behind a trusted proxy, the client that it names."""
    return client_of(request.client.host) if request.client else ""


def refuse_if_too_often(rates: ClientRates, request: Request, metrics: ApiMetrics, what: str) -> None:
    """Refuse a request of a client that has used up its rate.

    Raises:
        Problem: 429, with the seconds to wait.
    """
    seconds = rates.seconds_to_wait(requesting_client(request))
    if seconds > 0:
        metrics.refused.labels("rate").inc()
        wait = str(math.ceil(seconds))
        raise Problem(429, f"too many {what} from this address; try again in {wait} s", {"retry-after": wait})
