"""The group of `integrity bench` commands; each benchmark module adds its command."""

import typer

from pipeline.cli.app import app

bench = typer.Typer(help="Benchmarks: each reports ratios measured within one run.", no_args_is_help=True)
app.add_typer(bench, name="bench")
