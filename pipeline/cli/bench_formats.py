"""Runs the command bench formats: measures the speed of reading battle files.

The speed is compared with the speed of a bare reader, which does the least possible work.
"""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.cli.terminal import met, styled
from pipeline.lab.bench import format_speed


@bench.command()
def formats(
    votes: Annotated[
        int, typer.Option(min=10_000, help="Votes of each file; a vote takes about 300 bytes.")
    ] = 5_000_000,
    repeats: Annotated[int, typer.Option(min=1, help="Readings of each reader, after one that warms up.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Measure speed and memory of reading Parquet and JSON Lines, each reader in a separate process."""
    with TemporaryDirectory(prefix="integrity-bench-") as name:
        found = format_speed.measure(Path(name), votes, repeats, err.print)
    passed = all(one.passed for one in found)
    if as_json:
        kinds = [{**asdict(one), "ratio": one.ratio, "ratio_cpu": one.ratio_cpu, "passed": one.passed} for one in found]
        emit({"kinds": kinds, "most_mb": format_speed.MOST_MB, "passed": passed})
        return
    for one in found:
        out.print(
            f"{one.kind}: {one.votes / one.seconds:,.0f} votes/s, {one.ratio:.2f} of the bare reader "
            f"({one.ratio_cpu:.2f} by CPU seconds; bar: at least {one.least}), peak memory {one.peak_mb:,.0f} MB "
            f"(bar: less than {format_speed.MOST_MB:.0f})"
        )
    out.print(styled(met(passed)))
