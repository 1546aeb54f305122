"""Runs the probes of a report and the audit of the package arenakit on the same file, and compares figures and times.

The two engines run one after the other, each in its own process, with the same number of resamples. The ratio is the
time of arenakit's audit, which runs once, divided by the time of this project's fastest call after the first. Nearly
all of arenakit's time is spent on resamples, so its start hardly counts. Reading the file is not included.

The figures in `TOLERANCES` have the same definition in both engines. Some agree only within a tolerance, for two
reasons. arenakit adds half a battle against an average opponent to every model, and it resamples where this project
uses closed forms.

Three kinds of figures are not compared. For connectivity, arenakit checks whether models met, this project whether they
won and lost. For pairs that another fit reverses, arenakit looks at neighbours, this project at all separated pairs.
The third kind is what arenakit does not have.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.lab.bench.rating_comparison import run_child
from pipeline.ratings import POINTS_PER_LOGIT

BAR = 10.0
"""Required speed, as a multiple of arenakit's."""

_EXACT = (0.0, 1e-9)
# Figure → the tolerance: relative to arenakit's figure, and absolute.
TOLERANCES: dict[str, tuple[float, float]] = {
    "gini": _EXACT,
    "pairs_met": _EXACT,
    "separated_each": (0.0, 3.0),
    "separated_jointly": (0.0, 3.0),
    "median_rank_width": (0.0, 1.0),
    "position": (0.01, 1e-3),
    "first_win_rate": _EXACT,
    "tie_share": _EXACT,
    "rao_kupper": (0.01, 0.0),
    "cyclic_triads": _EXACT,
    "decided_triads": _EXACT,
    "expected_cycles": (0.05, 2e-3),
    "voter_inflation": (0.1, 0.0),
    "busiest_share": (0.05, 1e-3),
    "voter_influence": (0.05, 1e-2),
}
# Largest deviation of a rating from arenakit's, in points, on a board with dozens of votes for each model.
_POINTS = 3.0


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """A figure that both engines compute, with both values.

    Attributes:
        name: name of the figure.
        ours, peer: the value of this project and of arenakit; None if the engine did not compute it.
        agrees: whether the two values differ by at most the tolerance; None if one of them is missing.
    """

    name: str
    ours: float | None
    peer: float | None
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """The figures and times of both engines on one file: the probes of this project, and the audit of arenakit.

    Attributes:
        rounds: number of resamples.
        figures: the compared figures.
        first, warm: time of this project's first call and of its fastest later call, in seconds.
        peer: time of arenakit's audit, in seconds.
        cpu, peer_cpu: least CPU time of this project's calls, and CPU time of arenakit's audit, in seconds. Other load
            on the machine affects CPU times less.
        reading, peer_reading: time in which each engine reads the file, in seconds.
        peak_mb, peer_peak_mb: largest resident set of each engine's process, in MB.
        version: version of arenakit.
    """

    rounds: int
    figures: tuple[ComparedFigure, ...]
    first: float
    warm: float
    peer: float
    cpu: float
    peer_cpu: float
    reading: float
    peer_reading: float
    peak_mb: float
    peer_peak_mb: float
    version: str

    @property
    def ratio(self) -> float:
        """The time of arenakit's audit divided by the time of this project's fastest call after the first."""
        return self.peer / self.warm

    @property
    def ratio_first(self) -> float:
        """The time of arenakit's audit divided by the time of this project's first call."""
        return self.peer / self.first

    @property
    def ratio_cpu(self) -> float:
        """The CPU time of arenakit's audit divided by the least CPU time of this project's calls."""
        return self.peer_cpu / self.cpu

    @property
    def passed(self) -> bool:
        """Whether `ratio` is at least BAR, and all figures that both engines computed agree."""
        return self.ratio >= BAR and all(one.agrees is not False for one in self.figures)


def compare_reports(python: Path, path: Path, rounds: int, report: Callable[[str], None]) -> ReportComparison:
    """Run the probes of this project and the audit of arenakit on a CSV file.

    Args:
        python: path of the interpreter of the peers' environment.
        path: a CSV file with the columns model_a, model_b, winner (a, b, tie), and perhaps voter_id and item_id.
        rounds: number of resamples.
        report: called with a line of text for each step.

    Raises:
        Unavailable: a process failed.
    """
    report(f"integrity: probes, {rounds} resamples")
    ours = run_child([sys.executable, "-m", "pipeline.lab.bench.report_tasks", str(path), str(rounds), "3"])
    report(f"arenakit: audit, {rounds} resamples")
    script = Path(__file__).parent / "peers" / "arenakit_tasks.py"
    peer = run_child([str(python), "-W", "ignore", str(script), str(path), str(rounds)])
    return ReportComparison(
        rounds,
        compare_figures(ours["figures"], peer["figures"]),
        ours["seconds"][0],
        min(ours["seconds"][1:]),
        peer["seconds"][0],
        min(ours["cpu"]),
        peer["cpu"][0],
        ours["reading"],
        peer["reading"],
        ours["peak_mb"],
        peer["peak_mb"],
        peer["version"],
    )


def compare_figures(ours: dict[str, Any], peer: dict[str, Any]) -> tuple[ComparedFigure, ...]:
    """Compare the figures of both engines, one by one.

    Args:
        ours: name → figure of this project (`report_tasks.figures`).
        peer: the same name → figure of arenakit.

    Returns:
        The compared figures. The first is the largest deviation of a rating between the engines, in points.
    """
    names = sorted(ours["theta"].keys() & peer["theta"].keys())
    centred = [[one["theta"][name] - sum(one["theta"][n] for n in names) / len(names) for name in names]
               for one in (ours, peer)]  # fmt: skip
    largest = max(abs(x - y) for x, y in zip(*centred, strict=True)) * POINTS_PER_LOGIT
    compared = [ComparedFigure("rating, largest deviation", largest, 0.0, largest <= _POINTS)]
    for name, (relative, absolute) in TOLERANCES.items():
        mine, theirs = ours[name], peer[name]
        agrees = None
        if mine is not None and theirs is not None:
            agrees = abs(mine - theirs) <= max(relative * abs(theirs), absolute)
        compared.append(ComparedFigure(name, mine, theirs, agrees))
    return tuple(compared)
