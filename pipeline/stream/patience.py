"""Transactions that are tried again: a race or a lost connection rolled them back, and nothing of them is left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from pipeline.errors import StoreUnavailable
from pipeline.store import Store
from pipeline.store.db.engine import transient

# Waits between tries: 0.1 s doubling to 5 s; after a minute the database is down and the worker ends.
_FIRST_WAIT, _LONGEST_WAIT, _GIVE_UP = 0.1, 5.0, 60.0

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Patience:
    """A store, asked again and again until it answers or is down."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, statements: Callable[[Connection], Result]) -> Result:
        """The result of a transaction that writes."""

        def transaction() -> Result:
            with self._store.write() as connection:
                return statements(connection)

        return self.of(transaction)

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """The result of a transaction that only reads."""

        def transaction() -> Result:
            with self._store.read() as connection:
                return query(connection)

        return self.of(transaction)

    def of(self, transaction: Callable[[], Result]) -> Result:
        """The result of a transaction that opens its connection itself.

        Raises:
            StoreUnavailable: the database stayed away.
        """
        wait, waited = _FIRST_WAIT, 0.0
        while True:
            try:
                return transaction()
            except DBAPIError as error:
                if not transient(error):
                    raise
                if waited >= _GIVE_UP:
                    raise StoreUnavailable(f"{self._store.url}: {error.orig}") from error
                _log.warning("the store is asked again in %.1f s: %s", wait, str(error.orig).strip())
            time.sleep(wait)
            waited, wait = waited + wait, min(2 * wait, _LONGEST_WAIT)
