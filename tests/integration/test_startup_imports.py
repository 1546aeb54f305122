"""Commands that read a store do not import the libraries that only evaluations, ratings, files and servers need."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.events.pseudonym import format_pseudonym
from pipeline.open_store import now, open_store
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import alert_lifecycle
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, copied_board, using

# Not needed to list what a store has: numerics, tables, the broker, checks of data, PostgreSQL's driver.
HEAVY = {"scipy", "pandas", "kafka", "great_expectations", "pyarrow", "psycopg", "alembic", "fastapi"}
SETTINGS = {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": ""}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with a published board, an alert, and the incident of the alert."""
    path: Path = tmp_path_factory.mktemp("startup") / "board.db"
    with using(OPTIONS):
        board = copied_board(path, 120)
        with closing(open_store(board.url, voter_key=OPTIONS.key, create=False)) as opened:
            voter = format_pseudonym(opened.pseudonym("voter 1"))
            signal = AlertSignal("voter_bias", "voter", voter, "up", "critical", 2e4, 2, 1, 1, 0, {})
            with opened.write() as connection:
                alert_lifecycle.open_alerts(connection, [signal], {}, now())
    assert called("incidents", "--store", board.url, settings=SETTINGS).returncode == 0  # groups the new alert
    return board.url


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["alerts"], "1 alert"),
        (["alerts", "--json"], '"voter_bias"'),
        (["incidents"], "1 incident"),
        (["incidents", "--json"], '"headline"'),
        (["leaderboard"], "Snapshot 1"),
        (["leaderboard", "--json"], '"snapshot"'),
    ],
)
def test_a_list_imports_no_heavy_library(store: str, words: list[str], printed: str) -> None:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('\\0', *sys.modules, file=sys.stderr))\n"
        "from pipeline.cli.main import main\n"
        "main()"
    )
    command = [sys.executable, "-c", program, *words, "--store", store]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **SETTINGS})
    reported, _, modules = done.stderr.rpartition("\0")
    assert printed in done.stdout + reported
    assert "sqlalchemy" in modules.split()
    assert not HEAVY & set(modules.split())
