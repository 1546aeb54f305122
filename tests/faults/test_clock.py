"""Fault 29: a worker's clock that is hours off changes no fate, no window, no alert, and keeps no alert back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import give_up
from tests.faults.scene import SETTINGS, Scene, Watch, ended, killed_at_the_end, progress, rows, wait

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.postgres]

COMMAND = (sys.executable, "-m", "tests.faults.skewed")
# Waits are measured by the monotonic clock, which no administrator sets.
ALONE = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture(scope="module")
def library() -> str:
    """The library that sets the clock of a process wrong."""
    path = Path(sys.prefix) / "faketime" / "libfaketimeMT.so.1"
    if not path.exists():
        give_up(f"expected {path.name} in {path.parent}, got none: run `make faketime`")
    return str(path)


def skewed(library: str, by: str) -> dict[str, str]:
    return {"LD_PRELOAD": library, "FAKETIME": by, **ALONE}


@pytest.mark.long
def test_workers_with_clocks_hours_apart_leave_what_one_with_the_right_time_leaves(scene: Scene, library: str) -> None:
    url, total, reported = scene.database(), len(scene.stream), len(scene.announced())
    before = rows(url, "SELECT max(updated_at) FROM partition")[0][0]
    skews = [skewed(library, by) for by in ("+3h", "-3h")]
    workers = [scene.start(url, command=COMMAND, INTEGRITY_BATCH_VOTES="250", **skew) for skew in skews]
    with killed_at_the_end(*workers), Watch(url, lambda: total) as watch:
        wait(lambda: progress(url) == total, what="the end")
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        read = [ended(worker)["read"] for worker in workers]
    assert min(read) > 0, f"expected both to be at work, got {read}"
    hours = [(at - before) / 3.6e9 for (at,) in rows(url, "SELECT updated_at FROM partition")]
    assert min(hours) < -2 < 2 < max(hours), f"expected clocks that are off, got {hours}"
    scene.expect_kept(url, watch, announced=scene.announced(since=reported))


@pytest.mark.long
def test_monitors_with_clocks_hours_apart_close_every_window_once(scene: Scene, library: str) -> None:
    """Their lease is a matter of clocks; what they write is one transaction with their position."""
    url = scene.database()
    scene.run(url)
    command = [*COMMAND, "monitor", "--store", url, "--close", "--json"]
    monitors = [
        subprocess.Popen(
            command,
            env=os.environ | SETTINGS | skewed(library, by),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for by in ("-3h", "+3h")
    ]
    with killed_at_the_end(*monitors):
        closed = sum(ended(monitor)["windows_closed"] for monitor in monitors)
    expected = rows(url, 'SELECT start, sum(accepted), sum(late) FROM "window" GROUP BY 1')
    assert rows(url, "SELECT start, accepted, late FROM closed_window") == expected
    assert closed >= len(expected) > 500
