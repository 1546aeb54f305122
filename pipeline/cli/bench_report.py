"""Runs the command bench report: compares the probes of a report with the package arenakit, on the same file."""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.terminal import met, styled
from pipeline.cli.terminal_tables import titled_table
from pipeline.errors import Usage
from pipeline.lab.bench import report_comparison
from pipeline.lab.bench.peer_environment import peers_python
from pipeline.lab.bench.report_comparison import ReportComparison
from pipeline.lab.bench.report_table import write_report_votes


@bench.command()
def report(
    file: Annotated[
        Path | None,
        typer.Argument(help="A CSV file with model_a, model_b, winner (a, b, tie), and perhaps voter_id and item_id."),
    ] = None,
    votes: Annotated[int, typer.Option(min=1000, help="Votes that are simulated without FILE.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=20, help="Bootstrap resamples of both engines.")] = 2000,
    as_json: JsonOption = False,
) -> None:
    """Compare figures and time of the probes of a report with arenakit, on the same file.

    arenakit runs in .venv-bench, which is created if it is missing.
    """
    if file is not None and not file.is_file():
        raise Usage(f"expected a CSV file, got {file}")
    python = peers_python()
    with tempfile.TemporaryDirectory(prefix="integrity-bench-") as name:
        path = file or Path(name) / "votes.csv"
        if file is None:
            write_report_votes(path, votes)
        found = report_comparison.compare_reports(python, path, rounds, err.print)
    if as_json:
        ratios = {"ratio": found.ratio, "ratio_first": found.ratio_first, "ratio_cpu": found.ratio_cpu}
        emit({**asdict(found), **ratios, "bar": report_comparison.BAR, "passed": found.passed})
        return
    out.print(_table(found))
    out.print(
        f"Probes with {rounds:,} resamples: {found.warm:.2f} s (first call {found.first:.2f} s), arenakit "
        f"{found.peer:.1f} s; reading {found.reading:.2f} s and {found.peer_reading:.1f} s; memory "
        f"{found.peak_mb:,.0f} MB and {found.peer_peak_mb:,.0f} MB"
    )
    out.print(
        styled(
            f"{found.ratio:.1f}× as fast as arenakit {found.version} (first call {found.ratio_first:.1f}×, CPU "
            f"{found.ratio_cpu:.1f}×); bar {report_comparison.BAR:.0f}×, and all figures agree: ",
            met(found.passed),
        )
    )
    out.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _table(found: ReportComparison) -> Table:
    table = titled_table("Probes of a report beside arenakit", ("figure", "ours", "arenakit", "agrees"))
    for one in found.figures:
        agrees = "not compared" if one.agrees is None else styled(met(one.agrees))
        table.add_row(one.name.replace("_", " "), _cell(one.ours), _cell(one.peer), agrees)
    return table


def _cell(value: float | None) -> str:
    return "not computed" if value is None else f"{value:,.5g}"
