"""Runs work in a thread while the caller's thread goes on."""

import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Python's default of 5 ms is as long as other steps of a batch: a thread that needs the interpreter lock for a moment,
# between two calls of Arrow or of the database, would wait that long each time.
_SWITCH_SECONDS = 0.0002
_END = object()


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Within a `with` block, give the interpreter lock to a waiting thread after 0.2 ms instead of 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def run_in_thread(work: Callable[[], Result]) -> Callable[[], Result]:
    """Start `work` in a thread.

    Returns:
        A function that waits for the thread, then returns the result of `work` or raises the error of `work`. The
            function may be called repeatedly.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result


def prefetch(items: Generator[Item, None, None], depth: int) -> Generator[Item, None, None]:
    """Yield the items of a generator, which runs in a thread and computes the next items in advance.

    Args:
        items: the generator. It runs in the thread only, and is closed there, also when the caller stops early.
        depth: the largest number of computed items in the queue. One more item may wait for a place in the queue.

    Raises:
        Exception: the error that `items` raised, after all items before the error were yielded.

    >>> list(prefetch((letter for letter in "abc"), 2))
    ['a', 'b', 'c']
    """
    queue: Queue[object] = Queue(depth)
    stop, errors = Event(), list[BaseException]()

    def run() -> None:
        try:
            for item in items:
                queue.put(item)
                if stop.is_set():
                    return
        except BaseException as error:
            errors.append(error)
        finally:
            items.close()
            queue.put(_END)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not _END:
            yield item  # type: ignore[misc]
        if errors:
            raise errors[0]
    finally:
        stop.set()
        while thread.is_alive():
            # A caller that stops early may leave the thread waiting at a full queue.
            if not queue.empty():
                queue.get()
            thread.join(0.001)
