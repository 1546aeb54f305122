"""Threads: every item in order, every error in its place, no thread left running."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from pipeline.concurrency import prefetch, run_in_thread, short_switch_interval


class Numbers:
    """A generator that counts its items and notes whether it was closed."""

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


def test_prefetch_yields_every_item_in_order() -> None:
    given = Numbers(500)
    assert list(prefetch(given.run(), 3)) == list(range(500))
    assert given.closed


def test_an_error_is_raised_after_the_items_before_it() -> None:
    found = []
    with pytest.raises(OSError, match="the disk is away"):
        for number in prefetch(Numbers(9, fails_at=5).run(), 2):
            found.append(number)  # noqa: PERF402 - the items before the error are compared below
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_stopping_early_ends_the_thread_and_closes_the_generator(taken: int) -> None:
    before = threading.active_count()
    given = Numbers(10_000)
    with closing(prefetch(given.run(), 2)) as numbers:
        for _ in range(taken):
            next(numbers)
    assert threading.active_count() == before
    assert given.made <= taken + 2 + 2
    assert given.closed or taken == 0  # never begun


def test_every_wait_for_a_thread_returns_its_result_or_raises_its_error() -> None:
    going = threading.Event()
    wait = run_in_thread(lambda: going.wait(10))
    going.set()
    assert (wait(), wait()) == (True, True)

    def fails() -> None:
        raise OSError("the disk is away")

    failed = run_in_thread(fails)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is away"):
            failed()


def test_the_switch_interval_is_restored_after_an_error() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(ValueError, match="bad"), short_switch_interval():
        assert sys.getswitchinterval() < before
        raise ValueError("bad")
    assert sys.getswitchinterval() == before
