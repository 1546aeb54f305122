"""The gate to the terminal: everything that a command prints passes through here.

Laws (a test forbids every other way to print): a text is never parsed as markup, so `qwen [int4]` keeps its brackets;
hidden characters are shown as escapes; a line break inside a text is an escape too, so foreign text cannot begin a line
of its own. Styles are given by `styled`, never inside a text.
"""

import logging
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import ProgressColumn, Task
from rich.segment import Segment
from rich.text import Text

from pipeline.vocabulary.visible_text import json_text, visible

CRASHED = 70
"""The exit status after an unexpected error (EX_SOFTWARE of sysexits.h); 1 is a finding."""


class Terminal(Console):
    """A rich console without markup, emoji codes and highlighting, which shows hidden characters as escapes."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text for rich, which calls this for every string that it prints, in tables and titles too."""
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render for rich; text that did not come through `render_str` is checked here."""
        if isinstance(renderable, Text) and visible(renderable.plain, lines=True) != renderable.plain:
            renderable = Text(visible(renderable.plain, lines=True), renderable.style)
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, lines=True))

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a text is a line of its own however long it is, so that a search finds what it says."""
        if all(isinstance(one, str | Text) for one in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def lines(self, texts: Iterable[str]) -> None:
        """Print texts, each as a line of its own, without wrapping."""
        for text in texts:
            self.print(text)


class DescriptionColumn(ProgressColumn):
    """The description of a task in a progress bar. The description may be the name of a file."""

    def render(self, task: Task) -> Text:
        """Return the description."""
        return Text(visible(task.description))


out, err = Terminal(), Terminal(stderr=True)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a line for a terminal.

    Args:
        parts: texts, or (text, style) as ("wrong", "bold red").
    """
    return Text.assemble(*(visible(p) if isinstance(p, str) else (visible(p[0]), p[1]) for p in parts))


def met(passed: bool | None) -> tuple[str, str]:
    """Return the word for a met or missed target as a part for `styled`; an empty part for None."""
    return ("", "") if passed is None else ("met", "green") if passed else ("missed", "red")


def write_json(value: Any) -> None:
    """Print one JSON document to standard output."""
    sys.stdout.write(json_text(value) + "\n")


def write_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output without wrapping and styles, for a document that is piped into a file."""
    sys.stdout.writelines(f"{visible(line)}\n" for line in lines)


def print_crash(error: BaseException) -> None:
    """Print an unexpected error with its traceback."""
    err.lines(line for part in traceback.format_exception(error) for line in part.splitlines())
    err.print(styled((type(error).__name__, "bold red"), ": an unexpected error of this program, as shown above"))


class _SafeFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the base class's name
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # the base class's name
        return visible(super().formatException(ei), lines=True)


def guard_output() -> None:
    """Send log lines through the gate, and print characters that the terminal's encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)  # a library's logger may have a lower level of its own
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
