"""The command bench startup: processor time and memory of short commands, beside those of Python itself."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, emit, out
from pipeline.cli.bench_group import bench
from pipeline.lab.bench.startup_costs import StartupCost, measure_startup


@bench.command()
def startup(
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each command; the cheapest counts.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Measure processor time and memory of help and of short commands. Takes about half a minute."""
    with TemporaryDirectory(prefix="integrity-bench-") as name:
        measured = measure_startup(Path(name), repeats)
    if as_json:
        emit([asdict(one) | {"met": one.met} for one in measured])
    else:
        out.lines(map(_line, measured))


def _line(one: StartupCost) -> str:
    line = f"{one.command:32} {one.seconds:6.2f} s {one.peak_mb:6.0f} MB"
    if one.met is None:
        return line
    memory = "" if one.most_mb is None else f" and {one.most_mb:g} MB"
    return f"{line}   (target: {one.most_seconds:g} s{memory}: {'met' if one.met else 'NOT MET'})"
