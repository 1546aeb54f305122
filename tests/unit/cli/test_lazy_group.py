"""Help comes from a table that names every command, and a command imports its own module only."""

import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc

import click
import pytest
import typer

import pipeline.cli
from pipeline.cli.bench_group import BENCHMARKS, bench
from pipeline.cli.command_table import COMMANDS
from pipeline.cli.commands import app
from tests.command import called

# Modules that only audits, benchmarks or Kafka need, by a command that must not import them.
HEAVY = {"work": ("scipy.stats", "pipeline.audits", "pipeline.lab.bench"), "verify": ("kafka", "scipy.stats")}


def first_paragraph(text: str | None) -> str:
    return " ".join(cleandoc(text or "").split("\n\n")[0].split())


def everything_registered(application: typer.Typer) -> dict[str, tuple[str, str]]:
    """The commands and groups that the modules of the command line register: module and first paragraph of help."""
    modules = [import_module(f"pipeline.cli.{module.name}") for module in pkgutil.iter_modules(pipeline.cli.__path__)]
    found = {}
    for one in application.registered_commands:
        name = one.name or one.callback.__name__.replace("_", "-")
        found[name] = one.callback.__module__, first_paragraph(one.callback.__doc__)
    for group in application.registered_groups:
        # Typer does not know the module of a group: it is the one that other modules have the group from.
        homes = [module.__name__ for module in modules if group.typer_instance in vars(module).values()]
        home = next((one for one in homes if one.endswith("_group")), homes[0])
        found[group.name] = home, first_paragraph(group.typer_instance.info.help)
    return found


@pytest.mark.parametrize(("application", "table"), [(app, COMMANDS), (bench, BENCHMARKS)], ids=["integrity", "bench"])
def test_the_table_has_the_module_and_the_help_of_every_command(application, table):
    listed = {name: (f"pipeline.cli.{entry.module}", entry.summary) for name, entry in table.items()}
    assert listed == everything_registered(application)


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        if hasattr(one, "list_commands"):
            yield from commands(one, *before, name)
        else:
            yield " ".join([*before, name]), one


def test_the_contract_names_every_command_without_json():
    without = {
        name
        for name, one in commands(typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in one.params)
    }
    assert without == {
        "serve", "exporter", "witness init", "witness watch", "witness sign", "witness ask", "witness logs"
    }  # fmt: skip


def run(*words: str, **variables: str) -> tuple[str, set[str]]:
    """What `integrity WORDS` prints in a new process, and which modules are imported at its end."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('\\0', *sys.modules, file=sys.stderr))\n"
        "sys.argv[0] = 'integrity'\n"
        "from pipeline.cli.main import main\n"
        "main()"
    )
    given = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, env=given)
    reported, _, modules = done.stderr.rpartition("\0")
    return done.stdout + reported, set(modules.split())


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--help"], "Close the five-minute windows"),
        ([], "Close the five-minute windows"),
        (["leaderbord"], "Did you mean 'leaderboard'"),
        (["bench", "--help"], "Measure sealing"),
        (["bench", "legder"], "Did you mean 'ledger'"),
    ],
)
def test_help_and_a_wrong_word_import_no_command(words: list[str], printed: str):
    text, modules = run(*words)
    assert printed in text
    assert not {"numpy", "sqlalchemy", "pipeline.settings"} & modules
    homes = {entry.module for entry in (*COMMANDS.values(), *BENCHMARKS.values())} - {"bench_group"}
    assert not {f"pipeline.cli.{home}" for home in homes} & modules


@pytest.mark.long
@pytest.mark.parametrize("command", HEAVY)
def test_a_command_does_not_import_what_only_others_need(command: str):
    _, modules = run(command, "--help")
    assert f"pipeline.cli.{COMMANDS[command].module}" in modules
    assert not set(HEAVY[command]) & modules


def test_a_wrong_word_leaves_the_commands_as_they_are():
    assert called("leaderbord", settings={}).returncode == 2
    assert called("bench", "legder", settings={}).returncode == 2
    assert "--snapshot" in called("leaderboard", "--help", settings={}).stdout
    assert "--votes" in called("bench", "formats", "--help", settings={}).stdout


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("integrity leader", "leaderboard"),
        ("integrity leaderboard --snap", "--snapshot"),
        ("integrity bench le", "ledger"),
        ("integrity bench formats --rep", "--repeats"),
    ],
)
def test_a_shell_completes_commands_and_their_options(line: str, completed: str):
    """As the script that Typer installs asks for them."""
    place = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    printed, _ = run(_INTEGRITY_COMPLETE="complete_bash", **place)
    assert printed.split() == [completed]
