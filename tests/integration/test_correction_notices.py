"""Correction notices and the address for appeals: on pages, in the API, in the next manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipeline.api import change_token
from pipeline.api.app import create_app
from pipeline.api.pages.page_templates import PageTemplates
from pipeline.errors import Refuted, Usage
from pipeline.events.codenames import codename
from pipeline.jobs import correction_notices
from pipeline.ledger import manifest
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest_notices import ManifestNotice, check_notices
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store.alerting import operators_log
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import snapshots
from tests.command import called
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, Board, copied_board, using

APPEALS = OPTIONS.model_copy(update={"appeals": "https://board.example/appeals"})
SETTINGS = {
    "INTEGRITY_VOTER_KEY": OPTIONS.voter_key,
    "INTEGRITY_ANCHOR": "",
    "INTEGRITY_APPEALS": APPEALS.appeals,
}
TEXT = "Votes of a test were counted in <b>this</b> snapshot."


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """A board with a snapshot."""
    with using(OPTIONS):
        if request.param == "sqlite":
            yield copied_board(tmp_path / "board.db", 60)
            return
        made = Board(request.getfixturevalue("postgres_store"), tmp_path)
        made.vote(60)
        made.refresh()
        yield made


def noted(board: Board) -> dict[str, Any]:
    snapshot = newest(board)["snapshot"]
    done = called(
        "notice", "add", snapshot[:12], "--text", TEXT, "--name", "ann", "--store", board.url, "--json",
        settings=SETTINGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def newest(board: Board) -> Any:
    return json.loads(called("leaderboard", "--store", board.url, "--json", settings=SETTINGS).stdout)


@pytest.mark.long
def test_a_notice_is_shown_at_once_and_stands_in_every_manifest_from_the_next_on(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_token, "PERIOD", 0.0)  # else a page may be a second old
    first = board.bundle()
    assert b"notices" not in first["manifest.json"]
    with closing(open_store(board.url, voter_key=OPTIONS.key)) as store, TestClient(create_app(store)) as client:
        before = newest(board)["snapshot"]
        page = client.get(f"/snapshots/{before}").text
        assert "Correction" not in page
        added = noted(board)
        assert (added["sequence"], added["text"], added["name"]) == (1, TEXT, "ann")
        for path in (f"/snapshots/{before}", f"/snapshots/{before}/board", "/"):
            assert "Votes of a test were counted in &lt;b&gt;this&lt;/b&gt; snapshot." in client.get(path).text, path
        for path in ("/api/v1/notices", f"/api/v1/snapshots/{before}/notices"):
            assert client.get(path).json() == {"rows": [added]}
        assert client.get(f"/api/v1/snapshots/{'0' * 64}/notices").status_code == 404
    assert board.refresh()["sequence"] == 2  # no vote is new: the notice is
    assert board.refresh()["sequence"] == 2
    board.vote(12)
    assert board.refresh()["sequence"] == 3
    expected = ManifestNotice(1, Digest(before), TEXT, "ann", added["at"])
    bundle = board.bundle()
    for name in ("previous.json", "manifest.json"):
        assert manifest.load(bundle[name]).notices == (expected,)
    verify_bundle(bundle, board.trusted())


def test_a_manifest_that_drops_or_changes_an_earlier_notice_is_refuted() -> None:
    one = ManifestNotice(1, Digest("0" * 64), "wrong", "ann", "2026-03-01T00:00:00Z")
    two = ManifestNotice(2, Digest("1" * 64), "wrong too", "bob", "2026-03-02T00:00:00Z")
    check_notices((one, two), (one,), "manifest.json")
    check_notices((one,), None, "manifest.json")
    for now, before in ((None, (one,)), ((two,), (one,)), ((two, one), (one, two))):
        with pytest.raises(Refuted, match="notices"):
            check_notices(now, before, "manifest.json")


def test_labels_replace_the_names_of_voters_in_a_notice(tmp_path: Path) -> None:
    with using(OPTIONS), incident_board.copied(tmp_path / "board.db").store() as store:
        one, two = (incident_board.voter(store, f"sybil {n}") for n in (3, 4))
        with store.write() as connection:
            newest = snapshots.latest(connection)
            assert newest is not None
            text = f"Votes of {codename(one).replace('-', ' ').title()} and {two} were counted."
            added = correction_notices.add_notice(connection, newest.snapshot_id, text, Operator("ann", "cli", "test"))
            logged = [row["reason"] for row in operators_log.list_entries(connection, 1)]
        with TestClient(create_app(store)) as client:
            read = [row["text"] for row in client.get("/api/v1/notices").json()["rows"]]
    label = "voter-[0-9a-f]{12}"
    assert re.fullmatch(f"Votes of {label} and {label} were counted[.]", added["text"])
    assert read == logged == [added["text"]]


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "\x1b[2J", "x" * 2_001])
def test_a_notice_is_one_line(board: Board, text: str) -> None:
    words = ("notice", "add", newest(board)["snapshot"], "--text", text, "--store", board.url)
    assert called(*words, settings=SETTINGS).returncode == 2
    assert json.loads(called("notice", "list", "--store", board.url, "--json", settings=SETTINGS).stdout) == []


def test_the_address_for_appeals_is_on_pages_in_the_api_and_in_manifests(board: Board) -> None:
    with using(APPEALS):
        board.vote(12)
        board.refresh()
        with closing(open_store(board.url, voter_key=OPTIONS.key)) as store, TestClient(create_app(store)) as client:
            assert f'<a href="{APPEALS.appeals}">' in client.get("/").text
            assert client.get("/api/v1/status").json()["appeals"] == APPEALS.appeals
    bundle = board.bundle()
    assert manifest.load(bundle["manifest.json"]).appeals == APPEALS.appeals
    assert manifest.load(bundle["previous.json"]).appeals is None
    verify_bundle(bundle, board.trusted())
    with closing(open_store(board.url, voter_key=OPTIONS.key)) as store, TestClient(create_app(store)) as client:
        assert client.get("/api/v1/status").json()["appeals"] is None
        assert "Appeal to" not in client.get("/").text


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://board.example/appeals", "https://board.example/appeals"),
        ("appeals@board.example", "mailto:appeals@board.example"),
        ("javascript:alert(1)", ""),
        ('https://a"x', ""),
        ("room 12", ""),
    ],
)
def test_only_a_page_or_a_mailbox_becomes_a_link(text: str, link: str) -> None:
    page = bytes(PageTemplates(Settings(appeals=text).appeals).page("empty", {}).body).decode()
    assert ("Appeal to <a" in page) == bool(link)
    assert f'<a href="{link}">' in page or not link
    assert "javascript:alert(1)" not in re.findall(r'href="([^"]*)"', page)


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[2J", "x" * 301])
def test_an_address_is_one_line(text: str) -> None:
    with pytest.raises(Usage, match="INTEGRITY_APPEALS: expected one line"):
        Settings(appeals=text)
