"""Runs the command bench sweep: measures time and memory of a sweep, which runs all audits.

The time of a sweep is compared with the time of reading the same votes once and rating them once.
"""

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import PostgresqlOption, bench, temporary_databases
from pipeline.cli.terminal import met, styled
from pipeline.lab.bench import sweep_costs
from pipeline.settings import Settings


@bench.command()
def sweep(
    votes: Annotated[int, typer.Option(min=10_000, help="Votes in the store.")] = 2_000_000,
    models: Annotated[int, typer.Option(min=20, help="Models; a tenth of them are private.")] = 300,
    providers: Annotated[int, typer.Option(min=2, help="Providers.")] = 40,
    repeats: Annotated[int, typer.Option(min=1, help="How often a read and a sweep alternate.")] = 2,
    postgresql: PostgresqlOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure time and memory of a sweep over a large board, compared with one read of its segments and one fit."""
    options = Settings(voter_key="00" * 32, anchor="")
    err.print(f"{votes:,} votes on {models} models of {providers} providers: preparing …")
    with temporary_databases(postgresql) as (_, create_database):
        found = sweep_costs.measure(create_database("bench_sweep"), options, votes, models, providers, repeats)
    if as_json:
        bars = {"ratio": sweep_costs.MOST_TIMES, "memory_mb": sweep_costs.MOST_MB}
        derived = {name: getattr(found, name) for name in ("ratio", "ratio_cpu", "memory_mb", "passed")}
        emit({**asdict(found), **derived, "bars": bars})
        return
    for what, runs in (("one read with a fit", found.read), ("a sweep", found.sweep)):
        times = ", ".join(f"{one.seconds:.1f} s (CPU {one.cpu:.1f} s, {one.peak_mb:,.0f} MB)" for one in runs)
        out.print(f"{what}: {times}")
    longest = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in list(found.parts.items())[:6])
    out.print(f"longest parts of a sweep: {longest}")
    out.print(
        styled(
            f"{found.ratio:.2f} times one read (bar {sweep_costs.MOST_TIMES:g}; in CPU seconds {found.ratio_cpu:.2f}), "
            f"{found.memory_mb:,.0f} MB (bar {sweep_costs.MOST_MB:,.0f}): ",
            met(found.passed),
        )
    )
