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


def heading(line: str) -> str:
    """Return a line as a paragraph in bold type."""
    return f"<p><strong>{text(line)}</strong></p>"


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
    first = rows[0] if rows else names
    head = "".join(f"<th{_aligned(value)}>{text(name)}</th>" for name, value in zip(names, first, strict=True))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:shown])
    more = f"<p>{shown:,} of {len(rows):,} rows; to_pandas() has all</p>" if len(rows) > shown else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return f"<td{_aligned(value)}>{'–' if value is None else 'yes' if value else 'no'}</td>"
    if isinstance(value, int | float):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        return f"<td{_aligned(value)}>{shown}</td>"
    return f"<td{_aligned(value)}>{text(value)}</td>"


def _aligned(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f' style="text-align:{"right" if number else "left"}"'
