"""The load of `bench api`: what is counted is what was answered."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress

import pytest

from pipeline.lab.bench import api_load


async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers /empty at once, anything else after five milliseconds; /gone is not found."""
    with closing(writer), suppress(asyncio.IncompleteReadError):
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            await asyncio.sleep(0 if path == b"/empty" else 0.005)
            status = b"404 Not Found" if path == b"/gone" else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\n{}")


def test_turns_are_counted_apart() -> None:
    async def story() -> list[api_load.LoadResult]:
        server = await asyncio.start_server(served, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await api_load.wait_until_ready("127.0.0.1", port)
        assert await api_load.request_once("127.0.0.1", port, ["/a", "/b"]) >= 0.01
        found = await api_load.run_load("127.0.0.1", port, ["/a", "/gone"], turns=2, seconds=0.2, connections=4)
        server.close()
        return found

    empty, mixed = asyncio.run(story())
    assert set(empty.statuses) == {200}
    assert set(mixed.statuses) == {200, 404}
    assert mixed.statuses[200] == pytest.approx(mixed.statuses[404], abs=4)
    assert sum(mixed.statuses.values()) == mixed.requests
    assert empty.rate > mixed.rate
    assert 0.005 <= mixed.p50 <= mixed.p99
    assert mixed.rate <= 4 / 0.005
