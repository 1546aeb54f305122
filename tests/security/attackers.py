"""Hostile clients of an HTTP server on this machine, as a process of their own.

    python -m tests.security.attackers KIND PORT SECONDS PATH …

It prints "under way" once the attack stands, and at its end one JSON document: what was sent, and how many connections
the server closed. Each attack is bounded in connections and in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

HOST = "127.0.0.1"
HALF = b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: "
MEGABYTE = 1 << 20


class Attack:
    """One attack: where it goes, for how long, and what it has seen."""

    def __init__(self, port: int, seconds: float, paths: list[str]) -> None:
        self.port, self.paths = port, paths
        self.ends = time.monotonic() + seconds
        self.seen: Counter[str] = Counter()

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.ends

    def report(self) -> None:
        print("under way", flush=True)  # noqa: T201

    async def connect(self, **options: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        wire = socket.socket()
        wire.setblocking(False)
        for name, value in options.items():
            wire.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        await asyncio.get_running_loop().sock_connect(wire, (HOST, self.port))
        return await asyncio.open_connection(sock=wire)

    async def many(self, number: int, one: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """So many at once; told of as under way after a second."""

        async def alone(which: int) -> None:
            try:
                await one(which)
            except (OSError, asyncio.IncompleteReadError):
                self.seen["closed"] += 1

        clients = [asyncio.create_task(alone(which)) for which in range(number)]
        await asyncio.sleep(1)
        self.report()
        await asyncio.gather(*clients)

    async def half_requests(self) -> None:
        """1,000 connections that send half a request, and nothing more."""

        async def one(_: int) -> None:
            reader, writer = await self.connect()
            writer.write(HALF)
            async with asyncio.timeout(max(0.1, self.ends - time.monotonic())):
                await reader.read()
                self.seen["closed"] += 1

        await self.many(1_000, quietly(one))

    async def slow_headers(self) -> None:
        """200 connections that send a byte of a header every 200 ms."""

        async def one(_: int) -> None:
            _, writer = await self.connect()
            writer.write(HALF)
            while self.goes_on:
                writer.write(b"a")
                await writer.drain()
                self.seen["bytes"] += 1
                await asyncio.sleep(0.2)

        await self.many(200, one)

    async def slow_bodies(self) -> None:
        """200 connections that send a byte of a body every 200 ms."""

        async def one(_: int) -> None:
            _, writer = await self.connect()
            writer.write(b"POST /api/v1/exclusions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: 60000\r\n\r\n{")
            while self.goes_on:
                writer.write(b" ")
                await writer.drain()
                self.seen["bytes"] += 1
                await asyncio.sleep(0.2)

        await self.many(200, one)

    async def slow_readers(self) -> None:
        """40 connections that ask for more than fits into the buffers, and read nothing."""

        async def one(which: int) -> None:
            _, writer = await self.connect(SO_RCVBUF=4_096)
            path = self.paths[which % len(self.paths)]
            for _ in range(10 if path.endswith("bundle") else 100):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await writer.drain()
                self.seen["requests"] += 1
                await asyncio.sleep(0.01)
            while self.goes_on:
                await asyncio.sleep(0.2)

        await self.many(40, one)

    async def large_headers(self) -> None:
        """300 MB of headers, in as many connections as it takes; then it starts again."""
        self.report()
        line = b"X-Large: " + b"a" * 7_000 + b"\r\n"
        block = line * (MEGABYTE // len(line))
        while self.goes_on and self.seen["bytes"] < 300 * MEGABYTE:
            await self._pour(b"GET / HTTP/1.1\r\nHost: x\r\n", block)
            await self._pour(b"GET / HTTP/1.1\r\nX-One-Line: ", b"a" * MEGABYTE)

    async def _pour(self, head: bytes, block: bytes) -> None:
        reader, writer = await self.connect()
        try:
            writer.write(head)
            for _ in range(300):
                writer.write(block)
                await writer.drain()
                self.seen["bytes"] += len(block)
            await reader.read(100)
        except OSError:
            self.seen["closed"] += 1
        finally:
            writer.transport.abort()

    async def pipelined(self) -> None:
        """50 connections that send a quarter of a megabyte of small requests at once, again and again."""

        async def one(_: int) -> None:
            while self.goes_on:
                _, writer = await self.connect()
                try:
                    writer.write(b"GET /empty HTTP/1.1\r\n\r\n" * 11_000)
                    await writer.drain()
                    await asyncio.sleep(0.2)
                except OSError:
                    self.seen["closed"] += 1
                finally:
                    writer.transport.abort()

        await self.many(50, one)

    async def costly(self) -> None:
        """24 costly requests at once, then 24 more that no cache can answer, again and again."""
        self.report()

        async def one(path: str) -> None:
            reader, writer = await self.connect()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            self.seen[head[9:12].decode()] += 1
            writer.transport.abort()

        wave = self.paths
        while self.goes_on:
            await asyncio.gather(*(one(path) for path in wave), return_exceptions=True)
            wave = [f"/changes?days={time.monotonic_ns() % 10**6 + which}e-5" for which in range(24)]


def quietly(one: Callable[[int], Awaitable[None]]) -> Callable[[int], Coroutine[Any, Any, None]]:
    """The same; at the end of the time it just ends."""

    async def wrapped(which: int) -> None:
        with contextlib.suppress(TimeoutError):
            await one(which)

    return wrapped


KINDS = ("half_requests", "slow_headers", "slow_bodies", "slow_readers", "large_headers", "pipelined", "costly")


def main() -> None:
    kind, port, seconds, *paths = sys.argv[1:]
    attack = Attack(int(port), float(seconds), paths)
    asyncio.run(getattr(attack, kind)())
    print(json.dumps(attack.seen), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
