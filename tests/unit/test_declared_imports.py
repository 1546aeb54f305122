"""Every library that the code imports is declared, not only brought by another library that may drop it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("pipeline", "leaderboard_integrity")
PEERS = ROOT / "pipeline/lab/bench/peers"  # run in .venv-bench, with the libraries of the group `bench`


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.long
def test_every_imported_library_is_declared_for_users():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    declared = {normalized(re.match(r"[\w.-]+", one)[0]) for one in requirements}
    files = [file for name in OURS for file in (ROOT / name).rglob("*.py") if not file.is_relative_to(PEERS)]
    libraries = {(name, file) for file in files for name in imported(file)}
    homes = packages_distributions()
    assert ("sqlalchemy" in homes, len(files) > 100) == (True, True)
    undeclared = {
        f"{name} in {file.relative_to(ROOT)}"
        for name, file in libraries
        if name not in sys.stdlib_module_names
        and name not in OURS
        and not declared & {normalized(home) for home in homes.get(name, [name])}
    }
    assert undeclared == set()
