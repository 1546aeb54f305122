"""Imports the module of one command only, so that a command starts fast.

`integrity work` starts often and on every machine; the imports of audits and benchmarks would double its start time.
Importing a module registers its commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from pipeline.cli.app import app

COMMAND_MODULES = {
    "publish": ("publish_command",),
    "work": ("worker_commands",),
    "monitor": ("worker_commands",),
    "refresh": ("board_commands",),
    "leaderboard": ("board_commands",),
    "diff": ("board_commands",),
    "verify": ("verification_commands",),
    "bundle": ("verification_commands",),
    "receipt": ("verification_commands",),
    "audit": ("ledger_commands",),
    "retract": ("ledger_commands",),
    "erase": ("ledger_commands",),
    "rotate-key": ("ledger_commands",),
    "witness": ("witness_commands",),
    "alerts": ("alert_commands",),
    "replay": ("alert_commands",),
    "rate": ("rate_command",),
    "history": ("history_command",),
    "sweep": ("sweep_command",),
    "provider": ("provider_command",),
    "redteam": ("redteam_command",),
    "migrate": ("store_commands",),
    "pseudonym": ("store_commands",),
    "rejects": ("store_commands",),
    "doctor": ("store_commands",),
    "serve": ("server_commands",),
    "exporter": ("server_commands",),
    "tokens": ("token_commands",),
    "bench": (
        "bench_stream",
        "bench_ratings",
        "bench_evidence",
        "bench_selection",
        "bench_sweep",
        "bench_api",
        "bench_ledger",
    ),
    "demo": ("demo_command",),
}


def load(words: Sequence[str] = ()) -> None:
    """Register the command that a command line begins with; all commands, for help, if it begins with none."""
    command = next(iter(words), "")
    every = dict.fromkeys(module for modules in COMMAND_MODULES.values() for module in modules)
    for module in COMMAND_MODULES.get(command, every):
        import_module(f"pipeline.cli.{module}")


@app.callback()
def _group() -> None:
    """Without a callback, Typer would drop the command's name when only one is registered."""


__all__ = ["COMMAND_MODULES", "app", "load"]
