"""Load on the API beside a running worker: mixed reads against an empty route, in turns.

The server is one process, the load another, the worker a third that reads the rest of the story over and over into the
served store. The load is a closed loop of connections that are kept open; the empty route and the mix take turns on the
same connections, so that both meet the same machine. The mix: what browsers and programs ask for, each with its weight;
one read in a hundred is a receipt of a vote that nobody has asked for before, which no kept answer helps. Every other
address is asked for once before the clock starts (how long that takes is told too): what is immutable is made once in
the life of a server; what is not, the worker's alerts make again while the clock runs.
"""

from __future__ import annotations

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
    """What a stretch of requests took.

    Attributes:
        requests: answered.
        seconds: of the whole.
        p50, p99: seconds of one.
        statuses: how many of each.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass
class LoadSamples:
    """Latencies and statuses of one kind of load, over its turns."""

    latencies: list[float]
    statuses: dict[int, int]
    seconds: float = 0.0

    def load(self) -> LoadResult:
        """Summed up."""
        ordered = sorted(self.latencies)
        at = len(ordered) - 1
        return LoadResult(len(ordered), self.seconds, ordered[at // 2], ordered[round(at * 0.99)], dict(self.statuses))


class HttpConnection:
    """HTTP/1.1 by hand: a client library would take longer than the server."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 22)

    def close(self) -> None:
        """Let go."""
        self._writer.close()

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
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
    """Let the empty route and the mix take turns.

    Args:
        host, port: of the server.
        paths: the mix, drawn from as it stands; more of one for more weight.
        turns: of each.
        seconds: of a turn.
        connections: kept open.

    Returns:
        The load of the empty route and that of the mix.
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
    return [one.load() for one in kinds]


async def request_once(host: str, port: int, paths: Sequence[str]) -> float:
    """Ask for each address once: what is immutable is made here, before the clock.

    Returns:
        Seconds.
    """
    one = HttpConnection(host, port)
    await one.open()
    started = time.perf_counter()
    for path in paths:
        await one.get(path)
    one.close()
    return time.perf_counter() - started


async def wait_until_ready(host: str, port: int, seconds: float = 30.0) -> None:
    """Until the server answers.

    Raises:
        Unavailable: it does not.
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
    raise Unavailable(f"expected an answer from {host}:{port} within {seconds:g} s")
