"""Imports the module of one command only, so that a command starts fast.

Importing a module registers its commands. Importing all of them, with audits and benchmarks, would double the start
time of `integrity work`, which starts often and on many machines.
"""

from collections.abc import Sequence
from importlib import import_module

from pipeline.cli.app import app

_BENCHMARKS = ("stream", "ratings", "evidence", "intervals", "selection", "sweep", "api", "ledger", "formats")
_COMMANDS = {
    "publish_command": "publish",
    "worker_commands": "work monitor",
    "board_commands": "refresh leaderboard diff",
    "verification_commands": "verify bundle receipt",
    "ledger_commands": "audit retract erase rotate-key",
    "witness_commands": "witness",
    "alert_commands": "alerts replay",
    "incident_commands": "incidents",
    "rate_command": "rate",
    "convert_command": "convert",
    "export_command": "export",
    "history_command": "history",
    "sweep_command": "sweep",
    "backfill_command": "backfill",
    "provider_command": "provider",
    "redteam_command": "redteam",
    "drill_command": "drill",
    "store_commands": "migrate pseudonym rejects doctor",
    "backup_commands": "backup restore",
    "server_commands": "serve exporter",
    "token_commands": "tokens",
    "operators_command": "operators",
    "notice_commands": "notice",
    **dict.fromkeys((f"bench_{name}" for name in _BENCHMARKS), "bench"),
    "demo_command": "demo",
}
COMMAND_MODULES: dict[str, tuple[str, ...]] = {}
for _module, _names in _COMMANDS.items():
    for _name in _names.split():
        COMMAND_MODULES[_name] = (*COMMAND_MODULES.get(_name, ()), _module)


def load(words: Sequence[str] = ()) -> None:
    """Import the module of a command, which registers the command.

    Args:
        words: the command line. If its first word is not a command, all modules are imported, so that help lists them.
    """
    command = next(iter(words), "")
    for module in COMMAND_MODULES.get(command, _COMMANDS):
        import_module(f"pipeline.cli.{module}")


@app.callback()
def _group() -> None:
    """Keep the names of commands. Without a callback, Typer drops the name if only one command is registered."""


__all__ = ["COMMAND_MODULES", "app", "load"]
