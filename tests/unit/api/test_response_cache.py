"""The response cache, over an application that counts how often it is asked."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pipeline.api.change_token import ChangeToken
from pipeline.api.response_cache import ResponseCache

BODY = b"a line that repeats itself\n" * 200


class Made:
    """Answers with what it is told to, after a moment."""

    def __init__(self, policy: str, status: int = 200, body: bytes = BODY) -> None:
        self.headers = [(b"cache-control", policy.encode()), (b"content-type", b"text/plain")]
        self.status, self.body, self.times = status, body, 0

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.times += 1
        await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


class Clock:
    """Time that is set, and a store whose token is set."""

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


async def asked(
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


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]  # every story is a coroutine


def test_what_is_immutable_is_made_once_whatever_the_store_does() -> None:
    async def story() -> None:
        clock, made = Clock(), Made("public, max-age=31536000, immutable")
        app = ResponseCache(made, clock.changes())
        for clock.now in (0.0, 10.0, 20.0):
            clock.token += 1
            assert (await asked(app))[2] == BODY
        assert made.times == 1

    run(story)


def test_other_responses_are_valid_until_the_token_changes_and_it_is_read_once_a_second() -> None:
    async def story() -> None:
        clock, made = Clock(), Made("no-cache")
        app = ResponseCache(made, clock.changes())
        for _ in range(5):
            await asked(app)
        assert (made.times, clock.reads) == (1, 1)
        clock.token = 1
        await asked(app)  # within the second: it may be behind
        assert made.times == 1
        clock.now = 1.5
        await asked(app)
        assert (made.times, clock.reads) == (2, 2)

    run(story)


def test_what_a_publication_changes_stands_through_everything_else() -> None:
    async def story() -> None:
        clock, made = Clock(), Made("no-cache")
        made.headers.append((b"x-cache-until", b"published"))
        app = ResponseCache(made, clock.changes(), published=lambda token: token // 10)
        for clock.now, clock.token, times in ((0.0, 10, 1), (2.0, 11, 1), (4.0, 19, 1), (6.0, 20, 2)):
            _, headers, _ = await asked(app)
            assert made.times == times
            assert "x-cache-until" not in headers

    run(story)


def test_what_many_ask_for_at_once_is_made_once_unless_it_is_uncacheable() -> None:
    async def story() -> None:
        for policy, times in (("no-cache", 1), ("immutable", 1)):
            made = Made(policy)
            app = ResponseCache(made, Clock().changes())
            answers = await asyncio.gather(*(asked(app) for _ in range(20)))
            assert {answer[2] for answer in answers} == {BODY}
            assert made.times == times
        never = Made("no-store")
        app = ResponseCache(never, Clock().changes())
        await asyncio.gather(*(asked(app) for _ in range(20)))
        assert never.times == 20

    run(story)


@pytest.mark.parametrize("status", [404, 422, 500, 503])
def test_an_error_is_never_cached(status: int) -> None:
    async def story() -> None:
        made = Made("immutable", status)
        app = ResponseCache(made, Clock().changes())
        assert [(await asked(app))[0] for _ in range(3)] == [status] * 3
        assert made.times == 3

    run(story)


def test_a_store_that_does_not_answer_takes_nothing_that_is_immutable_away() -> None:
    from pipeline.errors import StoreUnavailable

    async def story() -> None:
        clock, made = Clock(), Made("immutable")
        app = ResponseCache(made, clock.changes())
        await asked(app)
        clock.now, clock.error = 100.0, StoreUnavailable("gone")
        assert (await asked(app))[0] == 200
        assert made.times == 1
        other = Made("no-cache")
        app = ResponseCache(other, clock.changes())
        await asked(app)
        await asked(app)
        assert other.times == 2  # asked anew each time: it says itself that the store is away

    run(story)


def test_a_reader_who_has_it_gets_no_body_and_one_who_unpacks_gets_less() -> None:
    async def story() -> None:
        app = ResponseCache(Made("immutable"), Clock().changes())
        status, headers, body = await asked(app)
        assert (status, int(headers["content-length"])) == (200, len(BODY))
        assert (await asked(app, if_none_match=headers["etag"]))[::2] == (304, b"")
        assert (await asked(app, if_none_match='"another"'))[0] == 200
        packed = await asked(app, accept_encoding="gzip, br")
        assert (packed[1]["content-encoding"], gzip.decompress(packed[2])) == ("gzip", body)
        assert len(packed[2]) < len(body) / 5
        head = await asked(app, method="HEAD")
        assert (head[0], head[1]["etag"], head[2]) == (200, headers["etag"], b"")

    run(story)


def test_the_budget_is_kept_and_the_oldest_go() -> None:
    async def story() -> None:
        made = Made("immutable", body=bytes(range(256)) * 40)
        app = ResponseCache(made, Clock().changes(), budget=60_000)
        for path in "abcdefgh":
            await asked(app, "/" + path)
        await asked(app, "/h")
        assert made.times == 8
        await asked(app, "/a")
        assert made.times == 9

    run(story)
