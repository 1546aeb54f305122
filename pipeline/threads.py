"""Work in a thread beside the caller's."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

One = TypeVar("One")
_END = object()


def ahead(given: Iterator[One], depth: int) -> Generator[One, None, None]:
    """What an iterator gives, made ahead by a thread.

    Args:
        given: runs in the thread alone.
        depth: how many may wait for the caller.

    Raises:
        Exception: what `given` raised, in its place.

    >>> list(ahead(iter("abc"), 2))
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
