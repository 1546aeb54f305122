"""Votes that no snapshot preceded are evaluated afterwards, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.evidence.multiple_testing import ELond
from pipeline.open_store import open_store
from pipeline.store.boards import exclusion_list, snapshots
from pipeline.store.db import schema
from pipeline.store.votes import backlog_runs, unchecked_votes
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import BoardSpec, make_board, records

pytestmark = pytest.mark.long

SPEC = BoardSpec(days=56, votes_a_day=215.0, models=20, taste=0.4, seed=3)
LOUD = Attack("promote", 6, 150, target=7, first_day=20, days=5, abstain=True)
QUIET = Attack("demote", 45, 6, target=3, first_day=10, days=21, age_days=200, networks=45, abstain=True, number=2)
SETTINGS = OPTIONS.model_copy(update={"method": "none", "backfill": "iterated"})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    url = f"sqlite:///{tmp_path / 'board.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with using(SETTINGS.model_copy(update={"ledger": str(tmp_path / "ledger")})):
        yield Board(url, tmp_path, SETTINGS)


def imported(board: Board, *attacks: Attack) -> int:
    """Read one file with an honest board and attacks; return the number of votes."""
    honest = make_board(SPEC)
    votes = honest.votes.merge(*(make_attack(honest, one) for one in attacks))
    board.read(*records(votes))
    return len(votes)


def run(board: Board, *words: str) -> CompletedProcess[str]:
    """Run a command on the board's store."""
    keys = {"INTEGRITY_VOTER_KEY": SETTINGS.voter_key, "INTEGRITY_LEDGER": str(board.folder / "ledger")}
    return called(*words, "--store", board.url, settings={**keys, "COLUMNS": "200"})


def alerts(board: Board) -> list[dict[str, Any]]:
    with board.store() as store, store.read() as connection:
        a = schema.alert
        return [dict(row) for row in connection.execute(sa.select(a).order_by(a.c.alert_id)).mappings()]


def test_the_first_refresh_evaluates_an_imported_file_and_proposes_whom_to_exclude(board: Board) -> None:
    votes = imported(board, LOUD)
    report = jobs.refresh_board(board.url)
    assert (report["backfill"]["votes"], report["backfill"]["found"]) == (votes, 6)
    assert (report["votes_excluded"], report["votes_counted"]) == (0, votes)
    assert report["coverage"]["unchecked"] == 0
    shown = run(board, "refresh")
    assert "never checked" not in shown.stderr
    assert {one["severity"] for one in alerts(board)} == {"warning"}


def test_a_strict_first_refresh_excludes_the_attackers_of_an_imported_file(board: Board) -> None:
    votes = imported(board, LOUD)
    with using(SETTINGS.model_copy(update={"backfill": "strict", "ledger": str(board.folder / "ledger")})):
        report = jobs.refresh_board(board.url)
    assert report["backfill"]["votes"] == votes
    assert report["votes_excluded"] == 900
    assert report["coverage"]["unchecked"] == 0
    with board.store() as store, store.read() as connection:
        assert unchecked_votes.count_unchecked(connection) == 0
        entries = exclusion_list.read_active(connection)
        rows = snapshots.read_rows(connection, report["snapshot"], "defended")
    assert {one.name for one in entries} == {"backfill-voter/1"}
    assert len(entries) == 6
    rank = {row["model"]: row["rank"] for row in rows}["m007"]
    true = int((-make_board(SPEC).strengths).argsort().argsort()[7]) + 1
    assert abs(rank - true) <= 2
    assert "backfill" not in jobs.refresh_board(board.url), "only the first refresh evaluates"


def test_an_iterated_backfill_proposes_and_a_strict_one_excludes(board: Board) -> None:
    imported(board, LOUD)
    assert jobs.backfill(board.url, check=True)["found"] == 6
    assert alerts(board) == [], "a check writes nothing"
    first = jobs.backfill(board.url)
    assert (first["found"], first["critical"], first["unchecked"], first["form"]) == (6, 0, 0, "iterated")
    assert {one["severity"] for one in alerts(board)} == {"warning"}
    assert jobs.backfill(board.url)["votes"] == 0, "everything is evaluated"
    strict = jobs.backfill(board.url, strict=True)
    assert (strict["critical"], strict["form"]) == (6, "nested")
    now = alerts(board)
    assert [(one["severity"], one["detector"]) for one in now] == [("critical", "backfill_voter")] * 6
    assert all("found afterwards, by cross-fitting" in json.loads(one["evidence"])["afterwards"] for one in now)
    with board.store() as store, store.write() as connection:
        changes = exclusion_list.policy_changes(connection)
    assert [(action, policy) for action, *_, policy in changes] == [("exclude", "backfill-voter/1")] * 6


def test_a_person_excludes_all_members_of_a_group_at_once(board: Board) -> None:
    imported(board, QUIET)
    report = jobs.backfill(board.url)
    (about,) = [one for one in alerts(board) if one["subject_kind"] == "model"]
    assert (about["detector"], about["subject"], about["direction"]) == ("pooled_voters", "m003", "demoted")
    members = [one for one in alerts(board) if one["subject_kind"] == "voter"]
    assert len(members) >= 0.85 * 45
    assert not report["critical"], "a group is never excluded by a machine"
    decided = run(board, "alerts", "exclude", about["alert_id"], "--reason", "a farm", "--json")
    assert decided.returncode == 0, decided
    with board.store() as store, store.read() as connection:
        assert {one.target for one in exclusion_list.read_active(connection)} == {one["subject"] for one in members}
    shown = run(board, "alerts", "show", about["alert_id"])
    assert "taken together" in shown.stdout
    assert "found afterwards, by cross-fitting" in shown.stdout


def test_what_a_person_resolved_is_not_opened_again_by_the_same_votes(board: Board) -> None:
    imported(board, LOUD)
    jobs.backfill(board.url)
    one = alerts(board)[0]["alert_id"]
    assert run(board, "alerts", "resolve", one, "--reason", "known").returncode == 0
    jobs.backfill(board.url, strict=True)
    states = {row["alert_id"]: row["state"] for row in alerts(board)}
    assert states[one] == "resolved"
    assert len(states) == 6


def test_the_nightly_run_is_one_family_of_elond_and_repeats_change_nothing(board: Board) -> None:
    imported(board, QUIET)
    first = jobs.reevaluate(board.url)
    assert first["backfill"]["found"], "votes that nobody evaluated come first"
    opened = alerts(board)
    second = jobs.reevaluate(board.url)
    assert second["level"] == first["level"], "the same votes are one family"
    assert alerts(board) == opened
    with board.store() as store, store.read() as connection:
        state = backlog_runs.newest_state(connection, 0.1)
    assert (state.submitted, state.rejected) == (2, 1), "an attack that is found every night is one discovery"
    assert first["level"] == pytest.approx(ELond(0.1, 1, 1).level)


def test_votes_that_cannot_be_compared_stay_never_checked(board: Board) -> None:
    few = make_board(replace(SPEC, days=1, votes_a_day=6.0)).votes
    board.read(*records(few))
    report = jobs.backfill(board.url)
    assert not report["complete"]
    assert report["unchecked"] == len(few)
    assert run(board, "backfill", "--check").returncode == 1


def test_votes_without_a_voter_stay_never_checked(board: Board) -> None:
    board.read(*({k: v for k, v in one.items() if k != "voter_id"} for one in records(make_board(SPEC).votes)))
    report = run(board, "backfill")
    assert report.returncode == 0
    assert "no vote names a voter" in report.stdout


def test_a_worker_counts_only_what_nobody_evaluated(board: Board) -> None:
    votes = imported(board, LOUD)
    with board.store() as store, store.read() as connection:
        assert unchecked_votes.count_unchecked(connection) == votes
    jobs.backfill(board.url)
    one = next(records(make_board(replace(SPEC, seed=8)).votes))
    board.read({**one, "vote_id": "later"})
    with closing(open_store(board.url, voter_key=SETTINGS.key, create=False)) as store, store.read() as connection:
        assert unchecked_votes.count_unchecked(connection) == 1
        assert connection.scalar(sa.select(schema.backlog_run.c.votes)) == votes
