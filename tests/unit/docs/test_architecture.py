"""The architecture page is true: functions on the way of a vote exist, and the layers are those of the lint."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
MOST_PACKAGES = 8


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def defined(path: str) -> set[str]:
    """Names that a module defines, and Class.method."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return found


WAY = [[cell.strip("`") for cell in row[:3]] for row in rows("The way of one vote")]


def test_every_function_on_the_way_of_a_vote_is_in_its_file():
    assert len(WAY) > 10
    assert [row for row in WAY if row[1] not in defined(row[2])] == []
    assert [row for row in WAY if not row[2].startswith(f"pipeline/{row[0].replace('.', '/')}/")] == []


def test_every_function_that_a_page_places_in_a_file_is_there():
    placed = {
        (name, path)
        for page in (ROOT / "docs").rglob("*.md")
        for name, path in re.findall(
            r"`([\w.]+)`\s+(?:in|of)\s+`(pipeline/[\w/]+\.py)`", page.read_text(encoding="utf-8")
        )
    }
    assert placed
    assert {(name, path) for name, path in placed if name not in defined(path)} == set()


def test_the_way_of_a_vote_returns_to_no_package_and_names_at_most_eight():
    packages = [row[0] for row in WAY]
    changes = [package for i, package in enumerate(packages) if i == 0 or packages[i - 1] != package]
    assert len(changes) == len(set(changes))
    assert len(changes) <= MOST_PACKAGES


def import_contracts() -> list[dict[str, Any]]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return configuration["tool"]["importlinter"]["contracts"]


def test_the_layers_on_the_page_are_those_that_lint_enforces():
    contracts = import_contracts()
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["pipeline"])
    enforced = [sorted(re.split(r" [|:] ", layer)) for layer in layers]
    assert [sorted(re.findall(r"`(\w+)`", row[1])) for row in rows("The order of the packages")] == enforced


def test_the_core_on_the_page_is_the_one_that_lint_enforces():
    (enforced,) = (one["source_modules"] for one in import_contracts() if one["name"].startswith("The core is pure"))
    first, last, outside = re.search(r"Layers (\d+) to (\d+) without (.+?) are the \*core\*", PAGE).groups()
    layers = [re.findall(r"`(\w+)`", row[1]) for row in rows("The order of the packages")][int(first) - 1 : int(last)]
    core = {f"pipeline.{package}" for layer in layers for package in layer}
    assert core - {f"pipeline.{package}" for package in re.findall(r"`(\w+)`", outside)} == set(enforced)
