"""Renders the Jinja templates of the pages, and formats figures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import alert_text
from pipeline.api.request_params import VIEWS
from pipeline.audits.facts import format_figure
from pipeline.store.boards.hidden_models import PLACEHOLDER
from pipeline.vocabulary.method_rules import SENTENCES
from pipeline.vocabulary.visible_text import visible

PAGE_ROWS = 50
"""The number of rows on one page of a list."""

# Width of a drawn interval in the units of its SVG, and the margin for a mark at either end.
_WIDTH, _MARGIN = 200.0, 4.0


class PageTemplates:
    """Renders the templates of the web pages.

    Text is escaped, also hidden characters. An undefined name raises an error.

    Args:
        appeals: address of a page or a mailbox where voters and providers can appeal; "" for none.
        site: the address under which readers reach the site; "" if it is not known.
    """

    def __init__(self, appeals: str = "", site: str = "") -> None:
        self.site = site
        self._environment = Environment(
            loader=PackageLoader("pipeline.api"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_show,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= _FILTERS
        self._environment.globals |= {
            "VIEWS": VIEWS,
            "RULES": SENTENCES,
            "appeals": appeals,
            "appeals_link": _link(appeals),
            "site": site,
        }

    def page(self, name: str, headers: Mapping[str, str], **values: Any) -> HTMLResponse:
        """Render the template `name`.html with these values, and return it as a response with these headers."""
        text = self._environment.get_template(f"{name}.html").render(**values)
        return HTMLResponse(text, headers=dict(headers))

    def problem(self, _request: Request, document: dict[str, Any]) -> Response:
        """Render the page that shows a problem document to a browser."""
        return self.page("problem", {}, problem=document)


class IntervalScale:
    """The horizontal scale on which a page draws all rating intervals, from `low` to `high` points."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, max(high, low + 1.0)

    @classmethod
    def covering(cls, rows: Sequence[Mapping[str, Any]]) -> IntervalScale:
        """Return the scale that covers all ratings and intervals of these rows of a board; 0 to 1 without rows."""
        sides = ("lower", "upper", "rating", "clustered_lower", "clustered_upper")
        bounds = [row[side] for row in rows for side in sides if row.get(side) is not None]
        return cls(math.floor(min(bounds, default=0.0)), math.ceil(max(bounds, default=1.0)))

    def x(self, points: float) -> str:
        """Return the horizontal SVG coordinate of a rating in points, as text."""
        return f"{_MARGIN + (_WIDTH - 2 * _MARGIN) * (points - self.low) / (self.high - self.low):.1f}"


def _show(value: Any) -> Any:
    """Return a text with hidden characters as escapes. Jinja calls this for every expression that a template prints."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(value, lines=True)
    return value


def _link(address: str) -> str:
    """Return the `href` of a link to a page or a mailbox; "" if the text is neither, so that it gets no link."""
    if re.fullmatch(r"https?://[^\s<>\"']+", address):
        return address
    return f"mailto:{address}" if re.fullmatch(r"[^\s<>\"'@:/]+@[^\s<>\"'@:/]+", address) else ""


def _signed(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    return f"{value:+,.{digits}f}".replace("-", "−") if round(value, digits) else "0"


def _day(text: str | None) -> str:
    return "–" if text is None else f"{text[:10]} {text[11:16]} UTC"


def _details(names: Sequence[str]) -> str:
    """Return the names on which a fact is based, as text. Hidden names are only counted."""
    known = [name for name in names if name != PLACEHOLDER]
    hidden = len(names) - len(known)
    count = [] if not hidden else [f"{hidden:,} {'model' if hidden == 1 else 'models'} under test or withdrawn"]
    return "; ".join([*known, *count])


_FILTERS: dict[str, Callable[..., Any]] = {
    "n": lambda value: f"{value:,}",
    "many": lambda value, one, more: f"{value:,} {one if value == 1 else more}",
    "points": lambda value: "–" if value is None else f"{value:,.1f}",
    "signed": _signed,
    "figure": format_figure,
    "percent": lambda value: "–" if value is None else f"{value:.1%}",
    "day": _day,
    "date": lambda text: "–" if text is None else text[:10],
    "details": _details,
    "url": lambda text: quote(str(text), safe=""),
    "e_value": alert_text.format_e_value,
    "summary": alert_text.summarize,
    "hexadecimal": lambda text: re.fullmatch("[0-9a-f]+", text) is not None,
}
