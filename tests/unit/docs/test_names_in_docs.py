"""What the documentation names exists: files, modules, verbs and their options, make targets, settings, runbooks."""

import importlib
import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer

import pipeline
from pipeline.cli.commands import app
from pipeline.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"])
PER_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))

_FENCE = re.compile(r"^ *(?P<fence>`{3,})[^\n]*\n(?P<body>.*?)^ *(?P=fence)$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?<![\w./-])((?:pipeline|dags|deploy|expectations|tests|docs)/[\w./-]*)")
_MODULE = re.compile(r"\bpipeline(?:\.\w+)+")
_VERB = re.compile(r"(?:^|[^\w/.-])integrity ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)([^\n`]*)")
_TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
_SETTING = re.compile(r"\bINTEGRITY_[A-Z_]+")


def code_of(text: str) -> str:
    """Everything of a page that stands in backticks or fences."""
    blocks = [found["body"] for found in _FENCE.finditer(text)]
    return "\n".join([*blocks, *_INLINE.findall(_FENCE.sub("", text))])


def made_by_guides() -> set[str]:
    """Files that the steps of a guide create, and their folders."""
    titles = re.compile(r'title="([^"]+)"')
    made = [Path(title) for page in (ROOT / "docs/extend").glob("*.md") for title in titles.findall(page.read_text())]
    return {str(path) for path in made} | {str(path.parent) for path in made}


# Written by a command of the same page, and never committed.
WRITTEN = {"deploy/.env"}
COMMAND = typer.main.get_command(app)


def options(command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}


@PER_PAGE
def test_every_path_is_there(page):
    created = made_by_guides()
    named = {path.rstrip("./") for path in _PATH.findall(code_of(page.read_text(encoding="utf-8")))}
    missing = {path for path in named - created - WRITTEN if not (ROOT / path).exists()}
    assert not missing


@PER_PAGE
def test_every_module_is_there(page):
    text = page.read_text(encoding="utf-8")
    identifiers = re.findall(r"^::: (\S+)", text, re.MULTILINE)
    created = {path.removesuffix(".py").replace("/", ".") for path in made_by_guides()}
    for name in {*_MODULE.findall(code_of(text)), *identifiers} - created:
        module, _, last = name.rpartition(".")
        found = importlib.import_module(module)
        assert hasattr(found, last) or importlib.import_module(name), name


@PER_PAGE
def test_every_verb_and_option_is_there(page):
    for words, rest in _VERB.findall(code_of(page.read_text(encoding="utf-8"))):
        verb, _, second = words.partition(" ")
        assert verb in COMMAND.commands, f"integrity {verb}"
        command = COMMAND.commands[verb]
        if second and hasattr(command, "commands"):
            assert second in command.commands, f"integrity {words}"
            command = command.commands[second]
        line = rest.split(" #")[0].split("|")[0].split("&&")[0]
        unknown = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", line)) - options(command)
        assert not unknown, f"integrity {words}{rest}"


@PER_PAGE
def test_every_target_of_make_is_there(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(_TARGET.findall(code_of(page.read_text(encoding="utf-8")))) <= targets


@PER_PAGE
def test_every_setting_is_there(page):
    known = {f"INTEGRITY_{field.name.upper()}" for field in fields(Settings)}
    named = {name for name in _SETTING.findall(page.read_text(encoding="utf-8")) if not name.endswith("_")}
    assert named <= known | {"INTEGRITY_NAME"}  # NAME stands for any of them


def test_every_verb_is_named_somewhere():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {verb for verb in COMMAND.commands if f"integrity {verb}" not in text} == set()


def test_every_runbook_is_named_on_the_operators_page():
    text = (ROOT / "docs/how-to/operator.md").read_text(encoding="utf-8")
    runbooks = {str(path.relative_to(ROOT)) for path in (ROOT / "deploy/runbooks").glob("*.md")}
    assert {path for path in runbooks if path not in text} == set()


def test_every_package_has_its_page_of_the_reference():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
    named = set(re.findall(r"^::: (\S+)", text, re.MULTILINE))
    assert {f"pipeline.{module.name}" for module in pkgutil.iter_modules(pipeline.__path__)} <= named
