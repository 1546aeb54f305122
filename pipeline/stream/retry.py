"""Retries transactions that failed for a transient reason: a lost connection, a lock, a race.

`is_transient` in store/db/engine.py decides which errors are transient. The database has rolled back a failed
transaction, so the whole transaction is run again. The wait before a retry doubles from 0.1 s to 5 s. When the waits
add up to a minute, the database counts as unavailable. The time inside transactions does not count, so a long
transaction is retried too.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from pipeline.errors import StoreUnavailable
from pipeline.store import Store
from pipeline.store.db.engine import is_transient

_FIRST_WAIT, _LONGEST_WAIT, _GIVE_UP = 0.1, 5.0, 60.0

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class RetryPolicy:
    """Runs transactions of one store, and retries them after transient errors. Threads may share a policy.

    Args:
        store: the store.
        sleep: function that waits for a number of seconds.
    """

    def __init__(self, store: Store, sleep: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, DBAPIError) and is_transient(error)),
            wait=wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
            stop=lambda state: state.idle_for >= _GIVE_UP,
            sleep=sleep,
            before_sleep=_log_wait,
            retry_error_callback=self._give_up,
        )

    def write(self, statements: Callable[[Connection], Result]) -> Result:
        """Run a function in a transaction that may write, with retries, and return its result.

        Args:
            statements: the function. It takes the connection and may be called several times.
        """

        def transaction() -> Result:
            with self._store.write() as connection:
                return statements(connection)

        return self.run(transaction)

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """Run a function in a transaction that only reads, with retries, and return its result.

        Args:
            query: the function. It takes the connection and may be called several times.
        """

        def transaction() -> Result:
            with self._store.read() as connection:
                return query(connection)

        return self.run(transaction)

    def run(self, transaction: Callable[[], Result]) -> Result:
        """Run a function that opens and commits its own transaction, with retries, and return its result.

        Args:
            transaction: the function. It may be called several times.

        Raises:
            StoreUnavailable: every try failed for a transient reason, until the waits added up to a minute.
        """
        return self._retrying(transaction)

    def _give_up(self, state: RetryCallState) -> None:
        error = _error(state)
        raise StoreUnavailable(f"{self._store.url}: {error.orig}") from error


def _log_wait(state: RetryCallState) -> None:
    _log.warning(
        "transient database error, next try in %.1f s: %s", state.upcoming_sleep, str(_error(state).orig).strip()
    )


def _error(state: RetryCallState) -> DBAPIError:
    error = state.outcome and state.outcome.exception()
    assert isinstance(error, DBAPIError)  # noqa: S101 - no other is retried
    return error
