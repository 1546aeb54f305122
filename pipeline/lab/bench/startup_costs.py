"""Measures the processor time and the peak memory of short commands, each run in a process of its own.

A command is run once to compile its modules, and then several times; the medians of the later runs count. The commands
read a small store with 5,000 simulated votes on 20 models, one snapshot and 20 alerts.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from pipeline import settings
from pipeline.errors import Unavailable
from pipeline.events.pseudonym import format_pseudonym
from pipeline.lab.bench.stream_throughput import load_and_rate
from pipeline.lab.simulate import HonestSpec, simulate_stream
from pipeline.open_store import now, open_store
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import alert_lifecycle, incident_grouping
from pipeline.store.db import schema

MOST_HELP_SECONDS, MOST_HELP_MB, MOST_SECONDS = 0.25, 60.0, 0.7
_LISTS = ("alerts", "leaderboard", "incidents")
_VOTES, _MODELS, _ALERTS = 5_000, 20, 20
INTEGRITY = ("-c", "from pipeline.cli.main import main; main()")
"""The arguments of Python that run `integrity`. The arguments of `integrity` follow them."""
# Linux counts the memory of a parent as a peak of its child until the child runs another program, so the parent is a
# small process.
_PARENT = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, slots=True)
class StartupCost:
    """Processor time and memory of one command, with its targets.

    Attributes:
        command: the command line, as a text.
        seconds: median processor time, user and system, in seconds.
        peak_mb: median of the largest resident set, in MB.
        most_seconds, most_mb: the targets, as upper limits; None if the command has no such target.
    """

    command: str
    seconds: float
    peak_mb: float
    most_seconds: float | None = None
    most_mb: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether the command costs at most its targets; None for a command without targets."""
        if self.most_seconds is None:
            return None
        return self.seconds <= self.most_seconds and (self.most_mb is None or self.peak_mb <= self.most_mb)


def measure(folder: Path, repeats: int, report: Callable[[str], None]) -> list[StartupCost]:
    """Measure the costs of starting Python, importing SQLAlchemy, showing the help, and listing what a store has.

    Args:
        folder: an empty folder for the store.
        repeats: number of runs of each command, after a first run that is not counted.
        report: called with a line of text before each step.

    Returns:
        The costs of each command, in this order.

    Raises:
        Unavailable: a command failed.
    """
    report(f"making a store of {_VOTES:,} votes")
    store = str(folder / "startup.db")
    _make_store(folder / "votes.jsonl", store)
    plain: list[tuple[str, Sequence[str]]] = [
        ("python -c pass", ("-c", "pass")),
        ("python -c 'import sqlalchemy'", ("-c", "import sqlalchemy")),
    ]
    lists = [(f"integrity {name}", (*INTEGRITY, name, "--store", store)) for name in _LISTS]
    # A user's modules are compiled once, at the installation or by the first command.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    variables["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")

    def cost(command: str, words: Sequence[str], *most: float) -> StartupCost:
        report(f"{command}: {repeats} runs")
        runs = [measure_command(command, words, variables) for _ in range(repeats + 1)][1:]
        return StartupCost(command, *map(median, zip(*runs, strict=True)), *most)

    return [
        *(cost(*one) for one in plain),
        cost("integrity --help", (*INTEGRITY, "--help"), MOST_HELP_SECONDS, MOST_HELP_MB),
        *(cost(*one, MOST_SECONDS) for one in lists),
    ]


def _make_store(votes: Path, store: str) -> None:
    """Create a store with a published board, and with alerts and incidents about its voters."""
    simulate_stream(HonestSpec(votes=_VOTES, models=_MODELS, seed=1)).write_jsonl(votes)
    options = settings.load()
    load_and_rate(store, votes, options)
    with closing(open_store(store, voter_key=options.key)) as opened, opened.write() as connection:
        v = schema.vote.c
        rows = connection.execute(sa.select(v.voter, sa.func.max(v.offset)).group_by(v.voter).limit(_ALERTS))
        signals = [
            AlertSignal("voter_bias", "voter", format_pseudonym(voter), "up", "critical", 2e4, 2, 1, offset, now(), {})
            for voter, offset in rows
        ]
        alert_lifecycle.open_alerts(connection, signals, {}, now())
        incident_grouping.regroup(connection)


def measure_command(
    command: str, words: Sequence[str], variables: Mapping[str, str], fine: Sequence[int] = (0,)
) -> tuple[float, float]:
    """Return the processor time in seconds and the peak memory in MB of one run of Python, in a process of its own.

    Args:
        command: the command, for messages.
        words: the arguments of Python.
        variables: the environment.
        fine: the exit statuses of a run that has done its work.

    Raises:
        Unavailable: the command failed.
    """
    started = [sys.executable, "-c", _PARENT, sys.executable, *words]
    done = subprocess.run(started, capture_output=True, text=True, check=False, env=variables)
    if done.returncode not in fine:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"expected {command} to exit with status 0, got {done.returncode}: {last}")
    seconds, peak_mb = map(float, done.stdout.split())
    return seconds, peak_mb
