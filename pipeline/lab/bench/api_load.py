"""Generates load for the API while a worker runs: a mix of reads, in turns with requests for an empty route.

Server, load generator and worker are three processes. The worker reads votes into the store that the server serves. A
connection sends a request when its previous request is answered. The empty route and the mix use the same connections
in turns, so that other load on the machine affects both.

The mix has the addresses that browsers and programs request, weighted by frequency. One request in a hundred is for the
receipt of a vote. Each of these requests names another vote, so its response is never in the cache. All other addresses
are requested once before the measurement, and the duration of these requests is reported. Immutable responses are then
in the cache. Other responses are computed again during the measurement, because the worker changes the store.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import Unavailable

EMPTY = "/empty"
_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of one kind of load: of the mixed reads, or of the requests for the empty route.

    Attributes:
        requests: number of answered requests.
        seconds: total duration in seconds.
        p50: median latency of a request, in seconds.
        p99: 99% quantile of the latency of a request, in seconds.
        statuses: HTTP status → number of responses.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        """Answered requests per second."""
        return self.requests / self.seconds


@dataclass
class LoadSamples:
    """The latencies in seconds and the statuses of all responses to one kind of load."""

    latencies: list[float]
    statuses: dict[int, int]
    seconds: float = 0.0

    def summarize(self) -> LoadResult:
        """Summarize the responses: their number, the percentiles of the latency, and the counts of statuses.

        There must be at least one response.
        """
        ordered = sorted(self.latencies)
        at = len(ordered) - 1
        return LoadResult(len(ordered), self.seconds, ordered[at // 2], ordered[round(at * 0.99)], dict(self.statuses))


class HttpConnection:
    """A minimal HTTP/1.1 client. A client library would need more time for a request than the server."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Open the connection to the server."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 22)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def get(self, path: str) -> tuple[int, bytes]:
        """Request a path, and return the status and the body of the response."""
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n\r\n"
        self._writer.write(request.encode())
        head = await self._reader.readuntil(_HEAD)
        status = int(head[9:12])
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        return status, await self._reader.readexactly(length) if length else b""


async def run_load(
    host: str, port: int, paths: Sequence[str], turns: int, seconds: float, connections: int
) -> list[LoadResult]:
    """Measure requests to the route /empty, which does no work, and requests to a mix of paths.

    The two kinds of requests alternate: a turn of /empty for some seconds, then a turn of the mix, and so on. All
    connections send requests at the same time.

    Args:
        host: host of the server.
        port: port of the server.
        paths: the mix. A path occurs several times in proportion to its weight.
        turns: number of turns of each kind.
        seconds: length of a turn in seconds.
        connections: number of open connections.

    Returns:
        Two results over all turns: the result of /empty, and the result of the mix.
    """
    opened = [HttpConnection(host, port) for _ in range(connections)]
    await asyncio.gather(*(one.open() for one in opened))
    kinds = [LoadSamples([], {}), LoadSamples([], {})]
    draws = random.Random(1)  # noqa: S311  # which page is read next
    mix = [draws.sample(paths, len(paths)) for _ in opened]
    places = [0] * len(opened)
    for turn in range(2 * turns):
        taken, until = kinds[turn % 2], time.perf_counter() + seconds
        started = time.perf_counter()

        async def read(which: int, empty: bool, taken: LoadSamples = taken, until: float = until) -> None:
            while (before := time.perf_counter()) < until:
                path = EMPTY if empty else mix[which][places[which] % len(paths)]
                places[which] += not empty
                status, _ = await opened[which].get(path)
                taken.latencies.append(time.perf_counter() - before)
                taken.statuses[status] = taken.statuses.get(status, 0) + 1

        await asyncio.gather(*(read(which, turn % 2 == 0) for which in range(len(opened))))
        taken.seconds += time.perf_counter() - started
    for one in opened:
        one.close()
    return [one.summarize() for one in kinds]


async def request_once(host: str, port: int, paths: Sequence[str]) -> float:
    """Request each path once, so that immutable responses are cached; return the total duration in seconds."""
    one = HttpConnection(host, port)
    await one.open()
    started = time.perf_counter()
    for path in paths:
        await one.get(path)
    one.close()
    return time.perf_counter() - started


async def wait_until_ready(host: str, port: int, seconds: float = 30.0) -> None:
    """Wait until the server answers.

    Raises:
        Unavailable: the server does not answer within this number of seconds.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        one = HttpConnection(host, port)
        try:
            await one.open()
            if (await one.get(EMPTY))[0] == 200:
                one.close()
                return
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.1)
    raise Unavailable(f"expected {host}:{port} to answer within {seconds:g} s, got no answer")
