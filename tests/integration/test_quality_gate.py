"""The gate of a refresh on real stores, with the real Great Expectations: what stops it, and where warnings show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.errors import QualityGate
from pipeline.store.boards import snapshots, verdicts
from pipeline.store.votes import registry_events
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, using

SUBMITTED = {
    "schema": 1,
    "event_id": "e1",
    "at": "2026-01-01T00:00:00Z",
    "type": "model.submitted",
    "model": "ant",
    "provider": "p",
    "visibility": "public",
    "license": "open",
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))


@pytest.fixture
def board(url: str, tmp_path: Path) -> Iterator[Board]:
    """Two hundred votes on four models, in the log."""
    with using(OPTIONS):
        made = Board(url, tmp_path)
        made.vote(200)
        yield made


def execute(board: Board, statement: str) -> None:
    """Run SQL as whoever owns the tables."""
    with board.store() as store, store.write() as connection:
        connection.execute(sa.text(statement))


def stored(board: Board, read: Callable[[sa.Connection], Any]) -> Any:
    with board.store() as store, store.read() as connection:
        return read(connection)


def gauges(board: Board) -> tuple[float | None, Any]:
    with board.store() as store:
        status = jobs.read_store_status(store)
    return status.quality_gate_success, status.quality_warnings


@pytest.mark.long
def test_a_broken_registry_event_stops_the_refresh_before_rating_until_it_is_gone(board: Board) -> None:
    execute(board, "INSERT INTO registry_event (event_id, at, type, body) VALUES ('x', 1, 'model.lost', '{}')")
    with pytest.raises(QualityGate, match="registry up to 1: type: expect_column_values_to_be_in_set"):
        jobs.refresh_board(board.url)
    assert stored(board, snapshots.newest_sequence) == 0
    assert stored(board, lambda c: c.scalar(sa.text("SELECT count(*) FROM snapshot"))) == 0  # no candidate either
    assert stored(board, lambda c: verdicts.all_passed(c, "registry")) is False
    assert stored(board, lambda c: verdicts.all_passed(c, "votes")) is True
    assert gauges(board)[0] == 0.0
    execute(board, "DELETE FROM registry_event")
    assert jobs.refresh_board(board.url)["sequence"] == 1
    assert gauges(board)[0] == 1.0


@pytest.mark.long
def test_a_broken_row_of_a_candidate_stops_the_refresh_before_publishing(board: Board) -> None:
    size = jobs.seal(board.url)
    jobs.check(board.url, size)
    candidate = jobs.rate(board.url, size)
    execute(board, "UPDATE snapshot_row SET lower = rating + 1 WHERE model = 'ant' AND view = 'defended'")
    with pytest.raises(QualityGate, match=f"candidate {candidate[:12]}: defended rating, lower: .*greater_than_b"):
        jobs.refresh_board(board.url)
    assert stored(board, snapshots.newest_sequence) == 0
    assert gauges(board)[0] == 0.0
    execute(board, "UPDATE snapshot_row SET lower = rating - 1 WHERE model = 'ant' AND view = 'defended'")
    assert jobs.refresh_board(board.url)["snapshot"] == candidate
    assert gauges(board)[0] == 1.0


@pytest.mark.long
def test_a_broken_row_of_a_board_by_language_stops_the_refresh_before_publishing(board: Board, tmp_path: Path) -> None:
    method = tmp_path / "method.toml"
    method.write_text('name = "small"\n[boards]\nleast_votes = 50\n')
    with using(OPTIONS.model_copy(update={"method": str(method)})):
        size = jobs.seal(board.url)
        jobs.check(board.url, size)
        candidate = jobs.rate(board.url, size)
        execute(board, "UPDATE snapshot_row SET lower = rating + 1 WHERE model = 'ant' AND view = 'language/en'")
        where = "boards by category and language rating, lower"
        with pytest.raises(QualityGate, match=f"candidate {candidate[:12]}: {where}: .*greater_than_b"):
            jobs.refresh_board(board.url)
        assert stored(board, snapshots.newest_sequence) == 0
        execute(board, "UPDATE snapshot_row SET lower = rating - 1 WHERE model = 'ant' AND view = 'language/en'")
        result = jobs.refresh_board(board.url)
        assert (result["snapshot"], result["labels"]) == (candidate, 2)
        parts = {row["part"] for row in result["warnings"] if row["suite"] == "snapshot"}
        assert where.partition(" rating")[0] not in parts


@pytest.mark.long
def test_warnings_are_shown_by_refresh_and_doctor_and_exported_and_stop_nothing(board: Board, tmp_path: Path) -> None:
    store = ("--store", board.url)
    done = called("refresh", "--json", *store, settings={})
    assert done.returncode == 0, done.stderr
    found = {(row["suite"], row["part"], row["column"]) for row in json.loads(done.stdout)["warnings"]}
    assert ("registry", "", "table") in found
    suite = json.loads(Path("expectations/registry.json").read_text(encoding="utf-8"))["expectations"]
    line = f"warning: registry, table: {suite[-1]['meta']['notes']} (expect_table_row_count_to_be_between, observed 0)"
    text = called("refresh", *store, settings={})
    assert (text.returncode, line in " ".join(text.stderr.split())) == (0, True)
    doctor = called("doctor", *store, settings={})
    assert (doctor.returncode, line in " ".join(doctor.stdout.split())) == (0, True)
    listed = json.loads(called("doctor", "--json", *store, settings={}).stdout)["store"]["quality_warnings"]
    assert {(row["suite"], row["part"], row["column"]) for row in listed} == found
    assert all(row["reason"] and row["expectation"] for row in listed)
    assert gauges(board)[1][("registry",)] == 1.0
    file = tmp_path / "registry.jsonl"
    file.write_text(json.dumps(SUBMITTED))
    with board.store() as store:
        registry_events.load_file(store, file)
    jobs.refresh_board(board.url)
    assert gauges(board)[1][("registry",)] == 0.0


@pytest.mark.long
def test_a_refresh_that_finds_nothing_new_evaluates_nothing(board: Board) -> None:
    first = jobs.refresh_board(board.url)
    count = "SELECT count(*) FROM verdict"
    before = stored(board, lambda c: c.scalar(sa.text(count)))
    assert before == 3
    script = (
        "import sys; from pipeline import jobs;"
        f"assert jobs.refresh_board({board.url!r})['snapshot'] == {first['snapshot']!r};"
        "assert 'great_expectations' not in sys.modules"
    )
    environment = os.environ | {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert stored(board, lambda c: c.scalar(sa.text(count))) == before
