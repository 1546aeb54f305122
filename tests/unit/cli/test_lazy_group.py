"""A command loads its own module only, and the table of modules names every command."""

import subprocess
import sys
from inspect import cleandoc

import pytest

from pipeline.cli import lazy_group
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


def summary(text: str) -> str:
    return " ".join(cleandoc(text).split("\n\n")[0].split())


def test_help_lists_every_command_with_the_text_of_its_own_help():
    own = {one.name or one.callback.__name__: one.callback.__doc__ for one in app.registered_commands}
    own |= {one.name: one.typer_instance.info.help for one in app.registered_groups}
    assert {name: summary(text) for name, text in own.items()} == {
        name: text for name, (_, text) in lazy_group._COMMANDS.items()
    }


@pytest.mark.parametrize("words", [["--help"], ["-h"], [], ["leaderbord"]])
def test_help_and_a_wrong_word_import_no_command(words: list[str]):
    code = "import sys; from pipeline.cli.main import _run; _run(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    heavy = {"numpy", "sqlalchemy", "pydantic_settings", "pipeline.settings", "pipeline.cli.worker_commands"}
    assert not heavy & set(done.stderr.split())
    assert "Close the five-minute windows" in done.stdout + done.stderr or "Did you mean 'leaderboard'" in done.stderr
