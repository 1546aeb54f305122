"""Background writer: commits one batch while the next is polled and decoded.

With PostgreSQL a thread writes: psycopg releases the interpreter lock while the server works. SQLite works inside this
process and takes the lock back after every row, which costs a writing thread up to 5 ms a row, so its batches are
written in line.

Laws: at most one batch is being written; batches are written in the order of submission; the error of a batch is raised
where its result is requested.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from typing import Generic, TypeVar

Result = TypeVar("Result")

# A consumer group drops a member that does not poll: a waiting worker sends a heartbeat this often, in seconds.
_HEARTBEAT_SECONDS = 1.0


class BackgroundWriter(Generic[Result]):
    """Writes batches, one at a time."""

    def __init__(self, threaded: bool) -> None:
        """Write in a thread if `threaded`, else in line."""
        self.threaded = threaded
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="writer") if threaded else None
        self._pending: Future[Result] | None = None

    @property
    def busy(self) -> bool:
        """Whether there is a batch whose result was not taken yet."""
        return self._pending is not None

    def submit(self, batch: Callable[[], Result]) -> None:
        """Start writing a batch. The result of the previous batch must have been taken."""
        if self._pending is not None:
            raise ValueError("expected the previous batch to be finished")
        self._pending = self._executor.submit(batch) if self._executor else _run(batch)

    def wait(self, heartbeat: Callable[[], None]) -> Result:
        """Wait for the batch; return its result or raise its error.

        Args:
            heartbeat: called every second of the wait.
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


def _run(batch: Callable[[], Result]) -> Future[Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(batch())
    except Exception as error:
        future.set_exception(error)
    return future
