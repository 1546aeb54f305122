"""A store of another version is brought to this one with nothing changed, or refused with nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from typer.testing import CliRunner

from pipeline import jobs
from pipeline.cli.commands import app
from pipeline.compute.board_cells import ALL, Label
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import StoreUnavailable
from pipeline.jobs.custody import operator_actions
from pipeline.jobs.rebuild_windows import rebuild_windows
from pipeline.open_store import open_store
from pipeline.store.db import schema
from pipeline.store.db.engine import parse_url
from pipeline.store.db.migrate import NEWEST
from pipeline.store.log import sealed_boards
from pipeline.store.votes import ingest, stale_windows, window_counts
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.source import FileSource
from pipeline.stream.window_monitor import Monitor
from pipeline.stream.worker import Worker
from pipeline.vocabulary.vote_flags import NOT_ANONYMOUS
from tests.integration.board_of_votes import OPTIONS, Board, event, using

Rows = dict[str, list[tuple[Any, ...]]]

# What later versions have beside the tables of 0003.
SINCE_0003 = (
    "file_reading", "file_records", "operator_log", "publication_hold", "notice", "prepared", "frequent_vote",
    "prompt_count", "backlog_run", "backlog_range", "issued_window", "incident", "incident_event", "grouping",
    "kept_votes", "cold_file", "cold_range", "cold_ids",
)  # fmt: skip
SINCE_0008 = (
    "backlog_run", "backlog_range", "issued_window", "incident", "incident_event", "grouping", "kept_votes",
    "cold_file", "cold_range", "cold_ids",
)  # fmt: skip
# Columns that later versions have.
COLUMNS_SINCE_0003 = (
    ("alert", "label"), ("exclusion", "label"), ("vote", "flags"), ("vote", "turn"), ("vote", "session"),
    ("vote", "categories"), ("segment", "boards"), ("segment", "labels"), ("window", "voters"),
)  # fmt: skip
# What rows of earlier versions get in these columns.
DEFAULTS_SINCE_0003: dict[str, tuple[Any, ...]] = {"vote": (0, 0, 0, 0), "segment": (None, None)}
# What a store of version 0002 has beside the tables of 0003.
HASH_CHAIN = (
    "CREATE TABLE first_segment (segment_no BIGINT NOT NULL, log_size BIGINT NOT NULL, digest TEXT NOT NULL)",
    "CREATE TABLE first_segment_range (segment_no BIGINT NOT NULL, partition_no BIGINT NOT NULL)",
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
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
    make_older(board)
    return board


def make_older(board: Board) -> None:
    """Turn a store of today into one of version 0002."""
    drop = ["DELETE FROM sealed_total WHERE name <> 'votes'", *(f"DROP TABLE {table}" for table in SINCE_0003)]
    drop += [f'ALTER TABLE "{table}" DROP COLUMN {column}' for table, column in COLUMNS_SINCE_0003]
    function = ["DROP FUNCTION refuse_change"] if "://" in board.url else []
    execute(board, *drop, *function, *HASH_CHAIN, "UPDATE alembic_version SET version_num = '0002'")


def execute(board: Board, *statements: str) -> None:
    """Run SQL past the store."""
    engine = sa.create_engine(parse_url(board.url))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def rows(board: Board) -> Rows:
    """Every row of every table, read past the store."""
    engine, there = sa.create_engine(parse_url(board.url)), sa.MetaData()
    with engine.connect() as connection:
        there.reflect(connection)
        tables = there.tables.items()
        found = {name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr) for name, table in tables}
    engine.dispose()
    return found


@pytest.mark.long
def test_a_store_of_0002_gets_the_version_of_this_code_and_keeps_every_row(older: Board) -> None:
    before = rows(older)
    done = CliRunner().invoke(app, ["migrate", "--store", older.url, "--json"])
    assert done.exit_code == 0, done.output
    now = rows(older)
    assert (before.pop("first_segment"), before.pop("first_segment_range")) == ([], [])
    assert (before.pop("alembic_version"), now.pop("alembic_version")) == ([("0002",)], [(NEWEST,)])
    assert [now.pop(table) for table in SINCE_0003] == [[]] * len(SINCE_0003)
    for table, default in DEFAULTS_SINCE_0003.items():
        before[table] = sorted(((*row, *default) for row in before[table]), key=repr)
    now["window"] = [row[:-1] for row in now["window"]]  # rebuilt, with voters
    assert now == before
    with older.store() as store, store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    older.vote(20)
    assert older.refresh()["sequence"] == 2
    assert jobs.verify_ledger(older.url)["votes"] == 80


@pytest.mark.long
def test_of_several_that_open_a_store_of_0002_at_once_one_migrates(older: Board) -> None:
    def opened(_: int) -> str:
        with older.store() as store:
            return store.store_id

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(opened, range(4)))) == 1
    assert rows(older)["alembic_version"] == [(NEWEST,)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "INSERT INTO first_segment VALUES (1, 300, 'a')",
            "expected table first_segment to be empty in a store of version 0002, found 1 rows",
        ),
        ("ALTER TABLE alert ADD COLUMN colour TEXT", "expected the tables of version 0002, found 1 difference.*colour"),
        ("UPDATE alembic_version SET version_num = '0001'", f"version 0002 to {NEWEST}, found 0001.*into a new one"),
        ("UPDATE alembic_version SET version_num = 'abc'", f"version 0002 to {NEWEST}, found abc.*into a new one"),
        ("UPDATE alembic_version SET version_num = '9999'", f"version {NEWEST} at most, found 9999.*a newer one"),
    ],
)
def test_a_store_that_cannot_be_brought_up_to_date_is_refused_and_left_alone(
    older: Board, change: str, found: str
) -> None:
    execute(older, change)
    before = rows(older)
    with pytest.raises(StoreUnavailable, match=f"store.db.*{found}" if "://" not in older.url else found):
        open_store(older.url, voter_key=OPTIONS.key)
    assert rows(older) == before


def test_a_store_of_0001_as_its_code_made_it_is_refused(board: Board) -> None:
    execute(
        board,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE segment (segment_no BIGINT NOT NULL, log_size BIGINT NOT NULL, digest TEXT NOT NULL)",
    )
    before = rows(board)
    with pytest.raises(StoreUnavailable, match=f"expected tables of version 0002 to {NEWEST}, found 0001"):
        open_store(board.url, voter_key=OPTIONS.key)
    done = CliRunner().invoke(app, ["doctor", "--store", board.url])
    assert (done.exit_code, "found 0001" in done.output) == (1, True)
    assert rows(board) == before


@pytest.mark.postgres
def test_a_role_that_may_not_change_the_tables_is_told_who_may(postgres_url: str, tmp_path: Path) -> None:
    def refused(found: str) -> None:
        with pytest.raises(
            StoreUnavailable, match=f"version {NEWEST}, found {found}: `integrity migrate`, as the role"
        ):
            open_store(postgres_url.replace("//postgres@", "//onlooker@"), voter_key=OPTIONS.key)

    board = Board(postgres_url, tmp_path)
    execute(board, "CREATE ROLE onlooker LOGIN")
    try:
        refused("none")
        with using(OPTIONS):
            board.vote(1)
        make_older(board)
        execute(board, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker")
        refused("0002")
    finally:
        execute(board, "DROP OWNED BY onlooker", "DROP ROLE onlooker")


# Fields of votes (0008).


def to_0007(board: Board) -> None:
    """Turn a store whose votes state none of the later fields into one of version 0007."""
    drop = [f"DROP TABLE {table}" for table in ("frequent_vote", "prompt_count", *SINCE_0008)]
    columns = [("vote", name) for name in ("flags", "turn", "session", "categories")]
    columns += [("segment", "boards"), ("segment", "labels"), ("window", "voters")]
    drop += [f'ALTER TABLE "{table}" DROP COLUMN {column}' for table, column in columns]
    execute(
        board,
        *drop,
        "DELETE FROM sealed_total WHERE name <> 'votes'",
        "UPDATE alembic_version SET version_num = '0007'",
    )


@pytest.mark.long
def test_votes_of_0007_count_as_before_and_have_no_labels(board: Board) -> None:
    board.read(*(event(n, category="maths") for n in range(60)))
    first = board.refresh()
    board.read(*(event(n, category="maths") for n in range(60, 70)))  # not sealed yet
    to_0007(board)
    assert integrity("migrate", "--store", board.url)[0] == 0
    with board.store() as store, store.read() as connection:
        found = sealed_boards.read_boards(connection, 60)
        assert {label: int(rows[:, 5].sum()) for label, rows in found.items()} == {ALL: 60}
        assert sealed_boards.totals_match_segments(connection)
    assert jobs.verify_ledger(board.url)["votes"] == 60
    operator_actions.retract(board.url, "vote 3", "a test's", "ann")
    board.read(*(event(n, category="maths", categories=["code"], anonymous=False) for n in range(70, 100)))
    assert board.refresh()["sequence"] == first["sequence"] + 1
    with board.store() as store, store.read() as connection:
        found = sealed_boards.read_boards(connection, 101)
        votes = {label: int(rows[:, 5].sum()) for label, rows in found.items() if label.kind != "language"}
        assert votes == {ALL: 99, Label("category", "maths"): 40, Label("category", "code"): 30}
        assert found[ALL][found[ALL][:, 4] == NOT_ANONYMOUS][:, 5].sum() == 30
        old = ingest.find_by_vote_id(connection, ["vote 1", "vote 2"])
        assert {label: int(rows[:, 5].sum()) for label, rows in sealed_boards.count_votes(connection, old).items()} == {
            ALL: 2
        }
        assert sealed_boards.totals_match_segments(connection)
    jobs.verify_ledger(board.url)
    assert operator_actions.erase(board.url, voter_id="voter 1")["erased"] == 4
    with board.store() as store, store.read() as connection:
        v = schema.vote.c
        erased = connection.execute(sa.select(v.offset, v.category).where(v.voter == 0).order_by(v.offset)).all()
        # Of votes that were sealed with labels the category is public; of older votes it was private, and is gone.
        assert [bool(row.category) for row in erased] == [row.offset >= 60 for row in erased]
        assert sealed_boards.totals_match_segments(connection)
    assert jobs.verify_ledger(board.url)["erased"] == 4


def test_a_repeat_that_states_more_than_a_vote_of_0007_is_the_same_vote(board: Board) -> None:
    board.read(*(event(n) for n in range(20)))
    to_0007(board)
    integrity("migrate", "--store", board.url)
    board.read(event(50), *(event(n, anonymous=False, session="s", categories=["a", "b"], turn=2) for n in range(20)))
    with board.store() as store, store.read() as connection:
        assert connection.scalars(sa.select(schema.duplicate.c.same_body)).all() == [True] * 20
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.alert)) == 0


# Stale windows.

# What a migration executes that changes what windows count (store/db/migrate.py).
MARK = "INSERT INTO meta (name, value) VALUES ('windows_stale', '0004') ON CONFLICT (name) DO NOTHING"


def integrity(*words: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, [*words, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_windows_are_rebuilt_as_the_worker_counted_them(board: Board) -> None:
    board.vote(200)
    board.refresh()
    board.read(*(event(n, voter_since="2026-02-27T00:00:00Z") for n in range(200, 260)))
    board.read(event(900), event(300), event(400, cast_at="2026-09-01T00:00:00Z"), event(401, network=None))
    counted = rows(board)["window"]
    assert len(counted) > 8
    assert integrity("migrate", "--store", board.url)[1]["windows_rebuilt"] == 0
    execute(board, MARK, MARK, 'DELETE FROM "window" WHERE late > 0', 'UPDATE "window" SET accepted = accepted + 1')
    assert integrity("doctor", "--store", board.url)[0] == 1
    assert integrity("migrate", "--store", board.url)[1]["windows_rebuilt"] == len(counted)
    assert rows(board)["window"] == counted
    assert integrity("migrate", "--store", board.url)[1]["windows_rebuilt"] == 0
    assert integrity("doctor", "--store", board.url)[0] == 0


def test_nothing_works_on_stale_windows(board: Board) -> None:
    board.vote(60)
    execute(board, MARK)
    before = rows(board)
    with board.store() as store:
        for work in (
            lambda: board.vote(1),
            lambda: Monitor(store, OPTIONS, "test", WINDOW).run(close=True, until_end=True),
            lambda: jobs.replay_detector(board.url, WINDOW[0].name),
        ):
            with pytest.raises(StoreUnavailable, match="migration 0004 marked stale: run `integrity migrate`"):
                work()
        now = rows(board)
        # A worker registers its source before it claims partitions.
        assert {name for name in now if now[name] != before[name]} <= {"source"}
        rebuild_windows(store)
        board.vote(1)
        assert Monitor(store, OPTIONS, "test", WINDOW).run(close=True, until_end=True) > 0


def test_a_rebuild_that_dies_leaves_the_windows_stale(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.vote(60)
    execute(board, MARK)
    before = rows(board)
    add, calls = window_counts.add_counts, []

    def dies(*given: Any) -> None:
        add(*given)
        calls.append(given)
        raise KeyboardInterrupt

    with board.store() as store:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(window_counts, "add_counts", dies)
            rebuild_windows(store)
        assert (len(calls), rows(board)) == (1, before)
        assert rebuild_windows(store) == len(before["window"])


@pytest.mark.long
def test_a_rebuild_beside_a_worker_counts_every_vote_once(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark comes after the worker's claim; its next batch waits until the rebuild has committed."""
    path = board.folder / "votes.jsonl"
    path.write_text("".join(json.dumps(event(n)) + "\n" for n in range(600)))
    claimed, marked, clear = Event(), Event(), stale_windows.clear

    def progress(_: IngestTally) -> None:
        claimed.set()
        marked.wait()

    def clears(connection: sa.Connection) -> bool:
        cleared = clear(connection)
        while not reading.done() and not blocked(connection):
            pass
        return cleared

    with closing(open_store(board.url, voter_key=OPTIONS.key, worker=True)) as store, ThreadPoolExecutor(1) as thread:
        worker = Worker(
            FileSource(path), store, OPTIONS.model_copy(update={"batch_votes": 20}), VOTER, "test", progress=progress
        )
        reading = thread.submit(worker.run, until_end=True)
        claimed.wait()
        execute(board, MARK, 'UPDATE "window" SET accepted = accepted + 1000')
        marked.set()
        with monkeypatch.context() as patch:
            patch.setattr(stale_windows, "clear", clears)
            assert rebuild_windows(store) > 0
        assert reading.result().accepted == 600
        counted = rows(board)["window"]
        execute(board, MARK)
        rebuild_windows(store)
    assert rows(board)["window"] == counted
    assert sum(row[2] for row in counted) == 600


def blocked(connection: sa.Connection) -> bool:
    """Whether anybody waits for a lock; SQLite does not say, and has one writer at a time."""
    if connection.dialect.name == "sqlite":
        return True
    return bool(connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))
