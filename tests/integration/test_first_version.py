"""A store of the first version, brought to this one: nothing is lost, and what was published stays checkable."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from pipeline import jobs
from pipeline.api import create_app
from pipeline.cli.every import app
from pipeline.detectors import VOTER
from pipeline.errors import StoreUnavailable, Usage, VerificationFailed
from pipeline.jobs.ledger_audit import audit
from pipeline.store import Store, alerts, erasure, exclusions, first_chain, proofs, remaking, schema, snapshots
from pipeline.store import status as figures
from pipeline.store.engine import parse
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from tests.integration import first_version
from tests.integration.board_of_votes import OPTIONS as ITS_OPTIONS
from tests.integration.board_of_votes import Board, event, using
from tests.integration.first_version import OPTIONS

# Made of votes in another form, or moved: each is held against the votes below.
CHANGED = {"alembic_version", "partition", "segment", "segment_range", "vote_key", "voter_state", "window", "alert"}
PUBLISHED = (
    "53b01e47a50110d10160c322368984ae35739c84e4d3b7d888d1d3d9a525f74f",
    "c523b615d40e4cbb9430192e88f7ad4d2508f84614f370e52b594d6119679902",
    "797476779f8c05f0f919f8b68d4e97bb916ca1ef48729a9ef14ec3b2d6cc554a",
)
LAST_DIGEST = "5f01ff135c56b6c804c1cd09ca47194d705f8518bbd678fdc37a9edf8e51ddef"
BOUGHT = "44e744481903c608"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A store of the first version, not opened since."""
    sqlite = request.param == "sqlite"
    url = str(tmp_path / "store.db") if sqlite else str(request.getfixturevalue("postgres_url"))
    first_version.put(url)
    with using(OPTIONS):
        yield Board(url, tmp_path, OPTIONS)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Board]:
    """The same on SQLite alone, migrated and published from."""
    url = str(tmp_path / "store.db")
    first_version.put(url)
    with using(OPTIONS):
        it = Board(url, tmp_path, OPTIONS)
        Store.open(url, voter_key=OPTIONS.key).close()
        it.refresh()
        yield it


def rows_of(connection: sa.Connection) -> first_version.Rows:
    """Every row of every table, as SQLite would have them."""
    there = sa.MetaData()
    there.reflect(connection)
    return {
        name: sorted([tuple(map(_plain, row)) for row in connection.execute(sa.select(table))], key=repr)
        for name, table in there.tables.items()
    }


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else int(value) if isinstance(value, bool) else value


def test_the_first_migration_makes_the_tables_that_the_first_version_made(tmp_path: Path) -> None:
    engine = sa.create_engine(parse(str(tmp_path / "new.db")))
    first_version.to_version(engine, "0001")
    engine.dispose()
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    made = sqlite3.connect(tmp_path / "new.db").execute(query).fetchall()
    assert made == first_version.written(":memory:").execute(query).fetchall()


def test_nothing_of_the_first_version_is_lost(board: Board) -> None:
    """The verb, then every row held against what the first version wrote."""
    done = CliRunner().invoke(app, ["migrate", "--store", board.url, "--json"])
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(app, ["migrate", "--store", board.url])
    assert "the next refresh takes 440 votes" in " ".join(again.output.split())
    before = first_version.dump(first_version.written(":memory:"))
    with board.store() as store, store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        now = rows_of(connection)
        for name in before.keys() - CHANGED:
            assert now[name] == before[name], name
        assert now["first_segment"] == before["segment"]
        assert now["first_segment_range"] == before["segment_range"]
        assert now["alert"] == [(*row, None, None) for row in before["alert"]]
        # the votes are not in the public log yet, and the voters' states are to be folded again
        sealed, state = 7, 8
        assert [row[:sealed] + row[state + 1 :] for row in now["partition"]] == [
            row[:sealed] + row[state + 1 :] for row in before["partition"]
        ]
        assert [row[sealed : state + 1] for row in now["partition"]] == [(0, 0)] * 3
        keys = sa.text('SELECT uuid_send("key") FROM vote_key' if "://" in board.url else 'SELECT "key" FROM vote_key')
        found = {bytes(key) for key in connection.scalars(keys)}
        assert found == {row[0] for row in before["vote_key"]}
        # start, partition, accepted, late; each window is counted again to the same figures
        assert [row[:4] for row in now["window"]] == [row[:4] for row in before["window"]]
        assert figures.incomplete(connection) == []
        assert (now["segment"], now["voter_state"]) == ([], [])


def test_a_migration_that_dies_leaves_the_store_of_the_first_version(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction on both databases, tables included: whoever comes next begins again."""

    def dies(_: sa.Connection) -> None:
        raise KeyboardInterrupt

    def rows() -> first_version.Rows:
        engine = sa.create_engine(parse(board.url))
        with engine.connect() as connection:
            found = rows_of(connection)
        engine.dispose()
        return found

    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(remaking, "windows_of_all", dies)
        with pytest.raises(KeyboardInterrupt):
            Store.open(board.url, voter_key=OPTIONS.key)
    assert rows() == before
    Store.open(board.url, voter_key=OPTIONS.key).close()
    assert rows()["first_segment"] == before["segment"]


def test_windows_are_counted_again_as_the_worker_counts_them(tmp_path: Path) -> None:
    """The votes of a store of this version, counted again, give the windows that its worker wrote."""
    with using(ITS_OPTIONS):
        it = Board(str(tmp_path / "store.db"), tmp_path, ITS_OPTIONS)
        it.vote(200)
        it.refresh()
        it.read(*(event(n, voter_since="2026-02-27T00:00:00Z") for n in range(200, 260)))
        it.read(event(900), event(300), event(400, cast_at="2026-09-01T00:00:00Z"), event(401, network=None))
        with it.store() as store, store.write() as connection:
            written = rows_of(connection)["window"]
            remaking.windows_of_all(connection)
            assert rows_of(connection)["window"] == written
            assert len(written) > 8


def test_the_board_goes_on_as_if_it_had_never_been_another(board: Board) -> None:
    """Refresh, verify, audit; the alerts, the exclusions and the boards of before; a repeat is still known."""
    Store.open(board.url, voter_key=OPTIONS.key).close()
    assert jobs.verify(board.url) == {"segments": 0, "votes": 0, "snapshots": 3, "erased": 0}
    published = board.refresh()
    assert (published["sequence"], published["log_size"]) == (4, 465)
    assert (published["votes_counted"], published["votes_excluded"]) == (393, 71)
    assert jobs.verify(board.url) == {"segments": 3, "votes": 465, "snapshots": 4, "erased": 0}
    told = audit(board.url)
    assert told["passed"], told
    with board.store() as store, store.read() as connection:
        chain = snapshots.chain(connection)
        assert [(one.sequence, one.log_size) for one in chain] == [(1, 300), (2, 440), (3, 440), (4, 465)]
        assert [one.snapshot_id for one in chain[:3]] == [*PUBLISHED]
        assert [one.previous for one in chain[1:]] == [one.digest for one in chain[:3]]
        # the first snapshot that is signed binds the chain of those that are not
        assert chain[3].body["continues"] == chain[2].digest == LAST_DIGEST
        # an old board is found by its time, its id and its digest
        for asked in ({"at": chain[2].published_at}, {"snapshot_id": PUBLISHED[2][:9]}, {"snapshot_id": LAST_DIGEST}):
            assert snapshots.find(connection, **asked) == chain[2]
        assert len(snapshots.rows(connection, PUBLISHED[1], "defended")) == 6
        log = connection.execute(sa.select(schema.segment.c.log_size).order_by(schema.segment.c.log_size))
        assert list(log.scalars()) == [300, 440, 465]  # the sizes of the chain, then the rest
        listed = {one["id"]: (one["detector"], one["state"]) for one in alerts.listed(connection)}
        assert listed == {
            "d8c8a3a3cb6e7f7e": ("voter_bias", "open"),
            "d5c5eb24e039669c": ("voter_bias", "snoozed"),
            "792a815008b39021": ("duplicate_votes", "acknowledged"),
        }
        assert [(one.kind, one.target, one.name) for one in exclusions.current(connection)] == [
            ("vote", "v0017", "ann"),
            ("voter", BOUGHT, exclusions.AUTO_VOTER),
        ]
    repeat = {"schema": 1, "vote_id": "v0017", "cast_at": "2026-03-03T00:00:00Z", "model_a": "aster", "model_b": "elm"}
    fresh = repeat | {"vote_id": "new"}
    board.read(*(one | {"winner": "tie", "voter_id": "voter 1"} for one in (repeat, fresh)))
    assert board.refresh()["log_size"] == 466
    assert jobs.verify(board.url)["snapshots"] == 5


def test_the_next_worker_folds_the_voters_states_again_and_tells_nothing_twice(small: Board) -> None:
    """The bought voter goes on: at the highest level already, the same alert stands and says no more."""
    vote = {"schema": 1, "model_a": "fir", "model_b": "elm", "winner": "model_a", "voter_id": "a bought voter"}
    more = [vote | {"vote_id": f"m{n}", "cast_at": f"2026-03-01T03:{n:02}:00Z"} for n in range(40)]
    grown = small.folder / "more.jsonl"
    grown.write_text("\n" * 144 + "".join(json.dumps(one) + "\n" for one in more))
    with small.store() as store:
        with store.write() as connection:
            before = rows_of(connection)["alert_event"]
            source = {"name": FileSource(grown).name}
            connection.execute(sa.text("UPDATE source SET name = :name WHERE source_no = 2"), source)
        done = Worker(FileSource(grown), store, OPTIONS, VOTER, "test").run(until_end=True)
        assert (done.read, done.accepted, done.alerts) == (40, 40, 0)
        with store.read() as connection:
            p, v = schema.partition.c, schema.vote.c
            ends = connection.execute(sa.select(p.state_offset, p.next_offset).where(p.partition_no == 2)).one()
            assert tuple(ends) == (184, 184)
            voters = sa.select(v.voter).where(v.partition_no == 2, v.voter != 0).distinct()
            known = [row[1] for row in rows_of(connection)["voter_state"] if row[0] == 2]
            assert sorted(known) == sorted(connection.scalars(voters))
            assert rows_of(connection)["alert_event"] == before


def test_a_store_of_the_second_version_is_known_by_its_tables_and_keeps_them(board: Board) -> None:
    """It says 0001 too, but its 0001 had been changed in place: it has all tables of today but the first chain's."""
    Store.open(board.url, voter_key=OPTIONS.key).close()
    board.refresh()
    with board.store() as store, store.write() as connection:
        for name in ("first_segment", "first_segment_range"):
            connection.execute(sa.text(f"DROP TABLE {name}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
        before = rows_of(connection)
    Store.open(board.url, voter_key=OPTIONS.key).close()
    with board.store() as store, store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        now = rows_of(connection)
    assert now.pop("first_segment") == now.pop("first_segment_range") == []
    assert (now.pop("alembic_version"), before.pop("alembic_version")) == ([("0002",)], [("0001",)])
    assert now == before


@pytest.mark.postgres
def test_a_role_that_may_not_change_the_tables_is_told_who_may(postgres_url: str) -> None:
    first_version.put(postgres_url)
    owner = sa.create_engine(parse(postgres_url), isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        for statement in ("CREATE ROLE onlooker LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker"):
            connection.execute(sa.text(statement))
        try:
            with pytest.raises(
                StoreUnavailable, match="expected tables of version 0002, got 0001: `integrity migrate`"
            ):
                Store.open(postgres_url.replace("//postgres@", "//onlooker@"), voter_key=OPTIONS.key)
        finally:
            for statement in ("DROP OWNED BY onlooker", "DROP ROLE onlooker"):
                connection.execute(sa.text(statement))
    owner.dispose()
    Store.open(postgres_url, voter_key=OPTIONS.key).close()


def test_tables_of_later_code_are_left_alone(small: Board) -> None:
    with small.store() as store, store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0003'"))
    with pytest.raises(StoreUnavailable, match="expected tables of version 0002 at most, got 0003"):
        Store.open(small.url, voter_key=OPTIONS.key)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE first_segment SET digest = replace(digest, 'a', 'b') WHERE segment_no = 1", "segment 1 of the first"),
        ("DELETE FROM first_segment WHERE segment_no = 2", "snapshot 2"),
        ("UPDATE snapshot SET body = replace(body, 'votes_c', 'votes_k') WHERE sequence = 2", "snapshot 2"),
        ("UPDATE snapshot SET digest = replace(digest, 'a', 'b') WHERE sequence = 3", "snapshot 3"),
        ("UPDATE snapshot_row SET rating = rating + 1 WHERE snapshot_id LIKE '53b01e47%'", "snapshot 1"),
        ("UPDATE vote SET outcome = 1 - outcome WHERE vote_id = 'v0001'", "leaf 1"),
        ("DELETE FROM manifest", "snapshot 4"),
        ("DELETE FROM exclusion WHERE kind = 'vote'", ""),
    ],
)  # fmt: skip
def test_what_was_changed_in_the_first_chain_is_named(small: Board, damage: str, found: str) -> None:
    with small.store() as store, store.write() as connection:
        connection.execute(sa.text(damage))
    if found:
        with pytest.raises(VerificationFailed, match=found):
            jobs.verify(small.url)
    else:  # what a snapshot left out is said in its body, whatever became of the list since
        assert jobs.verify(small.url)["snapshots"] == 4


def test_a_vote_of_the_chain_that_was_changed_before_the_first_seal_is_named(board: Board) -> None:
    Store.open(board.url, voter_key=OPTIONS.key).close()
    with board.store() as store, store.write() as connection:
        connection.execute(sa.text("UPDATE vote SET model_a = model_b WHERE vote_id = 'v0333'"))
    with pytest.raises(VerificationFailed, match="segment 2 of the first chain"):
        jobs.verify(board.url)


def test_a_voter_of_the_chain_may_be_forgotten(small: Board) -> None:
    with small.store() as store:
        with store.write() as connection:
            assert erasure.of_voter(connection, store.pseudonym("voter 3"), 0) > 0
        with store.read() as connection:
            assert first_chain.recheck(connection) == first_chain.Rechecked(2, 2)
    assert jobs.verify(small.url)["erased"] > 0


def test_until_the_first_seal_the_moves_between_old_boards_are_not_known(tmp_path: Path) -> None:
    url = str(tmp_path / "store.db")
    first_version.put(url)
    with (
        using(OPTIONS),
        closing(Store.open(url, voter_key=OPTIONS.key)) as store,
        TestClient(create_app(store)) as client,
    ):
        refused = client.get(f"/api/v1/diff/{PUBLISHED[0]}..{PUBLISHED[1]}")
        assert (refused.status_code, "the next `integrity refresh`" in refused.json()["detail"]) == (422, True)
        assert client.get(f"/snapshots/{PUBLISHED[0]}/board").status_code == 200
        assert client.get(f"/api/v1/snapshots/{PUBLISHED[1]}").json()["data_until"][:10] == "2026-03-01"


def test_pages_show_what_was_never_signed_and_say_so(small: Board) -> None:
    with small.store() as store, TestClient(create_app(store), follow_redirects=False) as client:
        signed = client.get("/api/v1/snapshots").json()["rows"][0]["snapshot"]
        for page in ("", "/board"):
            assert client.get(f"/snapshots/{PUBLISHED[0]}{page}").status_code == 200
        shown = client.get(f"/snapshots/{PUBLISHED[0]}").text
        assert "which signed nothing" in shown
        assert "Inclusion proof" not in shown
        assert "Inclusion proof" in client.get(f"/snapshots/{signed}").text
        assert client.get(f"/diff/{PUBLISHED[0]}..{signed}").status_code == 200
        by_digest = client.get(f"/api/v1/snapshots/{LAST_DIGEST}")
        assert by_digest.headers["location"] == f"/api/v1/snapshots/{PUBLISHED[2]}"
        facts = client.get(f"/api/v1/snapshots/{PUBLISHED[2]}").json()
        assert (facts["digest"], facts["data_until"][:10]) == (LAST_DIGEST, "2026-03-01")
        for part in ("bundle", "manifest", "proof"):
            refused = client.get(f"/api/v1/snapshots/{PUBLISHED[0]}/{part}")
            assert refused.status_code == 404
            assert "the first version published" in refused.json()["detail"]
        with pytest.raises(Usage, match="the first version published"):
            proofs.bundle(store, PUBLISHED[1])
