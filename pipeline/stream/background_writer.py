"""Commits batches; with PostgreSQL in a thread of its own, while the next batch is polled.

The thread saves time because psycopg releases the interpreter lock while the server works. SQLite works inside this
process and takes the interpreter lock again after every row, so a second thread would wait up to 5 ms for each row.
With SQLite, the caller's thread therefore commits the batches.

Only one batch is written at a time, in the order of submission. `wait` raises the error of a batch that failed.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from contextlib import ExitStack
from typing import Generic, TypeVar

from pipeline.concurrency import short_switch_interval

Result = TypeVar("Result")

# A consumer group drops a member that does not poll: a waiting worker sends a heartbeat this often, in seconds.
_HEARTBEAT_SECONDS = 1.0


class BackgroundWriter(Generic[Result]):
    """Writes batches to the store, one at a time, in a second thread or in the caller's thread."""

    def __init__(self, threaded: bool) -> None:
        """Create a writer that writes in a thread of its own if `threaded`, else in the caller's thread."""
        self.threaded = threaded
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="writer") if threaded else None
        self._switching = ExitStack()
        if threaded:  # the writer needs the interpreter lock for a moment after each answer of the server
            self._switching.enter_context(short_switch_interval())
        self._pending: Future[Result] | None = None

    @property
    def busy(self) -> bool:
        """True from `submit` until `wait` returns the result of the batch."""
        return self._pending is not None

    def submit(self, batch: Callable[[], Result]) -> None:
        """Start writing a batch in the second thread. Without a second thread, write the batch in this call.

        An error of the batch is not raised here; `wait` raises it.

        Args:
            batch: a function that writes the batch and returns its result.

        Raises:
            ValueError: `wait` has not been called for the previous batch yet.
        """
        if self._pending is not None:
            raise ValueError("expected the previous batch to be finished")
        self._pending = self._executor.submit(batch) if self._executor else _run(batch)

    def wait(self, heartbeat: Callable[[], None]) -> Result:
        """Wait for the submitted batch, and return its result or raise its error.

        Args:
            heartbeat: a function that is called once per second while waiting.

        Raises:
            ValueError: no batch was submitted.
        """
        pending = self._pending
        if pending is None:
            raise ValueError("expected a batch that is being written, got none")
        while True:
            try:
                result = pending.result(_HEARTBEAT_SECONDS)
            except NotDone:
                if pending.done():  # the batch itself raised a timeout
                    self._pending = None
                    raise
                heartbeat()
            except BaseException:
                self._pending = None
                raise
            else:
                self._pending = None
                return result

    def close(self) -> None:
        """Wait for the batch that is being written, and end the thread."""
        if self._executor:
            self._executor.shutdown()
        self._switching.close()


def _run(batch: Callable[[], Result]) -> Future[Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(batch())
    except Exception as error:
        future.set_exception(error)
    return future
