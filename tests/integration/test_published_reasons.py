"""Reasons of decisions name no voter, whatever the decision is about: labels stand for pseudonyms and codenames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.events.codenames import codename
from pipeline.jobs.custody import operator_actions
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from tests.command import called
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, Board, using

SETTINGS = {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": ""}


@pytest.fixture(params=incident_board.EITHER)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    with using(OPTIONS):
        yield incident_board.on_database(request, tmp_path)


@pytest.mark.long
def test_the_operators_log_names_no_voter_of_a_reason(board: Board) -> None:
    with board.store() as store:
        one, two, gone = (incident_board.voter(store, name) for name in ("sybil 1", "sybil 2", "sybil 3"))
    reason = f"asked for by {one}, {codename(two)} and {gone}"
    operator_actions.erase(board.url, voter_id="sybil 3", name="ann", reason=reason)
    operator_actions.erase(board.url, vote_id="vote 7", name="ann", reason=reason)
    operator_actions.retract(board.url, "vote 8", reason, "ann")
    operator_actions.rotate_key(board.url, "ann", reason)
    for words in (("add", "bob", "--scope", "log"), ("revoke", "bob")):
        done = called("tokens", *words, "--reason", reason, "--store", board.url, settings=SETTINGS)
        assert done.returncode == 0, done.stderr
    with board.store() as store:
        log = entries(store)
    actions = {"voter.erase", "vote.erase", "vote.retract", "key.rotate", "token.add", "token.revoke"}
    assert set(log) == actions
    for action, text in log.items():
        assert text.startswith("asked for by "), action
        assert not any(name in text for name in (one, codename(two))), (action, text)
    assert gone not in log["voter.erase"]


def entries(store: Store) -> dict[str, str]:
    with store.read() as connection:
        return {row["action"]: row["reason"] for row in operators_log.list_entries(connection, 100)}
