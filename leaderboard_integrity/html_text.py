"""Writes foreign text and tables as HTML. Everything is escaped, hidden characters too."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from pipeline.vocabulary.visible_text import visible

SHOWN = 20
"""Rows of a table that a notebook shows; `to_pandas()` has all."""


def text(value: object) -> str:
    """Return a value as HTML text."""
    return escape(visible(value))


def paragraphs(lines: Iterable[str]) -> str:
    """Return lines as paragraphs."""
    return "".join(f"<p>{text(line)}</p>" for line in lines)


def bullets(lines: Sequence[str], title: str = "") -> str:
    """Return lines as a list below its title; nothing without lines."""
    if not lines:
        return ""
    heading = f"<p>{text(title)}</p>" if title else ""
    return f"{heading}<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>"


def table(names: Sequence[str], rows: Sequence[Sequence[Any]], shown: int = SHOWN) -> str:
    """Return a table with its first rows, and a line that says how many there are if it has more.

    Args:
        names: names of the columns.
        rows: all rows.
        shown: the most rows that are shown.
    """
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:shown])
    more = f"<p>{shown:,} of {len(rows):,} rows; to_pandas() has all</p>" if len(rows) > shown else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return f"<td>{'–' if value is None else 'yes' if value else 'no'}</td>"
    if isinstance(value, int | float):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        return f'<td style="text-align:right">{shown}</td>'
    return f'<td style="text-align:left">{text(value)}</td>'
