"""A store of another version is brought to this one with nothing changed, or refused with nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from typer.testing import CliRunner

from pipeline import jobs
from pipeline.cli.commands import app
from pipeline.errors import StoreUnavailable
from pipeline.store import Store, remaking
from pipeline.store.db import schema
from pipeline.store.db.engine import parse
from tests.integration.board_of_votes import OPTIONS, Board, event, using

Rows = dict[str, list[tuple[Any, ...]]]

# What a store of version 0002 has beside the tables of 0003.
HASH_CHAIN = (
    "CREATE TABLE first_segment (segment_no BIGINT NOT NULL, log_size BIGINT NOT NULL, digest TEXT NOT NULL)",
    "CREATE TABLE first_segment_range (segment_no BIGINT NOT NULL, partition_no BIGINT NOT NULL)",
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """An empty board."""
    sqlite = request.param == "sqlite"
    url = str(tmp_path / "store.db") if sqlite else str(request.getfixturevalue("postgres_url"))
    with using(OPTIONS):
        yield Board(url, tmp_path)


@pytest.fixture
def older(board: Board) -> Board:
    """A store of version 0002 with votes and a snapshot."""
    board.vote(60)
    board.refresh()
    execute(board, *HASH_CHAIN, "UPDATE alembic_version SET version_num = '0002'")
    return board


def execute(board: Board, *statements: str) -> None:
    """Run SQL past the store."""
    engine = sa.create_engine(parse(board.url))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def rows(board: Board) -> Rows:
    """Every row of every table, read past the store."""
    engine, there = sa.create_engine(parse(board.url)), sa.MetaData()
    with engine.connect() as connection:
        there.reflect(connection)
        tables = there.tables.items()
        found = {name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr) for name, table in tables}
    engine.dispose()
    return found


def test_a_store_of_0002_gets_the_version_of_this_code_and_keeps_every_row(older: Board) -> None:
    before = rows(older)
    done = CliRunner().invoke(app, ["migrate", "--store", older.url, "--json"])
    assert done.exit_code == 0, done.output
    now = rows(older)
    assert (before.pop("first_segment"), before.pop("first_segment_range")) == ([], [])
    assert (before.pop("alembic_version"), now.pop("alembic_version")) == ([("0002",)], [("0003",)])
    assert now == before
    with older.store() as store, store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    older.vote(20)
    assert older.refresh()["sequence"] == 2
    assert jobs.verify(older.url)["votes"] == 80


def test_of_several_that_open_a_store_of_0002_at_once_one_migrates(older: Board) -> None:
    def opened(_: int) -> str:
        with older.store() as store:
            return store.store_id

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(opened, range(4)))) == 1
    assert rows(older)["alembic_version"] == [("0003",)]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "INSERT INTO first_segment VALUES (1, 300, 'a')",
            "expected table first_segment to be empty in a store of version 0002, found 1 rows",
        ),
        ("ALTER TABLE alert ADD COLUMN colour TEXT", "expected the tables of version 0002, found 1 difference.*colour"),
        ("UPDATE alembic_version SET version_num = '0001'", "version 0002 or 0003, found 0001.*into a new one"),
        ("UPDATE alembic_version SET version_num = 'abc'", "version 0002 or 0003, found abc.*into a new one"),
        ("UPDATE alembic_version SET version_num = '9999'", "version 0003 at most, found 9999.*a newer one"),
    ],
)
def test_a_store_that_cannot_be_brought_up_to_date_is_refused_and_left_alone(
    older: Board, change: str, found: str
) -> None:
    execute(older, change)
    before = rows(older)
    with pytest.raises(StoreUnavailable, match=f"store.db.*{found}" if "://" not in older.url else found):
        Store.open(older.url, voter_key=OPTIONS.key)
    assert rows(older) == before


def test_a_store_of_0001_as_its_code_made_it_is_refused(board: Board) -> None:
    execute(
        board,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE segment (segment_no BIGINT NOT NULL, log_size BIGINT NOT NULL, digest TEXT NOT NULL)",
    )
    before = rows(board)
    with pytest.raises(StoreUnavailable, match="expected tables of version 0002 or 0003, found 0001"):
        Store.open(board.url, voter_key=OPTIONS.key)
    done = CliRunner().invoke(app, ["doctor", "--store", board.url])
    assert (done.exit_code, "found 0001" in done.output) == (1, True)
    assert rows(board) == before


@pytest.mark.postgres
def test_a_role_that_may_not_change_the_tables_is_told_who_may(postgres_url: str, tmp_path: Path) -> None:
    def refused(found: str) -> None:
        with pytest.raises(StoreUnavailable, match=f"version 0003, found {found}: `integrity migrate`, as the role"):
            Store.open(postgres_url.replace("//postgres@", "//onlooker@"), voter_key=OPTIONS.key)

    board = Board(postgres_url, tmp_path)
    execute(board, "CREATE ROLE onlooker LOGIN")
    try:
        refused("none")
        with using(OPTIONS):
            board.vote(1)
        execute(board, *HASH_CHAIN, "UPDATE alembic_version SET version_num = '0002'")
        execute(board, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker")
        refused("0002")
    finally:
        execute(board, "DROP OWNED BY onlooker", "DROP ROLE onlooker")


def test_windows_are_counted_again_as_the_worker_counts_them(tmp_path: Path) -> None:
    """The votes of a store of this version, counted again, give the windows that its worker wrote."""
    with using(OPTIONS):
        it = Board(str(tmp_path / "store.db"), tmp_path)
        it.vote(200)
        it.refresh()
        it.read(*(event(n, voter_since="2026-02-27T00:00:00Z") for n in range(200, 260)))
        it.read(event(900), event(300), event(400, cast_at="2026-09-01T00:00:00Z"), event(401, network=None))
        windows = sa.select(schema.window).order_by(schema.window.c.start, schema.window.c.partition_no)
        with it.store() as store, store.write() as connection:
            written = connection.execute(windows).all()
            remaking.windows_of_all(connection)
            assert connection.execute(windows).all() == written
            assert len(written) > 8
