"""The retry policy: transient errors are retried for a minute, others at once raised."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from pipeline.errors import StoreUnavailable
from pipeline.open_store import open_store
from pipeline.store import Store
from pipeline.stream.retry import RetryPolicy

LOCKED = OperationalError("INSERT", None, Exception("database is locked"))
TWICE = IntegrityError("INSERT", None, Exception("UNIQUE constraint failed"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "store.db"), voter_key=bytes(32))
    yield opened
    opened.close()


def failing(*errors: Exception) -> Callable[[], str]:
    """A transaction that raises these, one a try, and then succeeds."""
    left = list(errors)

    def transaction() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return transaction


def test_a_transient_error_is_retried_after_waits_that_double(store: Store) -> None:
    waits: list[float] = []
    assert RetryPolicy(store, waits.append).run(failing(LOCKED, LOCKED, LOCKED)) == "done"
    assert waits == [0.1, 0.2, 0.4]


def test_after_a_minute_of_waits_the_store_is_unavailable(store: Store) -> None:
    waits: list[float] = []
    with pytest.raises(StoreUnavailable, match=r"store\.db: database is locked") as caught:
        RetryPolicy(store, waits.append).run(failing(*[LOCKED] * 100))
    assert caught.value.__cause__ is LOCKED
    assert max(waits) == waits[-1] == 5.0
    assert 60 <= sum(waits) < 65


@pytest.mark.parametrize("error", [TWICE, ValueError("no"), KeyboardInterrupt()])
def test_another_error_is_raised_at_once(store: Store, error: Exception) -> None:
    waits: list[float] = []
    with pytest.raises(type(error)):
        RetryPolicy(store, waits.append).run(failing(error))
    assert waits == []


def test_a_failed_try_is_rolled_back_before_the_next(store: Store) -> None:
    fails = failing(LOCKED)

    def statements(connection: sa.Connection) -> str:
        connection.execute(sa.text("INSERT INTO model (name) VALUES ('a')"))
        return fails()

    retry = RetryPolicy(store, lambda _: None)
    assert retry.write(statements) == "done"
    assert retry.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM model"))) == 1
