"""Load generator for the API: mixed reads and an empty route alternate while a worker runs.

Server, load and worker are three processes; the worker reads votes into the served store. The load is a closed loop
over open connections. The empty route and the mix alternate on the same connections, so that both meet the same machine
state. The mix contains what browsers and programs request, by weight; one request in a hundred is a receipt of a
different vote, which no cached response serves. Every other address is requested once before the measurement (its
duration is reported): immutable responses are then cached for the life of a server; other responses are computed again
during the measurement, as the worker changes the store.
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
    """Result of one kind of load.

    Attributes:
        requests: answered requests.
        seconds: total duration.
        p50, p99: latency of a request, seconds.
        statuses: responses by status.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


@dataclass
class LoadSamples:
    """Latencies, seconds, and statuses of one kind of load over its turns."""

    latencies: list[float]
    statuses: dict[int, int]
    seconds: float = 0.0

    def summarize(self) -> LoadResult:
        """Return rate and percentiles."""
        ordered = sorted(self.latencies)
        at = len(ordered) - 1
        return LoadResult(len(ordered), self.seconds, ordered[at // 2], ordered[round(at * 0.99)], dict(self.statuses))


class HttpConnection:
    """A minimal HTTP/1.1 client: a client library would need more time than the server."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 22)

    def close(self) -> None:
        """Close."""
        self._writer.close()

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
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
    """Alternate the empty route and the mix.

    Args:
        host, port: address of the server.
        paths: the mix; an address occurs as often as its weight says.
        turns: number of turns of the empty route, and of the mix.
        seconds: length of a turn.
        connections: number of open connections.

    Returns:
        The results of the empty route and of the mix.
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
    """Request each address once, so that immutable responses are cached. Return the duration in seconds."""
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
        Unavailable: no answer within `seconds`.
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
