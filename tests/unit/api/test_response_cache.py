"""The response cache, in front of an application that counts its calls."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pipeline.api.change_token import ChangeToken
from pipeline.api.response_cache import ResponseCache

BODY = b"a line that repeats itself\n" * 200


class CountingApp:
    """Responds after a moment, and counts its calls."""

    def __init__(self, policy: str, status: int = 200, body: bytes = BODY) -> None:
        self.headers = [(b"cache-control", policy.encode()), (b"content-type", b"text/plain")]
        self.status, self.body, self.times = status, body, 0

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.times += 1
        await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


class FakeStore:
    """A store with a settable token and store."""

    def __init__(self) -> None:
        self.now, self.token, self.reads = 0.0, 0, 0
        self.error: Exception | None = None

    async def read(self) -> int:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.token

    def changes(self) -> ChangeToken:
        return ChangeToken(self.read, lambda: self.now)


async def request(
    app: ResponseCache, path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": given}
    await app(scope, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message["body"] for message in sent[1:])


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]  # every scenario is a coroutine


def test_an_immutable_response_is_computed_once_whatever_the_store_does() -> None:
    async def scenario() -> None:
        store, made = FakeStore(), CountingApp("public, max-age=31536000, immutable")
        app = ResponseCache(made, store.changes())
        for store.now in (0.0, 10.0, 20.0):
            store.token += 1
            assert (await request(app))[2] == BODY
        assert made.times == 1

    run(scenario)


def test_other_responses_are_valid_until_the_token_changes_and_it_is_read_once_a_second() -> None:
    async def scenario() -> None:
        store, made = FakeStore(), CountingApp("no-cache")
        app = ResponseCache(made, store.changes())
        for _ in range(5):
            await request(app)
        assert (made.times, store.reads) == (1, 1)
        store.token = 1
        await request(app)  # within the second: it may be behind
        assert made.times == 1
        store.now = 1.5
        await request(app)
        assert (made.times, store.reads) == (2, 2)

    run(scenario)


def test_a_response_until_published_stays_valid_through_other_changes() -> None:
    async def scenario() -> None:
        store, made = FakeStore(), CountingApp("no-cache")
        made.headers.append((b"x-cache-until", b"published"))
        app = ResponseCache(made, store.changes(), published=lambda token: token // 10)
        for store.now, store.token, times in ((0.0, 10, 1), (2.0, 11, 1), (4.0, 19, 1), (6.0, 20, 2)):
            _, headers, _ = await request(app)
            assert made.times == times
            assert "x-cache-until" not in headers

    run(scenario)


def test_concurrent_requests_share_one_computation_unless_it_is_uncacheable() -> None:
    async def scenario() -> None:
        for policy, times in (("no-cache", 1), ("immutable", 1)):
            made = CountingApp(policy)
            app = ResponseCache(made, FakeStore().changes())
            answers = await asyncio.gather(*(request(app) for _ in range(20)))
            assert {answer[2] for answer in answers} == {BODY}
            assert made.times == times
        never = CountingApp("no-store")
        app = ResponseCache(never, FakeStore().changes())
        await asyncio.gather(*(request(app) for _ in range(20)))
        assert never.times == 20

    run(scenario)


@pytest.mark.parametrize("status", [404, 422, 500, 503])
def test_an_error_is_never_cached(status: int) -> None:
    async def scenario() -> None:
        made = CountingApp("immutable", status)
        app = ResponseCache(made, FakeStore().changes())
        assert [(await request(app))[0] for _ in range(3)] == [status] * 3
        assert made.times == 3

    run(scenario)


def test_immutable_responses_stay_while_the_store_does_not_answer() -> None:
    from pipeline.errors import StoreUnavailable

    async def scenario() -> None:
        store, made = FakeStore(), CountingApp("immutable")
        app = ResponseCache(made, store.changes())
        await request(app)
        store.now, store.error = 100.0, StoreUnavailable("gone")
        assert (await request(app))[0] == 200
        assert made.times == 1
        other = CountingApp("no-cache")
        app = ResponseCache(other, store.changes())
        await request(app)
        await request(app)
        assert other.times == 2  # computed each time, so that it reports the missing store

    run(scenario)


def test_a_known_etag_gets_304_and_gzip_gets_a_smaller_body() -> None:
    async def scenario() -> None:
        app = ResponseCache(CountingApp("immutable"), FakeStore().changes())
        status, headers, body = await request(app)
        assert (status, int(headers["content-length"])) == (200, len(BODY))
        assert (await request(app, if_none_match=headers["etag"]))[::2] == (304, b"")
        assert (await request(app, if_none_match='"another"'))[0] == 200
        packed = await request(app, accept_encoding="gzip, br")
        assert (packed[1]["content-encoding"], gzip.decompress(packed[2])) == ("gzip", body)
        assert len(packed[2]) < len(body) / 5
        head = await request(app, method="HEAD")
        assert (head[0], head[1]["etag"], head[2]) == (200, headers["etag"], b"")

    run(scenario)


def test_the_budget_evicts_the_oldest() -> None:
    async def scenario() -> None:
        made = CountingApp("immutable", body=bytes(range(256)) * 40)
        app = ResponseCache(made, FakeStore().changes(), budget=60_000)
        for path in "abcdefgh":
            await request(app, "/" + path)
        await request(app, "/h")
        assert made.times == 8
        await request(app, "/a")
        assert made.times == 9

    run(scenario)


def test_a_token_gets_what_everybody_gets_unless_operators_get_more() -> None:
    async def scenario() -> None:
        for vary, calls in ((None, 1), (b"Accept, Authorization", 3)):
            made = CountingApp("public, max-age=31536000, immutable")
            made.headers += [(b"vary", vary)] if vary else []
            app = ResponseCache(made, FakeStore().changes())
            assert (await request(app, authorization="Bearer guess"))[2] == BODY  # passes through and is not cached
            assert not app._cached
            await request(app)
            for _ in range(2):
                assert (await request(app, method="HEAD", authorization="Bearer guess"))[0::2] == (200, b"")
            assert made.times == 1 + calls

    run(scenario)


def test_nobody_waits_for_the_slow_reader_of_a_response_that_is_not_cached() -> None:
    async def scenario() -> None:
        app = ResponseCache(CountingApp("no-store"), FakeStore().changes())
        asked, read = asyncio.Event(), asyncio.Event()

        async def slowly(_message: Any) -> None:
            asked.set()
            await read.wait()

        async def receive() -> Any:
            return {"type": "http.request"}

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        slow = asyncio.create_task(app(scope, receive, slowly))
        await asked.wait()
        assert (await asyncio.wait_for(request(app), 5))[2] == BODY
        read.set()
        await slow

    run(scenario)
