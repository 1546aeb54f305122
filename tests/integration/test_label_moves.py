"""Moves of boards by category and language: prepared by a refresh, in the API, on the page, in every format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.jobs.refresh import prepare_answers
from pipeline.jobs.refresh.board_diff import compare_snapshots
from pipeline.store.boards import snapshots
from tests.integration.board_of_votes import OPTIONS, Board, event, using

API = "/api/v1"
METHOD = 'name = "labels"\n[rules]\nrefusal = true\n[boards]\nleast_votes = 40\n'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """Two snapshots; between them the weakest model wins all of its French battles."""
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    method = tmp_path / "method.toml"
    method.write_text(METHOD)
    options = OPTIONS.model_copy(update={"method": str(method)})
    with using(options):
        made = Board(url, tmp_path, options)
        made.read(*(event(n, category="R&D" if n % 2 else "maths") for n in range(300)))
        made.refresh()
        made.read(
            *(
                event(n, language="fr", model_a="dog", model_b=("ant", "bee", "cat")[n % 3], winner="model_a")
                for n in range(300, 420)
            ),
            *(event(n, language="fr", refusal=True) for n in range(420, 440)),
        )
        made.refresh()
        yield made


def test_moves_of_a_board_by_label_are_prepared_and_shown(board: Board) -> None:
    with board.store() as store, TestClient(create_app(store)) as client:
        with store.read() as connection:
            before, after = (snapshots.find(connection, one["snapshot"]) for one in reversed(
                client.get(f"{API}/snapshots").json()["rows"]))  # fmt: skip
            prepared = prepare_answers.read_moves(connection, before, after, "language/fr")
            computed = compare_snapshots(connection, store.files, before, after, "language/fr")
        assert prepared is not None
        assert prepared.moves == computed.moves
        pair = f"{before.snapshot_id}..{after.snapshot_id}"
        found = client.get(f"{API}/diff/{pair}", params={"board": "language/fr"}).json()
        assert (found["view"], found["board"], found["votes"]) == ("defended", "language/fr", 120)
        dog = next(row for row in found["rows"] if row["model"] == "dog")
        assert dog["before"]["rank"] > dog["after"]["rank"] == 1
        assert dog["battles"]["votes"] == 120
        assert client.get(f"{API}/diff/{pair}").json()["board"] is None
        other = client.get(f"{API}/diff/{pair}", params={"board": "category/R&D"}).json()
        assert (other["votes"], {row["places"] for row in other["rows"]}) == (0, {0})
        table = client.get(f"{API}/diff/{pair}", params={"board": "language/fr", "format": "parquet"})
        assert "moves-language-fr-" in table.headers["content-disposition"]
        assert pq.read_table(io.BytesIO(table.content))["model"].to_pylist() == [row["model"] for row in found["rows"]]

        for wrong, status in ((("board", "language/xx"), 404), (("view", "raw"), 422)):
            answer = client.get(f"{API}/diff/{pair}", params={"board": "language/fr", **dict([wrong])})
            assert answer.status_code == status
        page = client.get("/changes", params={"board": "category/R&D", "days": 0})
        assert page.status_code == 200
        assert "board category/R&amp;D" in page.text
        assert "?view=defended&amp;board=category%2FR%26D&amp;format=csv" in page.text
        assert 'href="/changes?board=language%2Ffr"' in client.get("/", params={"board": "language/fr"}).text
