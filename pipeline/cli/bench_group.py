"""Defines the group of `integrity bench` commands; each benchmark module adds its command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipeline.cli.app import app
from pipeline.devstack import PostgresServer

bench = typer.Typer(help="Benchmarks: each reports ratios measured within one run.", no_args_is_help=True)
app.add_typer(bench, name="bench")

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
            with PostgresServer(folder / "postgres") as server:
                yield folder, server.create_database
        else:
            yield folder, lambda database: str(folder / f"{database}.db")
