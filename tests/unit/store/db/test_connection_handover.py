"""One thread at a time uses a connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db.connection_handover import ConnectionLent, guard, lend, lend_to_thread, raw_cursor, run_inline

ONE = sa.text("SELECT 1")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    guard(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_while_a_thread_has_the_connection_every_use_by_another_one_raises(connection: Connection) -> None:
    caller_tried = Event()
    found = list[int]()

    def work() -> None:
        caller_tried.wait(10)
        found.append(connection.execute(ONE).scalar_one())

    with lend_to_thread(connection, work) as wait:
        with pytest.raises(ConnectionLent):
            connection.execute(ONE)
        with pytest.raises(ConnectionLent):
            raw_cursor(connection)
        with pytest.raises(ConnectionLent), lend(connection):
            pass
        caller_tried.set()
        wait()
        assert found == [1]
        assert connection.execute(ONE).scalar_one() == 1
    assert connection.execute(ONE).scalar_one() == 1


def test_the_end_of_the_block_waits_for_the_work(connection: Connection) -> None:
    def work() -> None:
        connection.execute(sa.text("CREATE TABLE t (x)"))

    with lend_to_thread(connection, work):
        pass
    assert sa.inspect(connection).has_table("t")


@pytest.mark.parametrize("run", [lend_to_thread, run_inline])
def test_what_the_work_raises_reaches_the_caller_who_has_the_connection_back(connection: Connection, run: Any) -> None:
    missing = pytest.raises(sa.exc.OperationalError, match="no such table")
    with missing, run(connection, lambda: connection.execute(sa.text("SELECT * FROM missing"))):
        pass
    assert connection.execute(ONE).scalar_one() == 1


def test_a_connection_that_was_lent_and_lost_is_free_after_it_was_made_again(connection: Connection) -> None:
    with lend(connection):
        connection.invalidate()
    connection.rollback()
    assert connection.execute(ONE).scalar_one() == 1
