"""Runs costly requests in a small pool of threads, so that they do not delay other requests.

At most `threads` requests run at the same time, each with a database connection reserved for the pool. At most `queue`
requests wait; further requests are refused immediately with status 503. A client that exceeds its limit per minute is
refused with status 429. Requests that are answered from the cache do not count towards these limits.
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
    """The thread pool in which costly requests run, with its limits.

    Args:
        rates: limits of the requests of each client.
        metrics: counters of refused requests.
        threads: largest number of requests that run at the same time.
        queue: largest number of requests that wait.
    """

    def __init__(self, rates: ClientRates, metrics: ApiMetrics, threads: int = THREADS, queue: int = _QUEUE) -> None:
        self._rates = rates
        self._metrics = metrics
        self._threads = anyio.CapacityLimiter(threads)
        self._most = threads + queue
        self._taken = 0

    async def run(self, request: Request, work: Callable[[], Result], *, limited: bool = True) -> Result:
        """Run `work` in a thread of the pool and return its result. Errors of `work` are raised unchanged.

        Args:
            request: the request.
            work: a function without arguments.
            limited: whether the request counts towards the limit of its client.

        Raises:
            Problem: status 429 if this client has reached its limit of requests, or 503 if `threads` + `queue` requests
                are running or waiting.
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
    """Return the text that identifies the client of a request: its IPv4 address, or its /64 IPv6 network.

    Behind a trusted proxy, this is the client of the proxy. The result is "" if the connection has no address.
    """
    return client_of(request.client.host) if request.client else ""


def refuse_if_too_often(rates: ClientRates, request: Request, metrics: ApiMetrics, what: str) -> None:
    """Raise an error if the client of a request has reached its limit.

    Args:
        rates: counts the requests of each client, and has the limit.
        request: the request.
        metrics: counters of refused requests.
        what: what the client sends too often, such as "invalid tokens", for the message of the error.

    Raises:
        Problem: status 429, with the number of seconds to wait.
    """
    seconds = rates.seconds_to_wait(requesting_client(request))
    if seconds > 0:
        metrics.refused.labels("rate").inc()
        wait = str(math.ceil(seconds))
        raise Problem(429, f"too many {what} from this address; try again in {wait} s", {"retry-after": wait})
