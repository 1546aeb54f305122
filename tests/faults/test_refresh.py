"""Faults 32 and 34: a refresh that is killed shows the old snapshot or the new one, signed; the next one goes on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.main import get_command

from pipeline import settings
from pipeline.api import change_token
from pipeline.api.app import create_app
from pipeline.cli.commands import app
from pipeline.store.log import seals
from tests.faults.dying import JOINTS
from tests.faults.scene import SETTINGS
from tests.integration.board_of_votes import Board

pytestmark = pytest.mark.faults

FIRST = 300


@dataclass(frozen=True)
class Stands:
    """A published snapshot.

    Attributes:
        snapshot: its id.
        sequence: its place.
        log_size: leaves that it rates.
    """

    snapshot: str
    sequence: int
    log_size: int


class Refreshes:
    """`integrity refresh`, imported once, each time a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.dying"],
            # Threads of the linear algebra would be forked in the middle of something.
            env=os.environ | SETTINGS | {"OPENBLAS_NUM_THREADS": "1", "GX_ANALYTICS_ENABLED": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def dies(self, url: str, joint: str) -> None:
        """One that is killed."""
        reported = self._told(url, joint)
        assert reported["status"] == -signal.SIGKILL, (joint, reported)

    def lives(self, url: str) -> Stands:
        """One that nothing disturbs."""
        reported = self._told(url, None)
        assert reported["status"] == 0, reported
        made = json.loads(reported["out"])
        return Stands(made["snapshot"], made["sequence"], made["log_size"])

    def _told(self, url: str, joint: str | None) -> dict[str, Any]:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps({"store": url, "joint": joint}), file=stdin, flush=True)
        reported: dict[str, Any] = json.loads(stdout.readline())
        return reported

    def close(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


@pytest.fixture(scope="module")
def refreshes() -> Iterator[Refreshes]:
    with closing(Refreshes()) as it:
        yield it


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    """A board whose votes nobody has sealed."""
    sqlite = request.param == "sqlite"
    url = str(tmp_path / "store.db") if sqlite else str(request.getfixturevalue("postgres_store"))
    made = Board(url, tmp_path, settings.load())
    made.vote(FIRST)
    return made


# Made once: to make all verbs again takes longer than most of them.
COMMAND = get_command(app)


def verb(*words: object) -> Any:
    """The document of a verb that must end well."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        status = COMMAND.main([*map(str, words), "--json"], standalone_mode=False)
    assert not status, output.getvalue()
    return json.loads(output.getvalue())


def ask(api: TestClient, what: str) -> Any:
    """An answer of the API that must be a good one."""
    return api.get(f"/api/v1/{what}").raise_for_status()


def seen(board: Board, api: TestClient) -> Stands:
    """What is published: every way of looking says the same, and the bundle is signed and gives the same ratings."""
    latest = ask(api, "latest").json()
    rows = ask(api, f"snapshots/{latest['snapshot']}/leaderboard").json()["rows"]
    shown = verb("leaderboard", "--store", board.url)
    assert (shown["snapshot"], shown["rows"]) == (latest["snapshot"], rows)
    listed = ask(api, "snapshots").json()["rows"]
    assert [row["sequence"] for row in listed] == list(range(latest["sequence"], 0, -1))
    bundle = board.folder / f"{latest['snapshot']}.zip"
    bundle.write_bytes(ask(api, f"snapshots/{latest['snapshot']}/bundle").content)
    found = verb("verify", bundle, "--key", board.trusted()[-1])
    assert found["key_checked"]
    assert (found["sequence"], found["leaves"]) == (latest["sequence"], latest["body"]["log_size"])
    return Stands(latest["snapshot"], latest["sequence"], latest["body"]["log_size"])


def audit(board: Board) -> None:
    """The daily audit finds nothing wrong, and no tile that it has to make again."""
    found = verb("audit", "--store", board.url)
    assert found["passed"], found
    assert found["parts"][-1] == {"name": "tiles", "passed": True, "what": "all intact", "where": ""}


def sealed(board: Board) -> int:
    """Leaves of the log."""
    with board.store() as store, store.read() as connection:
        return seals.head(connection)[0]


@pytest.mark.long
def test_kill_9_at_any_joint_of_a_refresh_shows_the_old_snapshot_or_the_new_one(
    board: Board, refreshes: Refreshes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API's process lives on through all of it; the command and the audit come new each time."""
    monkeypatch.setattr(change_token, "PERIOD", 0.0)  # else a response may be one second old
    old = refreshes.lives(board.url)
    with board.store() as store, TestClient(create_app(store)) as api:
        for name, joint in JOINTS.items():
            before = board.votes
            board.vote(2)
            refreshes.dies(board.url, name)
            assert sealed(board) == (board.votes if joint.sealed else before), name
            found = seen(board, api)
            if joint.tiled:
                audit(board)
            new = refreshes.lives(board.url)
            if not joint.tiled:  # the audit would have made them again
                audit(board)
            assert (new.sequence, new.log_size) == (old.sequence + 1, board.votes), name
            assert found == (new if joint.published else old), name
            old = new
        assert seen(board, api) == old
