"""A verb loads its own module alone, and the table of homes names every verb there is."""

import subprocess
import sys

from pipeline.cli.commands import app
from pipeline.cli.lazy_group import HOMES

# What only audits, benchmarks and broker-less verbs want, by a verb that can do without.
HEAVY = {"work": ("scipy.stats", "pipeline.audits", "pipeline.lab.bench"), "verify": ("kafka", "scipy.stats")}


def test_every_verb_has_its_home_and_every_home_its_verb():
    commands = {one.name or one.callback.__name__: one.callback.__module__ for one in app.registered_commands}
    groups = {one.name for one in app.registered_groups}
    assert commands | dict.fromkeys(groups, "") == {
        verb: "" if verb in groups else f"pipeline.cli.{modules[0]}" for verb, modules in HOMES.items()
    }


def test_a_verb_imports_what_it_needs_and_no_more():
    code = "import sys; from pipeline.cli.lazy_group import load; load([{verb!r}]); print(*sys.modules)"
    for verb, heavy in HEAVY.items():
        said = subprocess.run(
            [sys.executable, "-c", code.format(verb=verb)], capture_output=True, text=True, check=True
        )
        assert not set(heavy) & set(said.stdout.split()), verb
