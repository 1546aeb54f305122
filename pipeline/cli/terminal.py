"""Prints all output of commands. A test forbids other ways to print.

Text is never parsed as markup, so `qwen [int4]` keeps its brackets. Hidden characters are printed as escapes. A line
break inside a text is printed as an escape too, so that text from votes or people cannot begin a new line. Styles are
set with `styled`, never inside a text. Commands inside a text get the --store of the command line (`pasted_commands`).
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from pipeline.cli.pasted_commands import with_store
from pipeline.vocabulary.visible_text import json_text, visible

CRASHED = 70
"""The exit status after an unexpected error (EX_SOFTWARE of sysexits.h)."""


_MARK = re.compile(r"(\d+\.|-|!!?) ")
"""The mark at the beginning of an item of a list."""


class Terminal(Console):
    """A console of the library rich that prints hidden characters as escapes.

    It interprets no markup and no emoji codes.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string to a Text of rich, with hidden characters as escapes. rich calls this for every string."""
        return super().render_str(visible(with_store(text)), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object for rich, with the hidden characters of all its texts as escapes."""
        if isinstance(renderable, Text) and visible(renderable.plain, lines=True) != renderable.plain:
            renderable = Text(visible(renderable.plain, lines=True), renderable.style)
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, lines=True))

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects. Each text is printed without line breaks, so that programs can search the output for it."""
        if all(isinstance(one, str | Text) for one in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def lines(self, texts: Iterable[str]) -> None:
        """Print each text on one line, without wrapping."""
        for text in texts:
            self.print(text)


out, err = Terminal(), Terminal(stderr=True)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return one line of text with styles.

    Args:
        parts: the parts of the line: a text, or a text with a style, such as ("wrong", "bold red").
    """
    return Text.assemble(
        *(visible(with_store(p)) if isinstance(p, str) else (visible(with_store(p[0])), p[1]) for p in parts)
    )


def print_paragraphs(lines: Iterable[str], indent: int = 0, console: Terminal = out) -> None:
    """Print each text as a paragraph. A terminal wraps it between words; elsewhere it is one line.

    A text that begins with a mark such as `-` or `1.` is an item of a list. If the terminal wraps it, its second and
    later lines are indented by the width of the mark.

    Args:
        lines: the texts. Spaces at the beginning of a text indent all of its lines. A text that begins with the word
            `integrity` is a command. It stays on one line everywhere, so that people can copy it.
        indent: number of further spaces before each line.
        console: the terminal to print to.
    """
    for line in lines:
        text = line.lstrip(" ")
        left = indent + len(line) - len(text)
        if console.is_terminal and not text.startswith("integrity "):
            console.print(Padding(_hanging(text), (0, 0, 0, left)))
        else:
            console.print(" " * left + text)


def _hanging(text: str) -> RenderableType:
    """Return a text of which only the first line has the mark of an item."""
    mark = _MARK.match(text)
    if mark is None:
        return styled(text)
    grid = Table.grid()
    grid.add_column(width=mark.end())
    grid.add_column()
    grid.add_row(styled(mark[0]), styled(text[mark.end() :]))
    return grid


def met(passed: bool | None) -> tuple[str, str]:
    """Return ("met", colour) or ("missed", colour) as a part for `styled`; ("", "") if `passed` is None."""
    return ("", "") if passed is None else ("met", "green") if passed else ("missed", "red")


def write_json(value: Any) -> None:
    """Print a value as one JSON document to standard output."""
    sys.stdout.write(json_text(value) + "\n")


def write_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output without wrapping and styles, for documents that people redirect to a file."""
    sys.stdout.writelines(f"{visible(line)}\n" for line in lines)


def print_crash(error: BaseException) -> None:
    """Print an unexpected error with its traceback to standard error."""
    err.lines(line for part in traceback.format_exception(error) for line in part.splitlines())
    err.print(styled((type(error).__name__, "bold red"), ": an unexpected error of this program, as shown above"))


class _SafeFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the base class's name
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # the base class's name
        return visible(super().formatException(ei), lines=True)


def guard_output() -> None:
    """Make all output of the process safe for the terminal; called once, before a command runs.

    Log lines go to standard error with hidden characters as escapes, from level WARNING on. Characters that the
    encoding of standard output or standard error lacks are printed as backslash escapes instead of raising an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)  # a library's logger may have a lower level of its own
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
