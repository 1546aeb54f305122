"""Lends a connection to one thread, and prevents every other thread from using it at the same time.

A SQLAlchemy connection and its transaction are not thread-safe. While a connection is lent, a statement of any other
thread raises `ConnectionLent` before it reaches the database.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from pipeline.concurrency import run_in_thread

_LOAN = "loan"


class ConnectionLent(RuntimeError):
    """Raised if a thread uses a connection that is lent to another thread. This is a fault of the calling code."""


class Loan:
    """Records which thread may use a lent connection."""

    def __init__(self) -> None:
        self.thread: int | None = None

    def accept(self) -> None:
        """Make the calling thread the only one that may use the connection."""
        self.thread = get_ident()


def guard(engine: Engine) -> None:
    """Make each statement on a connection of this engine fail if the connection is lent to another thread.

    The statement raises `ConnectionLent`.
    """
    sa.event.listen(engine, "before_cursor_execute", lambda connection, *_: _check(connection))


def raw_cursor(connection: Connection, **options: Any) -> Any:
    """Return a cursor of the database driver, for work that is too slow with SQLAlchemy.

    Raises:
        ConnectionLent: the connection is lent to another thread.
    """
    _check(connection)
    return connection.connection.cursor(**options)


@contextmanager
def lend(connection: Connection) -> Iterator[Loan]:
    """Lend a connection for the length of a `with` block, to the thread that calls `Loan.accept`.

    Raises:
        ConnectionLent: the connection is lent already.
    """
    info, loan = connection.info, Loan()
    if _LOAN in info:
        raise ConnectionLent("expected a connection that is free, got one that is lent already: end that loan first")
    info[_LOAN] = loan
    try:
        yield loan
    finally:
        # Not connection.info: a connection that was lost cannot be asked for it.
        if info.get(_LOAN) is loan:
            del info[_LOAN]


@contextmanager
def lend_to_thread(connection: Connection, work: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Run `work` in a new thread for the length of a `with` block, and lend the connection to this thread.

    The block ends only after `work` has ended.

    Args:
        connection: the connection that `work` uses.
        work: the function to run.

    Yields:
        A function to call in the block. It waits for `work`, raises the error of `work` if there is one, and then lets
        the caller use the connection again.
    """
    with lend(connection) as loan:

        def run() -> None:
            loan.accept()
            work()

        done = run_in_thread(run)
        caller = get_ident()

        def wait() -> None:
            done()
            loan.thread = caller

        try:
            yield wait
        finally:
            wait()


@contextmanager
def run_inline(_: Connection, work: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Run `work` in the calling thread before the `with` block begins. SQLite uses this instead of `lend_to_thread`.

    Yields:
        A function that does nothing.
    """
    work()
    yield lambda: None


def _check(connection: Connection) -> None:
    loan = connection.info.get(_LOAN)
    if loan is not None and loan.thread != get_ident():
        raise ConnectionLent("expected the thread that the connection is lent to, got another one: wait for it first")
