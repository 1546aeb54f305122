"""Loads all commands into the application, for tests and documentation."""

from importlib import import_module

from pipeline.cli.bench_group import BENCHMARKS
from pipeline.cli.command_table import COMMANDS, app

for _entry in (*COMMANDS.values(), *BENCHMARKS.values()):
    import_module(f"pipeline.cli.{_entry.module}")

__all__ = ["app"]
