"""A notebook reads the boards of a store that the command line shows, without a key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import leaderboard_integrity as li
from tests.command import called
from tests.integration.board_of_votes import Board, copied_board


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """Two snapshots; the voter key is gone, as for a reader of a copy."""
    made = copied_board(tmp_path_factory.mktemp("notebook") / "board.db", 1200, 300)
    shutil.rmtree(f"{made.url}.keys", ignore_errors=True)
    return made


def shown(board: Board, *words: str) -> dict[str, Any]:
    done = called("leaderboard", "--store", board.url, *words, "--json", settings={"INTEGRITY_VOTER_KEY": "ab" * 32})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], {}),
        (["--view", "raw"], {"view": "raw"}),
        (["--board", "language/en"], {"label": "language/en"}),
    ],
)
def test_a_board_is_the_one_that_the_command_shows(board: Board, words: list[str], arguments: dict[str, Any]) -> None:
    found, expected = li.board(board.url, **arguments), shown(board, *words)
    assert json.loads(json.dumps(found.rows)) == expected["rows"]
    assert found.snapshot == expected["snapshot"]
    assert found.sequence == 2
    assert found.to_pandas()["model"].tolist() == [row["model"] for row in expected["rows"]]
    assert found.rows[0]["model"] in found._repr_html_()
    assert found.plot(top=2).to_dict()["title"].endswith("(the first 2 of 4 models)")


def test_an_older_board_is_found_by_its_id_and_its_time(board: Board) -> None:
    newest = li.board(Path(board.url))
    older = li.board(board.url, at=newest.published_at.isoformat())
    assert older.snapshot == newest.snapshot
    assert li.board(board.url, snapshot=newest.snapshot[:10]).rows == newest.rows


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"view": "style"}, "expected a snapshot with a view style, got none: "),
        ({"label": "language/de"}, "label: expected a board of the snapshot, got language/de: "),
        ({"label": "language/en", "view": "raw"}, "label: expected it with the view defended"),
        ({"at": "soon"}, "at: "),
        ({"at": "2001-01-01"}, "2001"),
        ({"snapshot": "zz"}, "zz"),
    ],
)
def test_a_board_that_is_not_there_is_named(board: Board, arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(li.IntegrityError) as caught:
        li.board(board.url, **arguments)
    assert expected in str(caught.value)
    assert "--" not in str(caught.value)
