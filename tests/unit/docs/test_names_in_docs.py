"""What the documentation names exists: files, modules, verbs and their options, make targets, settings, runbooks."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import typer

import pipeline
from pipeline.cli.commands import app
from pipeline.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy/runbooks").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ]
)

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
WRITTEN = {"deploy/.env", "deploy/secrets"}
COMMAND = typer.main.get_command(app)


def options(command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}


def wrong_in(find: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    """Page → what it names and what does not exist."""
    found = {str(page.relative_to(ROOT)): sorted(find(page.read_text(encoding="utf-8"))) for page in PAGES}
    return {page: names for page, names in found.items() if names}


def test_every_path_is_there():
    known = made_by_guides() | WRITTEN

    def missing(text: str) -> set[str]:
        named = {path.rstrip("./") for path in _PATH.findall(code_of(text))}
        return {path for path in named - known if not (ROOT / path).exists()}

    assert wrong_in(missing) == {}


def test_every_module_is_there():
    created = {path.removesuffix(".py").replace("/", ".") for path in made_by_guides()}

    def missing(text: str) -> set[str]:
        identifiers = re.findall(r"^::: (\S+)", text, re.MULTILINE)
        return {name for name in {*_MODULE.findall(code_of(text)), *identifiers} - created if not importable(name)}

    assert wrong_in(missing) == {}


def importable(name: str) -> bool:
    """A module, or a name of one."""
    module, _, last = name.rpartition(".")
    if not module:
        return find_spec(name) is not None
    return find_spec(module) is not None and (
        hasattr(importlib.import_module(module), last) or find_spec(name) is not None
    )


def test_every_verb_and_option_is_there():
    def missing(text: str) -> Iterator[str]:
        for words, rest in _VERB.findall(code_of(text)):
            verb, _, second = words.partition(" ")
            command = COMMAND.commands.get(verb)
            if command is not None and second and hasattr(command, "commands"):
                command = command.commands.get(second)
            line = re.split(r" #|\||&&", rest)[0]
            given = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", line))
            if command is None or given - options(command):
                yield f"integrity {words}{rest}"

    assert wrong_in(missing) == {}


def test_every_target_of_make_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert wrong_in(lambda text: set(_TARGET.findall(code_of(text))) - targets) == {}


def test_every_setting_is_there():
    known = {f"INTEGRITY_{name.upper()}" for name in Settings.model_fields}
    known |= {"INTEGRITY_NAME", "INTEGRITY_"}  # NAME stands for any of them
    assert wrong_in(lambda text: set(_SETTING.findall(text)) - known) == {}


def test_every_verb_is_named_somewhere():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {verb for verb in COMMAND.commands if f"integrity {verb}" not in text} == set()


def test_every_runbook_is_named_on_the_operators_page():
    text = (ROOT / "docs/how-to/operator.md").read_text(encoding="utf-8")
    runbooks = {str(path.relative_to(ROOT)) for path in (ROOT / "deploy/runbooks").glob("*.md")}
    assert {path for path in runbooks if path not in text} == set()


def test_every_link_of_the_root_pages_leads_somewhere():
    # The links within docs/ are checked by `make docs`.
    pages = [page for page in PAGES if page.parent == ROOT]
    links = {link for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))}
    assert {link for link in links if not (ROOT / link).is_file()} == set()


def test_every_package_has_its_page_of_the_reference():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
    named = set(re.findall(r"^::: (\S+)", text, re.MULTILINE))
    assert {f"pipeline.{module.name}" for module in pkgutil.iter_modules(pipeline.__path__)} <= named
