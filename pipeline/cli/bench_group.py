"""Defines the group `integrity bench` and the table of its commands.

The module that defines a command adds the command to the group.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipeline.cli.app import app
from pipeline.cli.lazy_group import CommandEntry, lazy_group

bench = typer.Typer(help="Benchmarks: each reports ratios measured within one run.", no_args_is_help=True)
app.add_typer(bench, name="bench")

BENCHMARKS: dict[str, CommandEntry] = {
    "stream": CommandEntry(
        "bench_stream", "Measure votes per second of a bare client loop and of the worker, into SQLite and PostgreSQL."
    ),
    "ratings": CommandEntry(
        "bench_ratings", "Measure time, peak memory and error of ratings, compared with arena-rank and evalica."
    ),
    "report": CommandEntry(
        "bench_report", "Compare figures and time of the probes of a report with arenakit, on the same file."
    ),
    "evidence": CommandEntry(
        "bench_evidence", "Measure false-alarm rate and power of every detector, with estimated ratings."
    ),
    "incidents": CommandEntry(
        "bench_incidents",
        "Measure how well incidents match the accounts of two or three simultaneous attacks. Takes half an hour.",
    ),
    "intervals": CommandEntry(
        "bench_intervals",
        "Measure the coverage of intervals if voters differ in taste, at one evaluation and over many evaluations.",
    ),
    "selection": CommandEntry(
        "bench_selection",
        "Measure bias and error of the best of N scores, and the coverage of its intervals.",
    ),
    "sweep": CommandEntry(
        "bench_sweep",
        "Measure time and memory of a sweep over a large board, compared with one read of its segments and one fit.",
    ),
    "api": CommandEntry(
        "bench_api",
        "Measure requests per second and p99 of mixed reads while a worker runs, as ratios to an empty route.",
    ),
    "ledger": CommandEntry(
        "bench_ledger", "Measure sealing, verifying a bundle, refreshing a long log and proving a vote."
    ),
    "formats": CommandEntry(
        "bench_formats",
        "Measure speed and memory of reading Parquet and JSON Lines, each reader in a separate process.",
    ),
    "scale": CommandEntry(
        "bench_scale", "Measure what each stage costs with boards of several sizes, and extrapolate to a billion votes."
    ),
    "startup": CommandEntry(
        "bench_startup",
        "Measure processor time and memory of the help and of short commands, beside Python and SQLAlchemy.",
    ),
}


@bench.callback(cls=lazy_group(bench, BENCHMARKS))
def _group() -> None:
    """Keep the names of commands. Without a callback, Typer drops the name if only one command is registered."""


PostgresqlOption = Annotated[bool, typer.Option("--postgresql", help="Use a real PostgreSQL; default: SQLite.")]


@contextmanager
def temporary_databases(postgresql: bool) -> Iterator[tuple[Path, Callable[[str], str]]]:
    """Provide temporary databases for a benchmark, for the duration of a `with` block.

    Args:
        postgresql: whether to start a PostgreSQL server for the databases; otherwise they are SQLite files.

    Yields:
        A temporary folder, and a function that creates an empty database with a name and returns its URL.
    """
    with TemporaryDirectory(prefix="integrity-bench-") as name:
        folder = Path(name)
        if postgresql:
            from pipeline.devstack import PostgresServer  # noqa: PLC0415  # most benchmarks need no server

            with PostgresServer(folder / "postgres") as server:
                yield folder, server.create_database
        else:
            yield folder, lambda database: str(folder / f"{database}.db")
