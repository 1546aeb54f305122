"""Applies a function to every item of a pass in threads of this process."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from pipeline.compute.runner import ItemT, Result
from pipeline.compute.task import name_item
from pipeline.ratings.blas_threads import limited_blas

# More threads would only wait for each other, because about half of a pass holds Python's lock.
_MOST_THREADS = 4


class ThreadRunner:
    """Applies a function to every item of a pass in threads of this process.

    Args:
        threads: largest number of items that are processed at the same time; by default one for each processor, at most
            4.
    """

    in_process = True

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)

    def map(self, function: Callable[[ItemT], Result], items: Iterable[ItemT]) -> Iterator[Result]:
        """Yield the result of a function for each item, in the order of the items (`Runner.map`)."""
        left = iter(items)
        with limited_blas(), ThreadPoolExecutor(self._threads) as pool:
            waiting: deque[tuple[ItemT, Future[Result]]] = deque()
            try:
                waiting.extend((one, pool.submit(function, one)) for one in islice(left, self._threads))
                while waiting:
                    item, future = waiting.popleft()
                    try:
                        result = future.result()
                    except Exception as error:
                        name_item(error, item.name)
                        raise
                    waiting.extend((one, pool.submit(function, one)) for one in islice(left, 1))
                    yield result
            finally:
                for _, future in waiting:
                    future.cancel()
