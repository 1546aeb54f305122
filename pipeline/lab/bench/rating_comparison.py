"""Runs every rating task with this project and its peers, and compares times and memory.

A peer is another rating package.

Each run has its own process, and one process runs at a time. All engines read the same table from one file. Each peer
is measured with its fastest setting. A ratio compares warm calls with warm calls, and first calls with first calls.

A hundred bootstrap rounds of a peer take minutes. So a peer runs only n rounds, and the time of 100 rounds is
extrapolated: T(100) = T(2) + 98 (T(n) − T(2)) / (n − 2), with the measured times T(2) and T(n). This formula counts the
start of the process only once. The result states that it is extrapolated. With `peer_rounds=100` a peer runs all
rounds.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import Unavailable
from pipeline.ratings import POINTS_PER_LOGIT

OURS = "integrity"
ROUNDS = 100
_PEERS = Path(__file__).parent / "peers"
_SCRIPTS = {"arena-rank": "arena_rank_tasks.py", "evalica": "evalica_tasks.py"}

# Required speed as a multiple of the fastest peer's; memory must be less than every peer's.
BARS = {"ratings": 15.0, "bootstrap": 40.0, "style": 12.0}


@dataclass(frozen=True, slots=True)
class EngineRun:
    """The figures of one engine for one task on one table.

    Attributes:
        engine: name of the engine (this project or a peer). If the engine is run with several settings, the name has
            the setting.
        first: time of the first call of the process, in seconds.
        warm: time of the fastest later call, in seconds; `first` if there is no later call.
        cpu: least CPU time of a call, in seconds, without child processes; NaN for extrapolated times. Other load on
            the machine affects `cpu` less than `warm`.
        peak_mb: largest resident set of the process that reads the table, in MB. Its child processes are not counted.
        error: largest deviation of a rating from the exact optimum, in points.
        extrapolated: 0 if all bootstrap rounds were run. Otherwise the number of rounds that were run, from whose times
            `first` and `warm` are extrapolated.
        failed: why the engine failed; empty if it finished. Times, memory and error of a failed engine are NaN.
    """

    engine: str
    first: float
    warm: float
    cpu: float
    peak_mb: float
    error: float
    extrapolated: int = 0
    failed: str = ""


@dataclass(frozen=True, slots=True)
class ComparedTask:
    """The figures of all engines for one task on one table.

    Attributes:
        task: `ratings`, `bootstrap` or `style`.
        table: `real` or `synthetic`.
        runs: the figures of each engine; those of this project are first.
    """

    task: str
    table: str
    runs: tuple[EngineRun, ...] = field(default=())

    @property
    def ours(self) -> EngineRun:
        """The figures of this project for the task."""
        return self.runs[0]

    @property
    def peers(self) -> tuple[EngineRun, ...]:
        """The figures of the peers that finished the task."""
        return tuple(run for run in self.runs[1:] if not run.failed)

    @property
    def faster(self) -> EngineRun:
        """The figures of the fastest peer by warm time, among the peers that finished the task."""
        return min(self.peers, key=lambda run: run.warm)

    @property
    def ratio(self) -> float:
        """The fastest peer's warm time divided by this project's warm time."""
        return self.faster.warm / self.ours.warm

    @property
    def ratio_first(self) -> float:
        """The least time of a peer's first call divided by the time of this project's first call."""
        return min(run.first for run in self.peers) / self.ours.first

    @property
    def ratio_cpu(self) -> float:
        """The smallest of the peers' CPU times over this project's. NaN if the peers' times are extrapolated."""
        return min(run.cpu for run in self.peers) / self.ours.cpu

    @property
    def lean(self) -> bool:
        """Whether this project has less peak memory than every peer that finished."""
        return all(self.ours.peak_mb < run.peak_mb for run in self.peers)

    @property
    def passed(self) -> bool:
        """Whether the ratio of warm times meets its target and this project has less peak memory than every peer."""
        return self.ratio >= BARS[self.task] and self.lean


class RatingComparison:
    """Runs rating tasks in child processes, and computes the figures of all engines.

    Args:
        python: path of the interpreter of the peers' environment.
        repeats: number of calls of each task in a process.
        peer_rounds: number of bootstrap rounds that a peer runs.
        report: called with a line of text for each step.

    Attributes:
        versions: name of a peer → its version, for the peers that have run.
    """

    def __init__(self, python: Path, repeats: int, peer_rounds: int, report: Callable[[str], None]) -> None:
        self._python, self._repeats, self._peer_rounds, self._report = python, repeats, peer_rounds, report
        self.versions: dict[str, str] = {}

    def ratings(self, table: str, path: Path) -> ComparedTask:
        """Compare the engines for ratings with intervals.

        Args:
            table: name of the table: `real` or `synthetic`.
            path: the Parquet file with the table.

        Returns:
            The figures of all engines.
        """
        exact = self._ours("ratings", path, 2 * self._repeats)
        runs = [self._run(OURS, exact, exact)]
        runs += [_tried(peer, partial(self._plain, peer, "ratings", path, exact)) for peer in _SCRIPTS]
        return _task("ratings", table, runs)

    def bootstrap(self, table: str, path: Path) -> ComparedTask:
        """Compare the engines for ratings with intervals from 100 bootstrap rounds.

        Args:
            table: name of the table: `real` or `synthetic`.
            path: the Parquet file with the table.

        Returns:
            The figures of all engines.
        """
        exact = self._ours("bootstrap", path, self._repeats, ROUNDS)
        runs = [self._run(OURS, exact, exact)]
        runs += [_tried(peer, partial(self._rounds, peer, path, exact)) for peer in _SCRIPTS]
        return _task("bootstrap", table, runs)

    def style(self, table: str, path: Path) -> ComparedTask:
        """Compare the engines for ratings and style coefficients with intervals.

        Args:
            table: name of the table: `real` or `synthetic`.
            path: the Parquet file with the table.

        Returns:
            The figures of all engines.
        """
        ours, exact = self._ours("style", path, self._repeats), self._ours("style-centred", path, 1)
        runs = [self._run(OURS, ours, ours)]
        for task, called in (("style", "arena-rank"), ("style-unpenalised", "arena-rank, reg=0")):
            runs.append(_tried(called, partial(self._plain, "arena-rank", task, path, exact, called)))
        return _task("style", table, runs)

    def _plain(self, peer: str, task: str, path: Path, exact: Mapping[str, Any], called: str = "") -> EngineRun:
        return self._run(called or peer, self._peer(peer, task, path, self._repeats), exact)

    def _rounds(self, peer: str, path: Path, exact: Mapping[str, Any]) -> EngineRun:
        if self._peer_rounds >= ROUNDS:
            return self._run(peer, self._peer(peer, "bootstrap", path, 1, ROUNDS), exact)
        few, more = 2, max(4, self._peer_rounds)
        small, large = (self._peer(peer, "bootstrap", path, 1, rounds) for rounds in (few, more))
        each = (large["seconds"][0] - small["seconds"][0]) / (more - few)
        seconds = small["seconds"][0] + max(each, 0.0) * (ROUNDS - few)
        run = self._run(peer, large, exact)
        return EngineRun(peer, seconds, seconds, float("nan"), run.peak_mb, run.error, extrapolated=more)

    def _ours(self, task: str, path: Path, repeats: int, rounds: int = 0) -> dict[str, Any]:
        self._report(f"{OURS}: {task}")
        return run_child(
            [sys.executable, "-m", "pipeline.lab.bench.rating_tasks", task, str(path), str(repeats), str(rounds)]
        )

    def _peer(self, peer: str, task: str, path: Path, repeats: int, rounds: int = 0) -> dict[str, Any]:
        self._report(f"{peer}: {task}" + (f", {rounds} rounds" if rounds else ""))
        script = str(_PEERS / _SCRIPTS[peer])
        found = run_child([str(self._python), "-W", "ignore", script, task, str(path), str(repeats), str(rounds)])
        self.versions[peer] = found["version"]
        return found

    def _run(self, engine: str, found: Mapping[str, Any], exact: Mapping[str, Any]) -> EngineRun:
        seconds = found["seconds"]
        warm = min(seconds[1:] or seconds)
        return EngineRun(engine, seconds[0], warm, min(found["cpu"]), found["peak_mb"], _error(found, exact))


def _tried(engine: str, run: Callable[[], EngineRun]) -> EngineRun:
    """Return the run of a peer. A peer that fails, for example because memory runs out, gives a run with the reason."""
    try:
        return run()
    except Unavailable as error:
        nan = float("nan")
        return EngineRun(engine, nan, nan, nan, nan, nan, failed=str(error))


def _task(task: str, table: str, runs: list[EngineRun]) -> ComparedTask:
    """Return the task with its runs.

    Raises:
        Unavailable: every peer failed, so there is no ratio.
    """
    found = ComparedTask(task, table, tuple(runs))
    if not found.peers:
        raise Unavailable(f"{task}: no peer finished: {'; '.join(run.failed for run in runs[1:])}")
    return found


def _error(found: Mapping[str, Any], exact: Mapping[str, Any]) -> float:
    """Return the error of an engine's ratings: the largest error of a model's rating, over all models, in points.

    First the mean over the models is subtracted from each rating, in `found` and in `exact` separately. The error of a
    model's rating is then the absolute difference between the model's rating in `found` and its rating in `exact`.

    Args:
        found: the engine's document; "theta" is name of a model → rating in logits.
        exact: the document with the exact optimum, in the same form.
    """
    names = sorted(exact["theta"])
    given, wanted = (np.array([one["theta"][name] for name in names]) for one in (found, exact))
    difference = (given - given.mean()) - (wanted - wanted.mean())
    return float(np.abs(difference).max() * POINTS_PER_LOGIT)


def run_child(command: list[str]) -> dict[str, Any]:
    """Run one child process and return its JSON document.

    Args:
        command: the program and its arguments. It prints the document as its last line.

    Raises:
        Unavailable: the process failed. The message has the last line of its output.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        reason = f"signal {-done.returncode}" if done.returncode < 0 else last
        raise Unavailable(f"expected {' '.join(Path(word).name for word in command[-5:])} to finish, got: {reason}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
