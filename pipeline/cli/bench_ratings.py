"""Runs the command bench ratings: compares the rating engine with the packages arena-rank and evalica.

The results are ratios within one run.
"""

import os
import tempfile
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress
from rich.table import Table

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.progress_columns import DescriptionColumn
from pipeline.cli.terminal import met, styled
from pipeline.cli.terminal_tables import titled_table
from pipeline.errors import Usage
from pipeline.lab.bench import rating_comparison, rating_tables
from pipeline.lab.bench.interval_coverage import CoverageBand, simulate_coverage
from pipeline.lab.bench.peer_environment import peers_python

_TASKS = ("ratings", "bootstrap", "style", "coverage")


@bench.command()
def ratings(
    only: Annotated[str, typer.Option(help="Only these, comma-separated: ratings, bootstrap, style, coverage.")] = "",
    repeats: Annotated[int, typer.Option(min=2, help="Calls of each task in one process.")] = 3,
    peer_rounds: Annotated[
        int, typer.Option(min=4, help="Bootstrap rounds that a peer runs; extrapolated to 100.")
    ] = 6,
    boards: Annotated[int, typer.Option(min=10, help="Simulated boards for coverage.")] = 1000,
    votes: Annotated[int, typer.Option(min=1000, help="Rows of the synthetic table.")] = 2_000_000,
    as_json: JsonOption = False,
) -> None:
    """Measure time, peak memory and error of ratings, compared with arena-rank and evalica.

    These packages run in .venv-bench, which is created if it is missing.
    """
    wanted = tuple(only.split(",")) if only else _TASKS
    for name in wanted:
        if name not in _TASKS:
            raise Usage(f"--only: expected some of {', '.join(_TASKS)}, got {name!r}")
    measured: list[rating_comparison.ComparedTask] = []
    versions: dict[str, str] = {}
    if set(wanted) != {"coverage"}:
        measured, versions = _compare(wanted, repeats, peer_rounds, votes)
    bands = _coverage_bands(boards) if "coverage" in wanted else ()
    if as_json:
        emit(_document(measured, bands, versions))
        return
    for task in measured:
        out.print(_table(task))
        bar = f"bar {rating_comparison.BARS[task.task]:.0f}×, less memory than every peer: "
        out.print(
            styled(
                f"{task.ratio:.1f}× as fast as {task.faster.engine} "
                f"(first call {task.ratio_first:.1f}×{_cpu(task)}); {bar}",
                met(task.passed),
            )
        )
    if bands:
        out.print(_coverage_table(bands, boards))
    if measured:
        peers = ", ".join(f"{peer} {version}" for peer, version in sorted(versions.items()))
        out.print(f"{peers}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _compare(
    wanted: tuple[str, ...], repeats: int, peer_rounds: int, votes: int
) -> tuple[list[rating_comparison.ComparedTask], dict[str, str]]:
    runner = rating_comparison.RatingComparison(peers_python(), repeats, peer_rounds, err.print)
    measured = []
    with tempfile.TemporaryDirectory(prefix="integrity-bench-") as name:
        real, synthetic = Path(name) / "real.parquet", Path(name) / "synthetic.parquet"
        err.print(f"real counts as {rating_tables.write_real_votes(real):,} rows; {votes:,} synthetic rows …")
        rating_tables.write_synthetic_votes(synthetic, votes)
        for task in wanted:
            for table, path in (("real", real), ("synthetic", synthetic)):
                if task == "style" and table == "real":
                    continue  # the real counts have no style counts
                if task in rating_comparison.BARS:
                    measured.append(getattr(runner, task)(table, path))
    return measured, runner.versions


def _coverage_bands(boards: int) -> tuple[CoverageBand, ...]:
    columns = (DescriptionColumn(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=boards)
        return simulate_coverage(boards, step=lambda: bar.advance(task))


def _cpu(task: rating_comparison.ComparedTask) -> str:
    return "" if isnan(task.ratio_cpu) else f", CPU seconds {task.ratio_cpu:.1f}×"


def _table(task: rating_comparison.ComparedTask) -> Table:
    rows = "1,670,250 real votes, 129 models" if task.table == "real" else "synthetic votes, 243 models"
    columns = ("", "first s", "warm s", "CPU s", "peak MB", "worst error, points")
    table = titled_table(f"{_TITLES[task.task]}: {rows}", columns)
    for run in task.runs:
        engine = f"{run.engine} ({run.extrapolated} rounds run)" if run.extrapolated else run.engine
        if run.failed:
            table.add_row(run.engine, "failed", "", "", "", run.failed)
            continue
        cpu = "" if isnan(run.cpu) else f"{run.cpu:.3f}"
        table.add_row(engine, f"{run.first:.3f}", f"{run.warm:.3f}", cpu, f"{run.peak_mb:,.0f}", f"{run.error:.2g}")
    return table


_TITLES = {
    "ratings": "Strings to ratings with intervals",
    "bootstrap": "Strings to ratings with 100 bootstraps",
    "style": "Strings and style counts to ratings and coefficients with intervals",
}


def _coverage_table(bands: tuple[CoverageBand, ...], boards: int) -> Table:
    columns = ("votes", "models", "ours", "with a peer's ridge", "94% to 96%")
    table = titled_table(f"Coverage of 95% intervals, {boards:,} boards", columns)
    for band in bands:
        reach = f"{band.low:,} – {band.high:,}" if band.high < 10**9 else f"{band.low:,} –"
        cells = (reach, str(band.models), f"{band.exact:.1%}", f"{band.ridge:.1%}")
        table.add_row(*cells, styled(met(band.passed)))
    return table


def _document(
    measured: list[rating_comparison.ComparedTask], bands: tuple[CoverageBand, ...], versions: dict[str, str]
) -> dict[str, Any]:
    return {
        "tasks": [
            {
                "task": task.task,
                "table": task.table,
                "runs": [{k: None if v != v else v for k, v in asdict(run).items()} for run in task.runs],
                "ratio": task.ratio,
                "ratio_first": task.ratio_first,
                "ratio_cpu": None if isnan(task.ratio_cpu) else task.ratio_cpu,
                "bar": rating_comparison.BARS[task.task],
                "less_memory": task.lean,
                "passed": task.passed,
            }
            for task in measured
        ],
        "coverage": [{**asdict(band), "passed": band.passed} for band in bands],
        "versions": versions,
    }
