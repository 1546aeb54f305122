"""A command loads its own module only, and the table of modules names every command."""

import subprocess
import sys

import pytest

from pipeline.cli.commands import app
from pipeline.cli.lazy_group import COMMAND_MODULES

# Modules that only audits, benchmarks or Kafka need, by a command that must not import them.
HEAVY = {"work": ("scipy.stats", "pipeline.audits", "pipeline.lab.bench"), "verify": ("kafka", "scipy.stats")}


def test_the_table_names_the_module_of_every_command():
    commands = {one.name or one.callback.__name__: one.callback.__module__ for one in app.registered_commands}
    groups = {one.name for one in app.registered_groups}
    assert commands | dict.fromkeys(groups, "") == {
        name: "" if name in groups else f"pipeline.cli.{modules[0]}" for name, modules in COMMAND_MODULES.items()
    }


@pytest.mark.long
def test_a_command_does_not_import_what_only_others_need():
    code = "import sys; from pipeline.cli.lazy_group import load; load([{command!r}]); print(*sys.modules)"
    for command, heavy in HEAVY.items():
        loaded = subprocess.run(
            [sys.executable, "-c", code.format(command=command)], capture_output=True, text=True, check=True
        )
        assert not set(heavy) & set(loaded.stdout.split()), command
