"""bench startup measures real commands over a store that has something to list."""

import os
from pathlib import Path

import pytest

from pipeline.errors import Unavailable
from pipeline.lab.bench import startup_costs
from pipeline.lab.bench.startup_costs import StartupCost
from tests.command import called


@pytest.mark.long
def test_each_command_is_measured_beside_python_and_sqlalchemy(tmp_path: Path) -> None:
    lines: list[str] = []
    found = startup_costs.measure(tmp_path, 1, lines.append)
    assert [one.command for one in found] == [
        "python -c pass",
        "python -c 'import sqlalchemy'",
        "integrity --help",
        "integrity alerts",
        "integrity leaderboard",
        "integrity incidents",
    ]
    assert len(lines) == len(found) + 1
    python, library, shown, *lists = found
    assert 0 < python.seconds < library.seconds
    assert python.peak_mb < shown.peak_mb < library.peak_mb < min(one.peak_mb for one in lists)
    assert [one.passed for one in (python, library)] == [None, None]
    settings = {"INTEGRITY_STORE": str(tmp_path / "startup.db")}
    assert "20 alerts" in called("alerts", settings=settings).stderr
    assert "Snapshot 1" in called("leaderboard", settings=settings).stdout
    assert " incident" in called("incidents", settings=settings).stderr


def test_a_command_passes_if_both_of_its_targets_are_met() -> None:
    assert StartupCost("a", 0.2, 70, 0.2).passed is True
    assert StartupCost("a", 0.2, 50, 0.2, 60).passed is True
    assert StartupCost("a", 0.3, 50, 0.2, 60).passed is False
    assert StartupCost("a", 0.2, 70, 0.2, 60).passed is False


def test_a_command_that_fails_is_named_with_its_status_and_last_line() -> None:
    program = "import sys; print('no store', file=sys.stderr); sys.exit(3)"
    with pytest.raises(Unavailable, match=r"expected integrity x to exit with status 0, got 3: no store"):
        startup_costs.measure_command("integrity x", ["-c", program], os.environ)
