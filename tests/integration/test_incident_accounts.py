"""What operators read of the accounts of an incident: whether their votes count now, and after the next refresh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.incident_text import AccountStanding
from pipeline.jobs import incident_decisions
from pipeline.jobs.custody import operator_actions
from pipeline.jobs.incident_accounts import read_standing
from pipeline.store.alerting import alert_queries, incident_grouping
from pipeline.store.alerting.operators_log import Operator
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.integration.incident_board import EACH, SYBILS, incidents

WHO = Operator("erin", "cli", "test")


@pytest.fixture
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with using(OPTIONS):
        yield incident_board.on_database(request, tmp_path)


def accounts(board: Board) -> tuple[AccountStanding, ...]:
    with board.store() as store:
        with store.write() as connection:
            incident_grouping.regroup(connection)
        dog = incidents(store)["dog"]["id"]
        with store.read() as connection:
            found, private = incident_decisions.find_incident(connection, dog)
            alerts = alert_queries.read_alerts(connection, found["alert_ids"])
            return read_standing(connection, private, alerts).accounts


def decide(board: Board, action: str) -> None:
    with board.store() as store, store.write() as connection:
        dog = incidents(store)["dog"]["id"]
        incident_decisions.change_exclusions(connection, dog, action, WHO, "a test")


def states(board: Board) -> set[tuple[bool, bool]]:
    found = accounts(board)
    assert [one.votes for one in found] == [EACH] * SYBILS
    return {(one.counts_now, one.counts_next) for one in found}


@pytest.mark.parametrize("board", incident_board.EITHER, indirect=True)
def test_an_account_counts_now_as_the_newest_snapshot_counts_it(board: Board) -> None:
    assert states(board) == {(True, True)}
    decide(board, "exclude")
    assert states(board) == {(True, False)}
    board.refresh()
    assert states(board) == {(False, False)}
    decide(board, "restore")
    assert states(board) == {(False, True)}
    assert {one.line().rpartition(", left out")[2] for one in accounts(board)} == {
        " now, counted from the next refresh on"
    }
    board.refresh()
    assert states(board) == {(True, True)}


def test_an_erased_account_is_listed_by_its_label_without_votes(board: Board) -> None:
    operator_actions.erase(board.url, voter_id="sybil 3")
    *others, erased = accounts(board)
    assert [one.votes for one in others] == [EACH] * (SYBILS - 1)
    assert (erased.votes, erased.codename) == (0, erased.voter)
    assert erased.line().endswith("no votes that name it")
