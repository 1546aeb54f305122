"""Measures processor time and peak memory of short commands, each in processes of its own.

A command is run several times, and the run with the least processor time counts: other processes of the machine only
add to it.
"""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pipeline import jobs, settings
from pipeline.detectors import VOTER
from pipeline.lab.simulate import HonestSpec, simulate_stream
from pipeline.open_store import open_store
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker

_COMMAND = ("-c", "from pipeline.cli.main import main; main()")
# Linux counts the memory of the parent as a peak of the child, so the parent is a small process.
_LAUNCHER = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
"""
_VOTES, _MODELS = 5_000, 20


@dataclass(frozen=True, slots=True)
class StartupCost:
    """The cost of one command.

    Attributes:
        command: the words of the command.
        seconds: processor time in seconds, user and system.
        peak_mb: largest resident set, in MB.
        most_seconds, most_mb: the targets; None without one.
    """

    command: str
    seconds: float
    peak_mb: float
    most_seconds: float | None = None
    most_mb: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the cost is within the targets; None without a target."""
        if self.most_seconds is None:
            return None
        return self.seconds <= self.most_seconds and (self.most_mb is None or self.peak_mb <= self.most_mb)


def measure_startup(folder: Path, repeats: int) -> list[StartupCost]:
    """Measure Python, SQLAlchemy, help, and commands that read a small store.

    Args:
        folder: an empty folder for the store.
        repeats: number of runs of each command.
    """
    store = str(folder / "startup.db")
    _publish_board(folder / "votes.jsonl", store)
    board = [
        StartupCost(f"integrity {name}", *_cost([*_COMMAND, name, "--store", store], repeats), 0.7)
        for name in ("alerts", "leaderboard")
    ]
    return [
        StartupCost("python -c pass", *_cost(["-c", "pass"], repeats)),
        StartupCost("python -c 'import sqlalchemy'", *_cost(["-c", "import sqlalchemy"], repeats)),
        StartupCost("integrity --help", *_cost([*_COMMAND, "--help"], repeats), 0.25, 60.0),
        *board,
    ]


def _publish_board(votes: Path, store: str) -> None:
    """Create a store with a published board of simulated votes."""
    simulate_stream(HonestSpec(votes=_VOTES, models=_MODELS, seed=1)).write_jsonl(votes)
    with closing(open_store(store, worker=True)) as opened:
        Worker(FileSource(votes), opened, settings.load(), VOTER, "bench").run(until_end=True)
    jobs.publish(store, jobs.rate(store, jobs.seal(store)))


def _cost(words: Sequence[str], repeats: int) -> tuple[float, float]:
    """Return processor time in seconds and peak memory in MB of the cheapest of several runs of Python.

    Raises:
        subprocess.CalledProcessError: a run failed.
    """
    runs = []
    for _ in range(repeats):
        command = [sys.executable, *words]
        done = subprocess.run([sys.executable, "-c", _LAUNCHER, *command], capture_output=True, text=True, check=True)
        seconds, peak_mb, status = map(float, done.stdout.split())
        if status:
            raise subprocess.CalledProcessError(int(status), command, stderr=done.stderr)
        runs.append((seconds, peak_mb))
    return min(runs)
