"""`integrity history` reads what a store exports: its board as JSON, from the command and from the API, and bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.api.app import create_app
from pipeline.cli.commands import app
from pipeline.formats.published_boards import PublishedBoard, read_published_history
from pipeline.open_store import open_store
from tests.integration.test_style_view import OPTIONS, ROWS, event, work


def called(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def figures(board: PublishedBoard) -> list[tuple[Any, ...]]:
    columns = (board.models, board.score, board.lower, board.upper, board.rank, board.votes)
    return sorted(zip(*columns, strict=True))


@pytest.mark.long
def test_the_exports_of_a_store_are_its_history(tmp_path: Path) -> None:
    url = str(tmp_path / "store.db")
    events = [event(number, row) for number, row in enumerate(ROWS)]
    with configuration.override(OPTIONS):
        store = open_store(url, voter_key=OPTIONS.key, worker=True)
        for name, part in (("one", events[:500]), ("two", events[500:])):
            work(store, tmp_path / f"{name}.jsonl", part)
            jobs.refresh_board(url)
        text = called("leaderboard", "--store", url, "--json")
        called("bundle", "--store", url, "--out", tmp_path / "bundle")
        with TestClient(create_app(store)) as client:
            served = client.get("/api/v1/leaderboard").json()
            model = served["rows"][0]["model"]
            history = client.get("/api/v1/history", params={"model": model}).json()
        store.close()
    expected = sorted(
        tuple(row[name] for name in ("model", "rating", "lower", "upper", "rank", "votes"))
        for row in json.loads(text)["rows"]
    )
    for name, document in (("board", json.loads(text)), ("served", served)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        boards = read_published_history([tmp_path / f"{name}.json"]).boards
        assert list(boards) == ["defended"]
        assert figures(boards["defended"][0]) == expected
    bundle = read_published_history([tmp_path / "bundle"])
    boards = {name.rpartition("/")[2]: snapshots for name, snapshots in bundle.boards.items()}
    assert {name: figures(snapshots[-1]) for name, snapshots in boards.items()} == {
        "defended": expected, "raw": expected,
    }  # fmt: skip
    # Unless midnight is between them, both snapshots are of one day, and the last one counts.
    assert len(boards["defended"]) == 2 or bundle.merged.earlier_of_day == 2 * len(expected)
    (tmp_path / "history.json").write_text(json.dumps(history))
    found = json.loads(called("history", tmp_path / "history.json", "--json"))["boards"]["defended"]
    assert (found["names_seen"], found["last"]) == (1, history["rows"][-1]["published_at"][:10])
