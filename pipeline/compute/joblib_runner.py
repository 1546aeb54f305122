"""Applies functions through joblib: in processes of this machine, or on a cluster that joblib has a backend for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs, parallel_config

from pipeline.compute.engine import Engine
from pipeline.compute.runner import ItemT, Result
from pipeline.compute.task import Done, Failed, attempt, name_item
from pipeline.errors import Unavailable

# Items in flight for each worker: while one is processed, the next one is there.
_IN_FLIGHT = 2
# Memory of the items in flight.
_MOST_BYTES = 256 * 2**20
_ATTEMPTS = 4
_NAMED = 3


class JoblibRunner:
    """Applies functions to items with a backend of joblib.

    Items are sent in rounds. A round ends when all its results are there, so only the results of one round are in
    memory. Joblib's own generator has no such bound, and does not work with every backend.

    Args:
        engine: the engine, for messages.
        backend: name of joblib's backend.
        workers: number of workers; −1 for all that the backend has.
        options: options of the backend.
    """

    in_process = False

    def __init__(self, engine: Engine, backend: str, workers: int = -1, **options: Any) -> None:
        self._engine, self._backend, self._workers, self._options = engine, backend, workers, options

    def map(self, function: Callable[[ItemT], Result], items: Iterable[ItemT]) -> Iterator[Result]:
        """Yield the result of a function for each item, in the order of the items (`Runner.map`)."""
        with self._configured():
            workers = effective_n_jobs(self._workers)
        left = iter(items)
        for first in left:
            rest = _up_to(first.sent_bytes, left, _IN_FLIGHT * workers - 1)
            taken = list(chain((first,), rest))
            for item, found in zip(taken, self._run(function, taken), strict=True):
                if isinstance(found, Failed):
                    error = found.error()
                    name_item(error, item.name)
                    raise error
                yield found.result

    def _run(self, function: Callable[[ItemT], Result], items: list[ItemT]) -> list[Done[Result] | Failed]:
        """Return the results of some items. If workers are lost, all the items are sent again.

        `attempt` returns errors of `function` as values. So an exception from joblib means that workers were lost.
        """
        lost: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                with self._configured():
                    found: list[Done[Result] | Failed] = Parallel(n_jobs=self._workers, batch_size=1)(
                        delayed(attempt)((function, item)) for item in items
                    )
            except Exception as error:
                lost = error
            else:
                return found
        named = ", ".join(item.name for item in items[:_NAMED])
        more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
        raise Unavailable(
            f"INTEGRITY_COMPUTE={self._engine}: expected results for {named}{more}, but the workers were lost "
            f"{_ATTEMPTS} times, the last time with {type(lost).__name__}: {lost}. Does a worker have too little "
            "memory? INTEGRITY_COMPUTE=local needs no workers"
        ) from lost

    def _configured(self) -> AbstractContextManager[Any]:
        config: AbstractContextManager[Any] = parallel_config(
            backend=self._backend, n_jobs=self._workers, **self._options
        )
        return config


def _up_to(sent: int, items: Iterator[ItemT], number: int) -> Iterator[ItemT]:
    """Yield at most `number` items. Stop earlier when more than _MOST_BYTES are with the workers.

    `sent` is the number of bytes of the items sent earlier, which count too.
    """
    for _ in range(number):
        if sent > _MOST_BYTES:
            return
        item = next(items, None)
        if item is None:
            return
        sent += item.sent_bytes
        yield item
