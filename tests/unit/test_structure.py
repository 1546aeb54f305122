"""The tree keeps its shape: small modules and functions, unique class names, complete package maps."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import leaderboard_integrity
import pipeline

ROOT = Path(pipeline.__file__).parents[1]
ROOTS = [Path(package.__file__).parent for package in (pipeline, leaderboard_integrity)]
MODULES = sorted(p for root in ROOTS for p in root.rglob("*.py") if "migrations" not in p.parts)
PACKAGES = sorted({path.parent for path in MODULES})
LONGEST_MODULE, LONGEST_FUNCTION, MOST_PARAMETERS = 300, 60, 8


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _explained(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a comment stands on the line above the function or its decorators."""
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    return path.read_text("utf-8").splitlines()[first - 2].strip().startswith("#")


def test_a_module_has_at_most_300_lines_or_says_why() -> None:
    long = {}
    for path in MODULES:
        lines = path.read_text("utf-8").splitlines()
        if len(lines) > LONGEST_MODULE and not any(line.startswith("# Long because") for line in lines):
            long[str(path.relative_to(ROOT))] = len(lines)
    assert long == {}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_function_is_short_and_has_few_parameters_or_says_why(package: Path) -> None:
    for path, function in [(file, one) for file in package.glob("*.py") for one in _functions(file)]:
        lines = function.end_lineno - function.lineno + 1 if function.end_lineno else 0
        arguments = function.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters = len([one for one in given if one.arg not in {"self", "cls"}])
        command = any(
            "command" in ast.unparse(one) or "callback" in ast.unparse(one) for one in function.decorator_list
        )
        fits = lines <= LONGEST_FUNCTION and (parameters <= MOST_PARAMETERS or command)  # a verb has its options
        assert fits or _explained(path, function), f"{path}:{function.lineno}: {lines} lines, {parameters} parameters"


def test_a_class_name_stands_once_in_the_project() -> None:
    names = Counter(
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_package_names_each_of_its_modules(package: Path) -> None:
    named = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    parts = [p.stem for p in package.glob("*.py") if not p.stem.startswith("__")]
    parts += [p.name for p in package.iterdir() if (p / "__init__.py").is_file()]
    assert [part for part in parts if part not in named] == []
