"""Accounts that follow an alert about windows, without an alert of their own, are accounts of its incident."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs import incident_decisions
from pipeline.open_store import now
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import alert_lifecycle, incident_grouping, incident_table
from pipeline.vocabulary.time import DAY, to_microseconds
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, START, Board, event, using
from tests.integration.incident_board import EITHER, new_token
from tests.security.test_page_forms import HTML, SITE, sign_in

MODELS = [f"m{n:02d}" for n in range(20)]
FOLLOWERS, EACH = 9, 5
SETTINGS = {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": ""}


def battle(n: int, voter: str, winner: str | None = None) -> dict[str, Any]:
    """A battle of two models drawn at random, or one that a model wins."""
    a, b = (MODELS[number] for number in np.random.default_rng(n).choice(len(MODELS), 2, replace=False))
    if winner is not None:
        a, b = winner, next(one for one in (a, b) if one != winner)
    return event(n, voter_id=voter, model_a=a, model_b=b, winner="model_a" if winner or n % 3 else "model_b")


@pytest.fixture(params=EITHER)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A board on which nine accounts vote for m03 only, one has too few votes, and one votes on much else."""
    url = str(tmp_path / "board.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with using(OPTIONS):
        made = Board(url, tmp_path)
        votes = [battle(n, f"voter {n % 30}") for n in range(600)]
        votes += [battle(1_000 + n, f"follower {n % FOLLOWERS}", "m03") for n in range(EACH * FOLLOWERS)]
        votes += [battle(1_100 + n, "few", "m03") for n in range(EACH - 1)]
        votes += [battle(1_200 + n, "mixed", "m03" if n < EACH else None) for n in range(4 * EACH)]
        made.read(*votes)
        made.refresh()
        begin = to_microseconds(START)
        window = [begin, begin + 3 * DAY]
        evidence = {"window": window, "votes": 70, "won": 60, "expected": 15.0, "what": "of 70 votes it won 60"}
        side = {"window": window, "votes": 60, "lost": 50, "expected": 10.0, "what": "of 60 votes it lost 50"}
        first, end = window
        signals = [
            AlertSignal("cohort_bias", "model", "m03", "promoted by new accounts", "critical", 1e5, 2, 0, first, end,
                        {**evidence}),
            AlertSignal("cohort_bias", "model", "m05", "demoted by new accounts", "warning", 200.0, 1, 0, first, end,
                        {**side}),
        ]  # fmt: skip
        with made.store() as store, store.write() as connection:
            alert_lifecycle.open_alerts(connection, signals, {}, now())
            incident_grouping.regroup(connection)
        yield made


def pseudonyms(board: Board, *names: str) -> set[str]:
    with board.store() as store:
        return {format_pseudonym(store.pseudonym(name)) for name in names}


def incident(board: Board) -> incident_table.StoredIncident:
    with board.store() as store, store.write() as connection:
        incident_grouping.regroup(connection)
        return next(one for one in incident_table.read_all(connection) if one.body["about"][0]["name"] == "m03")


def test_those_with_most_votes_for_the_model_are_accounts_of_the_incident(board: Board) -> None:
    found = incident(board)
    assert set(found.private["voters"]) == pseudonyms(board, *(f"follower {n}" for n in range(FOLLOWERS)))
    assert (found.body["accounts"], found.body["votes"]) == (FOLLOWERS, FOLLOWERS * EACH)


def test_exclude_leaves_out_all_votes_of_followers_and_restore_counts_them_again(board: Board) -> None:
    found = incident(board).incident_id

    def command(*words: str) -> Any:
        return called("incidents", *words, "--store", board.url, settings=SETTINGS)

    shown = command("show", found, "--verbose").stdout
    assert "What happened: 9 accounts on " in shown
    assert "no alert of its own, but most of its votes do what the incident says" in shown
    done = command("exclude", found, "--reason", "bought", "--yes")
    assert "exclude 9 accounts" in done.stderr
    assert "45 votes go out of the defended view at the next refresh" in done.stderr
    assert (incident(board).body["accounts_left_out"], incident(board).body["votes_left_out"]) == (9, 45)
    assert "nothing is left to exclude" in command("show", found).stdout
    assert command("restore", found, "--reason", "a mistake", "--yes").returncode == 0
    assert incident(board).body["votes_left_out"] == 0
    with board.store() as store, store.read() as connection:
        causes = incident_decisions.exclusion_targets(connection, found, "exclude")
    assert {target for target, _ in causes} == {("voter", one) for one in incident(board).private["voters"]}


def test_the_page_says_which_accounts_have_no_alert_of_their_own(board: Board) -> None:
    found = incident(board).incident_id
    with board.store() as store, TestClient(create_app(store), base_url=SITE, headers=HTML) as client:
        public = client.get(f"/incidents/{found}").text
        sign_in(client, new_token(store, "ann", "alerts", "exclusions"))
        private = client.get(f"/incidents/{found}").text
    assert private.count("none of its own") == FOLLOWERS
    assert "none of its own" not in public
    assert f"{FOLLOWERS} accounts" in public
