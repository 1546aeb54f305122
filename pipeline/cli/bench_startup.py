"""Runs the command bench startup: measures time and memory of short commands, compared with those of Python itself."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.terminal import met, styled
from pipeline.lab.bench import startup_costs


@bench.command()
def startup(
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each command, after one that is not counted.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure processor time and memory of the help and of short commands, beside Python and SQLAlchemy."""
    with TemporaryDirectory(prefix="integrity-bench-") as name:
        found = startup_costs.measure(Path(name), repeats, err.print)
    if as_json:
        passed = all(one.passed is not False for one in found)
        emit({"commands": [{**asdict(one), "passed": one.passed} for one in found], "passed": passed})
        return
    for one in found:
        most = "" if one.most_seconds is None else f"  (bar: at most {one.most_seconds:g} s"
        most += "" if one.most_mb is None else f" and {one.most_mb:g} MB"
        line = f"{one.command:30} {one.seconds:5.2f} s {one.peak_mb:5.0f} MB{most}"
        out.print(styled(line, *((": ", met(one.passed), ")") if most else ())))
