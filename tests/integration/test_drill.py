"""The drill: invented votes go to a copy or to a test store, and never to a board."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.errors import Usage
from pipeline.lab.drill import board_copy
from pipeline.lab.drill.campaign import plan_campaign
from pipeline.lab.drill.chain import Chain, Link
from pipeline.open_store import existing_store, open_store
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import drill_mark
from pipeline.store.db import schema
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.integration.test_incidents import SETTINGS

WHO = Operator("erin", "cli", "test")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board with a snapshot of 3,000 votes."""
    with using(OPTIONS):
        made = Board(str(tmp_path / "board.db"), tmp_path)
        made.vote(3_000)
        made.refresh()
        yield made


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def votes_of(url: str) -> int:
    with existing_store(url) as opened, opened.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(schema.vote)) or 0)


@pytest.mark.parametrize("words", [("--to", "kafka://127.0.0.1:9"), ("--mark-as-test",)])
def test_a_published_board_gets_no_invented_vote_and_is_never_marked_as_a_test(
    board: Board, words: tuple[str, ...]
) -> None:
    done = called("drill", *words, "--yes", "--store", board.url, settings=SETTINGS)
    assert done.returncode == 2
    assert "`integrity drill --copy` drills on a copy of it" in done.stderr
    with existing_store(board.url) as opened, opened.read() as connection:
        assert not drill_mark.is_test(connection)
    assert votes_of(board.url) == 3_000


def test_a_store_that_has_published_nothing_is_marked_once_and_the_mark_is_in_the_operators_log(tmp_path: Path) -> None:
    url = str(tmp_path / "empty.db")
    with using(OPTIONS), closing(open_store(url)):
        pass
    for _ in range(2):
        done = called("drill", "--mark-as-test", "--name", "erin", "--json", "--store", url, settings=SETTINGS)
        assert (done.returncode, json.loads(done.stdout)) == (0, {"test_store": True}), done.stderr
    done = called("operators", "log", "--json", "--store", url, settings=SETTINGS)
    rows = [row for row in json.loads(done.stdout) if row["action"] == "store.mark_as_test"]
    assert [row["operator"] for row in rows] == ["erin"]
    # There is no board to drill on yet.
    done = called("drill", "--to", "kafka://127.0.0.1:9", "--yes", "--store", url, settings=SETTINGS)
    assert (done.returncode, "expected a board with a snapshot" in done.stderr) == (2, True)


def test_the_campaign_is_labelled_and_lifts_a_model_that_no_open_incident_is_about(board: Board) -> None:
    with board.store() as store, store.read() as connection:
        campaign = plan_campaign(connection, "drill-1", accounts=3, votes_each=5)
        assert plan_campaign(connection, "drill-1", accounts=3, votes_each=5) == campaign
        with pytest.raises(Usage, match="expected a model of the newest board, got 'elk'"):
            plan_campaign(connection, "drill-1", "elk")
    assert len(campaign.events) == 15
    for one in campaign.events:
        assert one["winner"] == ("model_a" if one["model_a"] == campaign.target else "model_b")
        assert campaign.target in (one["model_a"], one["model_b"])
        assert all(str(one[name]).startswith("drill-1-") for name in ("vote_id", "voter_id", "network"))


@pytest.mark.long
def test_a_drill_on_a_copy_leaves_the_board_as_it_was(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", OPTIONS.voter_key)
    monkeypatch.setenv("INTEGRITY_ANCHOR", "")
    monkeypatch.setattr(board_copy, "_start_prometheus", lambda *_: "")  # the walk of the stack has it
    ledger, links = files(Path(f"{board.url}.ledger")), list[Link]()
    with board_copy.copied_board(board.url, "", 1, str) as made, existing_store(made.url) as opened:
        with opened.read() as connection:
            campaign = plan_campaign(connection, "drill-1")
        campaign.write_jsonl(made.folder / "votes.jsonl")
        chain = Chain(opened, made.url, campaign, made.prometheus, 120, links.append)
        result = chain.run(lambda: made.read(made.folder / "votes.jsonl"), WHO)
        assert votes_of(made.url) == 3_000 + len(campaign.events)
        copied = made.folder
    assert not copied.exists()
    assert [link.name for link in links if link.seconds is None] == ["page"]
    assert [link.name for link in links] == ["votes sent", "alert", "incident", "page", "exclusion", "defended board"]
    assert not result.passed
    assert f"12 accounts on 1 network lifted {campaign.target}" in result.headline
    assert "720 votes left out" in links[-1].note
    assert votes_of(board.url) == 3_000
    assert files(Path(f"{board.url}.ledger")) == ledger
