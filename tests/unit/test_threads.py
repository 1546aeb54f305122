"""Work ahead in a thread: everything, in order, and nothing left running."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from pipeline.concurrency import ahead, beside, short_turns


class Numbers:
    """Counts how far it was asked, and whether it was closed."""

    def __init__(self, end: int, fails_at: int | None = None) -> None:
        self.end, self.fails_at, self.made, self.closed = end, fails_at, 0, False

    def run(self) -> Generator[int, None, None]:
        try:
            for number in range(self.end):
                if number == self.fails_at:
                    raise OSError("the disk is away")
                self.made += 1
                yield number
        finally:
            self.closed = True


def test_everything_comes_in_its_order() -> None:
    given = Numbers(500)
    assert list(ahead(given.run(), 3)) == list(range(500))
    assert given.closed


def test_what_fails_is_raised_in_its_place() -> None:
    found = []
    with pytest.raises(OSError, match="the disk is away"):
        for number in ahead(Numbers(9, fails_at=5).run(), 2):
            found.append(number)  # noqa: PERF402 - what came before the failure is asked for
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_whoever_wants_no_more_leaves_no_thread_and_an_iterator_that_is_closed(taken: int) -> None:
    before = threading.active_count()
    given = Numbers(10_000)
    with closing(ahead(given.run(), 2)) as numbers:
        for _ in range(taken):
            next(numbers)
    assert threading.active_count() == before
    assert given.made <= taken + 2 + 2
    assert given.closed or taken == 0  # never begun


def test_what_is_done_beside_gives_what_it_gave_or_raises_what_it_raised_every_time_it_is_asked() -> None:
    going = threading.Event()
    wait = beside(lambda: going.wait(10))
    going.set()
    assert (wait(), wait()) == (True, True)

    def fails() -> None:
        raise OSError("the disk is away")

    failed = beside(fails)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is away"):
            failed()


def test_short_turns_end_even_where_something_fails() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(ValueError, match="bad"), short_turns():
        assert sys.getswitchinterval() < before
        raise ValueError("bad")
    assert sys.getswitchinterval() == before
