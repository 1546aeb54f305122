"""Accounts that vote on the target of an incident as its accounts do are told apart, and excluded by a person only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.events.pseudonym import format_pseudonym
from pipeline.open_store import now
from pipeline.store.alerting import alert_lifecycle, incident_grouping, incident_table, suspected_accounts
from pipeline.store.db import schema
from tests.command import called
from tests.integration import board_of_votes
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.integration.incident_board import EITHER, new_token, of_voter
from tests.integration.test_followers import SETTINGS, battle
from tests.security.test_page_forms import HTML, SITE, sign_in

NAMED, MEMBERS, EACH, ON_TARGET = 2, 8, 60, 30
PROMOTES = {"what": "promotes", "model": "m03"}


@pytest.fixture(params=EITHER)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A board on which ten accounts vote for m03 in half of their votes; there are alerts about two of them."""
    url = str(tmp_path / "board.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with using(OPTIONS):
        made = Board(url, tmp_path)
        # In each third battle the second model wins. With 30 voters, a voter would always choose the same side.
        made.read(*(battle(n, f"voter {n % 31}") for n in range(3_100)))
        made.refresh()
        accounts = NAMED + MEMBERS
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(board_of_votes, "VOTER", ())  # so that only the alerts below are about these accounts
            made.read(*(
                battle(5_000 + n, f"account {n % accounts}", "m03" if n < ON_TARGET * accounts else None)
                for n in range(EACH * accounts)
            ))  # fmt: skip
        with made.store() as store, store.write() as connection:
            signals = [of_voter(store, f"account {n}", 400 + n, PROMOTES) for n in range(NAMED)]
            alert_lifecycle.open_alerts(connection, signals, {}, now())
        yield made


def pseudonyms(board: Board, numbers: range) -> set[str]:
    with board.store() as store:
        return {format_pseudonym(store.pseudonym(f"account {n}")) for n in numbers}


def incident(board: Board) -> incident_table.StoredIncident:
    with board.store() as store, store.write() as connection:
        incident_grouping.regroup(connection)
        (found,) = (one for one in incident_table.read_all(connection) if one.body["about"][0]["name"] == "m03")
    return found


def command(board: Board, *words: str) -> Any:
    return called("incidents", *words, "--store", board.url, settings=SETTINGS)


def test_the_other_accounts_of_the_campaign_are_suspected_and_counted_apart(board: Board) -> None:
    found = incident(board)
    assert set(found.private["voters"]) == pseudonyms(board, range(NAMED))
    assert set(found.private["suspects"]["e_values"]) == pseudonyms(board, range(NAMED, NAMED + MEMBERS))
    assert min(found.private["suspects"]["e_values"].values()) > 20
    assert (found.body["accounts"], found.body["votes"]) == (NAMED, NAMED * EACH)
    counts = {"accounts": MEMBERS, "votes": MEMBERS * EACH, "accounts_left_out": 0, "votes_left_out": 0}
    assert found.body["suspected"] == counts


def test_exclude_says_who_is_only_suspected_and_restore_counts_all_again(board: Board) -> None:
    found = incident(board).incident_id
    shown = command(board, "show", found, "--verbose").stdout
    assert f"Suspected too: {MEMBERS} more accounts with {MEMBERS * EACH} votes." in " ".join(shown.split())
    assert shown.count("suspected, no alert of its own") == MEMBERS
    done = command(board, "exclude", found, "--reason", "bought", "--yes")
    said = " ".join(done.stderr.split())
    assert f"exclude {NAMED + MEMBERS} accounts ({MEMBERS} of them only suspected)" in said
    body = incident(board).body
    assert (body["accounts_left_out"], body["votes_left_out"]) == (NAMED, NAMED * EACH)
    assert (body["suspected"]["accounts_left_out"], body["suspected"]["votes_left_out"]) == (MEMBERS, MEMBERS * EACH)
    assert "nothing is left to exclude" in command(board, "show", found).stdout
    assert command(board, "restore", found, "--reason", "a mistake", "--yes").returncode == 0
    assert incident(board).body["suspected"]["accounts_left_out"] == 0


def test_operators_see_the_suspects_on_the_page_and_the_public_does_not(board: Board) -> None:
    found = incident(board)
    names = found.private["suspects"]["e_values"]
    with board.store() as store, TestClient(create_app(store), base_url=SITE, headers=HTML) as client:
        public = client.get(f"/incidents/{found.incident_id}").text
        api = client.get(f"/api/v1/incidents/{found.incident_id}").json()
        sign_in(client, new_token(store, "ann", "alerts", "exclusions"))
        private = client.get(f"/incidents/{found.incident_id}").text
        preview = client.get(f"/incidents/{found.incident_id}/exclude").text
    assert all(name in private for name in names)
    assert f"{MEMBERS} more accounts with {MEMBERS * EACH} votes" in private
    assert f"{MEMBERS} are only suspected" in preview
    assert not any(name in public for name in names)
    assert "uspected" not in public
    assert api["suspected"] == {"accounts": None, "votes": None, "accounts_left_out": 0, "votes_left_out": 0}


def test_suspects_are_read_again_only_if_the_incident_changes(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    before = incident(board).private["suspects"]
    reads = []
    search = suspected_accounts.find_suspects
    monkeypatch.setattr(suspected_accounts, "find_suspects", lambda *given: reads.append(1) or search(*given))
    with board.store() as store, store.write() as connection:
        connection.execute(sa.delete(schema.grouping))
    assert incident(board).private["suspects"] == before
    assert reads == []
    with board.store() as store, store.write() as connection:
        more = of_voter(store, f"account {NAMED}", 500, PROMOTES)
        alert_lifecycle.open_alerts(connection, [more], {}, now())
    after = incident(board).private
    assert reads == [1]
    assert pseudonyms(board, range(NAMED + 1)) == set(after["voters"])
    assert set(after["suspects"]["e_values"]) == pseudonyms(board, range(NAMED + 1, NAMED + MEMBERS))
