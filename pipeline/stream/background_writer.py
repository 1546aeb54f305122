"""Who writes: one batch at a time, beside the reading where that helps.

psycopg lets go of the interpreter while the server works, so with PostgreSQL the next batch is polled and decoded
meanwhile. SQLite works in this process and asks for the interpreter back after every row: there, a thread of its
own would wait for it five milliseconds a row, so the batch is written in line.

Laws: never more than one batch is being written; batches are written in the order in which they were given; what
went wrong is raised where the result is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Generic, TypeVar

Result = TypeVar("Result")

# A consumer that does not poll for a while is thrown out of its group: looked after this often, in seconds.
_LOOK_AFTER = 1.0


class Pen(Generic[Result]):
    """Writes batches, one at a time."""

    def __init__(self, beside: bool) -> None:
        """Write beside the reading, or in line."""
        self.beside = beside
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pen") if beside else None
        self._writing: Future[Result] | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch was given whose result was not asked for."""
        return self._writing is not None

    def start(self, batch: Callable[[], Result]) -> None:
        """Begin to write a batch; the one before must be finished."""
        if self._writing is not None:
            raise ValueError("expected the batch before to be finished")
        self._writing = self._thread.submit(batch) if self._thread else _done(batch)

    def finish(self, meanwhile: Callable[[], None]) -> Result:
        """Wait for the batch, and give what it gave or raise what it raised.

        Args:
            meanwhile: called every second of the wait.
        """
        writing = self._writing
        if writing is None:
            raise ValueError("expected a batch that is being written, got none")
        while True:
            try:
                result = writing.result(_LOOK_AFTER)
            except NotYet:
                if writing.done():  # the batch's own time-out, not ours
                    self._writing = None
                    raise
                meanwhile()
            except BaseException:
                self._writing = None
                raise
            else:
                self._writing = None
                return result

    def close(self) -> None:
        """Wait for what is being written, and end the thread."""
        if self._thread:
            self._thread.shutdown()


def _done(batch: Callable[[], Result]) -> Future[Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(batch())
    except Exception as error:
        future.set_exception(error)
    return future
