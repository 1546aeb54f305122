"""Runs the command bench ledger: measures the speed of sealing, verifying and refreshing.

The time of each task is compared with the time of the least work that the task requires.
"""

from dataclasses import asdict
from statistics import median
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import PostgresqlOption, bench, temporary_databases
from pipeline.cli.terminal import met, styled
from pipeline.lab.bench import ledger_costs


@bench.command()
def ledger(
    votes: Annotated[int, typer.Option(min=20_000, help="Votes in the log.")] = 1_000_000,
    postgresql: PostgresqlOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure sealing, verifying a bundle, refreshing a long log and proving a vote.

    Each time is compared, as a ratio, with the time of the least work that the task requires, in the same run.
    """
    with temporary_databases(postgresql) as (folder, create_database):
        found = ledger_costs.measure(create_database, folder, votes, err.print)
    ratios = found.ratios
    bars = {"seal": ledger_costs.LEAST_SEAL, "verify": ledger_costs.MOST_VERIFY, "refresh": ledger_costs.MOST_REFRESH}
    if as_json:
        emit({**asdict(found), "ratios": ratios, "bars": bars, "most_tiles": found.most_tiles, "passed": found.passed})
        return
    per = 1e6 / found.votes
    for line in (
        f"{found.votes:,} leaves: bare SHA-256 loop {found.bare_hashing * per:.2f} µs a leaf, "
        f"reading {found.reading * per:.2f} µs",
        f"seal {found.seal * per:.2f} µs a vote: {ratios['seal']:.3f} of the bare loop (bar: at least {bars['seal']})",
        f"verify {found.verify * per:.2f} µs a leaf: {ratios['verify']:.2f} times reading and the bare loop "
        f"(bar: at most {bars['verify']:g})",
        f"refresh after {ledger_costs.NEW_VOTES:,} more votes: {ratios['refresh']:.2f} times that of the first "
        f"{ledger_costs.NEW_VOTES:,} (bar: at most {bars['refresh']:g}); "
        f"{median(found.later):.1f} s, and {median(found.uncounted):.1f} s for intervals clustered by voter",
        f"proof of a vote: {found.tiles_read} tiles read, {found.path} hashes (bar: {found.most_tiles} tiles)",
    ):
        out.print(line)
    out.print(styled(met(found.passed)))
