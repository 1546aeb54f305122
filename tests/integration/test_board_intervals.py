"""Intervals of snapshots, on either database: from all votes and from kept sums; a reader verifies them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from pipeline.api.app import create_app
from pipeline.cli.commands import app
from pipeline.cli.terminal import out
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.refresh import board_intervals
from pipeline.ledger import interval_rows, voter_scores_file
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ratings import PairCounts, fit
from pipeline.ratings.voter_score_sums import VoterBattles, sum_voter_scores
from pipeline.store.boards import board_listing, exclusion_list, snapshot_intervals, snapshots
from pipeline.store.log import newest_votes, voter_sums
from pipeline.store.votes import dictionary
from tests.integration.board_of_votes import OPTIONS, Board, event, using

pytestmark = pytest.mark.postgres


@pytest.fixture(params=["sqlite", "postgres"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    sqlite = request.param == "sqlite"
    url = str(tmp_path / "store.db") if sqlite else str(request.getfixturevalue("postgres_url"))
    with using(OPTIONS):
        yield Board(url, tmp_path)


def published(board: Board) -> tuple[dict[str, Any], dict[str, voter_scores_file.VoterScores]]:
    """The intervals and the sums of the newest snapshot, after a reader has verified its bundle."""
    files = board.bundle()
    verified = verify_bundle(files, board.trusted())
    assert verified.statements == (voter_scores_file.PATH,)
    assert "rest on voter-scores.parquet, the operator's statement" in str(verified)
    body = json.loads(files["snapshot.json"])
    manifest = json.loads(files["manifest.json"])
    assert body["intervals"]["sha256"] == manifest["files"][interval_rows.PATH]
    sums = voter_scores_file.read(files[voter_scores_file.PATH], 9)
    return json.loads(files[interval_rows.PATH]), sums


def exclude(board: Board, voter: str, action: str = "exclude") -> None:
    with board.store() as store:
        target = format_pseudonym(store.pseudonym(voter))
        with store.write() as connection:
            exclusion_list.add_entry(connection, action, "voter", target, "a test", "a person", 1)


def summed_directly(board: Board, left_out: str = "") -> np.ndarray:
    """B of the raw view from the votes of the store."""
    with board.store() as store, store.read() as connection:
        votes = newest_votes.read_newest(connection, snapshots.latest(connection).log_size, 10**9)  # type: ignore[union-attr]
        out = store.pseudonym(left_out) if left_out else -1
    votes = votes.where(votes.voter != out)
    names, code = np.unique(np.concatenate([votes.model_a, votes.model_b]), return_inverse=True)
    a, b = code.reshape(2, -1)
    labels = tuple(str(one) for one in names)
    outcome = votes.outcome.astype(np.int64)
    fitted = fit(PairCounts.from_codes(labels, a, b, outcome))
    return sum_voter_scores(fitted, labels, VoterBattles(votes.voter, a, b, outcome)).scatter


@pytest.mark.long
def test_a_snapshot_has_intervals_clustered_by_voter_that_a_reader_verifies(board: Board) -> None:
    board.vote(340)
    board.refresh()
    document, sums = published(board)
    assert (document["level"], document["models_ever"], document["summed_at"]) == (0.95, 4, 340)
    for view in ("raw", "defended"):
        assert sums[view].scatter == pytest.approx(summed_directly(board), rel=1e-5, abs=1e-5)
        first, *_, last = document["views"][view]
        assert first["sequence_lower"] < first["clustered_lower"] < first["clustered_upper"] < first["sequence_upper"]
        assert first["sure_best"] == 1
        assert "gap_lower" in first
        assert "gap_lower" not in last
    exclude(board, "voter 5")
    board.refresh()
    document, sums = published(board)
    assert sums["raw"].scatter == pytest.approx(summed_directly(board), rel=1e-5, abs=1e-5)
    assert sums["defended"].scatter == pytest.approx(summed_directly(board, "voter 5"), rel=1e-5, abs=1e-5)


def test_models_may_have_numbers_in_any_order(tmp_path: Path) -> None:
    names = dict(zip(["ant", "bee", "cat", "dog"], ["wolf", "ant", "yak", "bee"], strict=True))
    board = Board(str(tmp_path / "store.db"), tmp_path)

    def renamed(n: int) -> dict[str, Any]:
        vote = event(n)
        return {**vote, "model_a": names[vote["model_a"]], "model_b": names[vote["model_b"]]}

    first = [vote for vote in map(renamed, range(300)) if {vote["model_a"], vote["model_b"]} <= {"wolf", "yak"}]
    with using(OPTIONS):
        board.read(*first)
        board.read(*map(renamed, range(300, 640)))
        board.refresh()
        with board.store() as store, store.read() as connection:
            assert list(dictionary.model_names(connection).values())[:2] == ["wolf", "yak"]
        document, sums = published(board)
    assert {row["model"] for row in document["views"]["raw"]} == set(names.values()) == set(sums["raw"].models)


@pytest.mark.long
def test_kept_sums_are_carried_on_until_they_are_too_old(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_intervals, "ALWAYS", 100)
    reads: list[int] = []
    read = newest_votes.read_newest

    def counted(*given: Any) -> Any:
        if given[2] == board_intervals.MOST_VOTES:  # the reference reads fewer
            reads.append(given[1])
        return read(*given)

    monkeypatch.setattr(board_intervals.newest_votes, "read_newest", counted)

    def reading(votes: int) -> list[int]:
        reads.clear()
        if votes:
            board.vote(votes)
        board.refresh()
        return list(reads)

    def summed_at() -> int:
        return int(published(board)[0]["summed_at"])

    board.vote(600)
    board.refresh()
    assert summed_at() == 600
    assert reading(12) == []
    assert summed_at() == 600
    _, sums = published(board)
    assert np.diag(sums["raw"].scatter) == pytest.approx(np.diag(summed_directly(board)), rel=0.1)
    exclude(board, "voter 5")  # whose votes are subtracted from the kept sums
    assert reading(0) == []
    _, sums = published(board)
    assert np.diag(sums["defended"].scatter) == pytest.approx(np.diag(summed_directly(board, "voter 5")), rel=0.1)
    assert np.diag(sums["defended"].scatter).sum() < np.diag(sums["raw"].scatter).sum()
    exclude(board, "voter 5", "restore")
    assert reading(0) == []
    assert reading(40) == [652]  # more than a twentieth
    assert summed_at() == 652
    exclude(board, "voter 6")
    assert reading(60) == [712]
    exclude(board, "voter 6", "restore")
    assert reading(0) == [712]  # an undone exclusion: its votes are not in the sums
    with board.store() as store, store.read() as connection:
        kept = voter_sums.read_sums(connection, "defended")
        assert kept is not None
        assert (kept.log_size, kept.votes, kept.total, kept.rules > 0) == (712, 712, 712, True)
        assert voter_sums.read_sums(connection, "no view") is None


@pytest.mark.long
def test_page_api_and_command_show_the_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with using(OPTIONS):
        board = Board(str(tmp_path / "store.db"), tmp_path)
        board.vote(600)
        snapshot = board.refresh()["snapshot"]
        document, _ = published(board)
        expected = document["views"]["defended"]
        shown = CliRunner().invoke(app, ["leaderboard", "--store", board.url, "--json"])
        rows = json.loads(shown.stdout)["rows"]
        assert [{k: v for k, v in row.items() if k in expected[0] and v is not None} for row in rows] == expected
        monkeypatch.setattr(out, "_width", 120)  # which the environment had when it was made
        text = CliRunner().invoke(app, ["leaderboard", "--store", board.url]).stdout
        assert f"{expected[0]['clustered_lower']:.2f} … {expected[0]['clustered_upper']:.2f}" in text
        assert "Sure ranks hold at all snapshots at once" in " ".join(text.split())
        with board.store() as store, TestClient(create_app(store)) as client:
            address = f"/api/v1/snapshots/{snapshot}"
            assert client.get(f"{address}/leaderboard").json()["rows"] == rows
            assert client.get(f"{address}/leaderboard?view=style").status_code == 404
            header, first, *_ = client.get(f"{address}/standings?format=csv").text.splitlines()
            cells = dict(zip(header.split(","), first.split(","), strict=True))
            assert float(cells["defended_sequence_lower"]) == expected[0]["sequence_lower"]
            assert cells["style_sure_best"] == ""
            page = client.get("/").text
            assert "with 95% certainty, for all models and all updates of the board together" in page
            sure = f">{expected[0]['sure_best']}–{expected[0]['sure_worst']}</td>"
            assert page.index(sure) < page.index("</tr>", page.index("<tbody>"))
            low, high = (f"{expected[0][f'clustered_{side}']:,.1f}" for side in ("lower", "upper"))
            assert f"95% interval {low} to {high}" in page
            # A board that does not list the next model does not show the gap to it.
            body = {**board_body(board), "method": {"listing": {"hidden": [expected[1]["model"]]}}}
            listed = board_listing.list_rows(body, rows)
            hidden = snapshot_intervals.add_intervals(store.files, body, "defended", listed)
            assert hidden[0]["gap_lower"] is None
            assert hidden[1]["gap_lower"] == expected[2]["gap_lower"]
            # Snapshots of earlier versions, and a ledger folder without the file, have none.
            for older in ({}, {"intervals": {"sha256": "0" * 64}}):
                (row, *_) = snapshot_intervals.add_intervals(store.files, older, "defended", rows)
                assert row["sure_best"] is None
            assert snapshot_intervals.add_intervals(store.files, body, "defended", []) == []


def board_body(board: Board) -> dict[str, Any]:
    with board.store() as store, store.read() as connection:
        return snapshots.find(connection).body


@pytest.mark.long
def test_an_excluded_attacker_leaves_honest_intervals_although_the_sums_were_kept(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacker's votes moved the ratings with which the kept sums were computed."""
    monkeypatch.setattr(board_intervals, "ALWAYS", 100)
    board.vote(900)
    rivals = ("ant", "bee", "cat")
    board.read(*(
        event(5_000 + n, voter_id="attacker", model_a="dog", model_b=rivals[n % 3], winner="model_a")
        for n in range(150)
    ))  # fmt: skip
    board.refresh()
    exclude(board, "attacker")
    board.refresh()
    document, sums = published(board)
    assert document["summed_at"] == 1_050  # kept
    assert np.diag(sums["defended"].scatter) == pytest.approx(np.diag(summed_directly(board, "attacker")), rel=0.35)
    monkeypatch.setattr(board_intervals, "MOST_GROWTH", 0.0)
    board.vote(1)
    board.refresh()
    anew, _ = published(board)
    assert anew["summed_at"] == 1_051
    widths = [
        {row["model"]: row["clustered_upper"] - row["clustered_lower"] for row in one["views"]["defended"]}
        for one in (document, anew)
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)
