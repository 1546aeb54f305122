"""Work in a thread beside the caller's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

One = TypeVar("One")
Result = TypeVar("Result")

# Python's own 5 ms are as long as what a batch takes elsewhere: a thread that needs the lock for a moment, between two
# calls of Arrow or of the database, would wait that long each time.
_TURN = 0.0002
_END = object()


@contextmanager
def short_turns() -> Iterator[None]:
    """While threads work hand in hand: Python's lock changes hands after 0.2 ms, if another thread waits for it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def beside(work: Callable[[], Result]) -> Callable[[], Result]:
    """Do work in a thread.

    Returns:
        What waits for it, and gives what it gave or raises what it raised; may be asked again.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result


def ahead(given: Generator[One, None, None], depth: int) -> Generator[One, None, None]:
    """What an iterator gives, made ahead by a thread.

    Args:
        given: runs in the thread alone; is closed when the caller wants no more.
        depth: how many may wait for the caller.

    Raises:
        Exception: what `given` raised, in its place.

    >>> list(ahead((letter for letter in "abc"), 2))
    ['a', 'b', 'c']
    """
    waiting: Queue[object] = Queue(depth)
    stop, failed = Event(), list[BaseException]()

    def run() -> None:
        try:
            for one in given:
                waiting.put(one)
                if stop.is_set():
                    return
        except BaseException as error:
            failed.append(error)
        finally:
            given.close()
            waiting.put(_END)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while (one := waiting.get()) is not _END:
            yield one  # type: ignore[misc]
        if failed:
            raise failed[0]
    finally:
        stop.set()
        while thread.is_alive():
            # Whoever is stopped early may have it stand before a full queue.
            if not waiting.empty():
                waiting.get()
            thread.join(0.001)
