"""Writes text and tables from votes as HTML. Everything is escaped, also hidden characters."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from pipeline.vocabulary.visible_text import visible

SHOWN = 20
"""Largest number of rows of a table that a notebook shows; `to_pandas()` has all rows."""


def text(value: object) -> str:
    """Convert a value to escaped HTML text."""
    return escape(visible(value))


def paragraphs(lines: Iterable[str]) -> str:
    """Return an HTML text with a paragraph for each line."""
    return "".join(f"<p>{text(line)}</p>" for line in lines)


def bullets(lines: Sequence[str], title: str = "") -> str:
    """Return lines as an HTML list below a title; "" without lines."""
    if not lines:
        return ""
    heading = f"<p>{text(title)}</p>" if title else ""
    return f"{heading}<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>"


def table(names: Sequence[str], rows: Sequence[Sequence[Any]], shown: int = SHOWN) -> str:
    """Return the first rows of a table as HTML. If there are more rows, a line below says how many.

    Args:
        names: names of the columns.
        rows: all rows.
        shown: largest number of rows that are shown.
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
