"""Escapes foreign text in exports: cells of a CSV file, and text in a Markdown document.

A spreadsheet executes a cell that begins like a formula. A Markdown renderer interprets markup, turns bare addresses
into links and notifies people who are mentioned.
"""

import re
from typing import Any

from .visible_text import visible

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&$]")
# What renderers link although it has no markup: addresses, mentions, numbers of issues, emoji codes. An empty comment
# inside it is shown as nothing and ends it, also where a renderer looks for mentions after it has read escapes.
_EMOJI = r"(?<=:)(?=(?:[a-z_+-][\w+-]*|100|1234):)"
_LINKED = re.compile(rf"(?<=:)(?=//)|(?<=@)|(?<=\bwww)(?=\.)|(?<=#)(?=\d)|{_EMOJI}", re.IGNORECASE)
# What would begin a list, a heading or a rule at the beginning of a line.
_BLOCK = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))")
_NOTHING = "<!-- -->"


def csv_cell(value: Any) -> Any:
    """Return a value for a CSV cell. Text that a spreadsheet would execute gets an apostrophe in front.

    Hidden characters of text are written as escapes, except line breaks. Numbers are returned unchanged.

    >>> csv_cell("=1+2"), csv_cell(-1.5)
    ("'=1+2", -1.5)
    """
    if not isinstance(value, str):
        return value
    guard = "'" if value.startswith(_FORMULA) else ""
    return guard + visible(value, lines=True)


def markdown_text(text: str) -> str:
    r"""Escape a text so that a Markdown renderer shows it literally: no markup, links, mentions or emoji.

    >>> markdown_text("qwen [int4] by @team")
    'qwen \\[int4\\] by @<!-- -->team'
    """
    parts = [_MARKUP.sub(r"\\\g<0>", part) for part in _LINKED.split(visible(text))]
    return _BLOCK.sub(_escape_block, _NOTHING.join(parts))


def _escape_block(found: re.Match[str]) -> str:
    space, mark = found.groups()
    return f"{space}{mark}{_NOTHING}" if mark.isdigit() else f"{space}\\{mark}"
