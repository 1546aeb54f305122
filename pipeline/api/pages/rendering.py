"""Templates, and how figures look."""

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
from pipeline.api.snapshots import VIEWS

PAGE = 50
"""Rows of a page that goes on."""

# The units in which an interval is drawn, and the room at both ends for a mark.
_WIDE, _MARGIN = 200.0, 4.0


class Templates:
    """The templates of this package; text is escaped, and a name that a page was not given is an error."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("pipeline.api"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= _FILTERS
        self._environment.tests["hexadecimal"] = lambda text: re.fullmatch("[0-9a-f]+", text) is not None
        self._environment.filters["hexadecimal"] = self._environment.tests["hexadecimal"]
        self._environment.globals["VIEWS"] = VIEWS

    def page(self, name: str, headers: Mapping[str, str], **values: Any) -> HTMLResponse:
        """A page."""
        text = self._environment.get_template(f"{name}.html").render(**values)
        return HTMLResponse(text, headers=dict(headers))

    def problem(self, _request: Request, document: dict[str, Any]) -> Response:
        """The page of an error."""
        return self.page("problem", {}, problem=document)


class Drawn:
    """The scale on which intervals are drawn, in points."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, max(high, low + 1.0)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Drawn:
        """From the lowest bound to the highest."""
        bounds = [row[side] for row in rows for side in ("lower", "upper", "rating")]
        return cls(math.floor(min(bounds, default=0.0)), math.ceil(max(bounds, default=1.0)))

    def x(self, points: float) -> str:
        """Where it is drawn."""
        return f"{_MARGIN + (_WIDE - 2 * _MARGIN) * (points - self.low) / (self.high - self.low):.1f}"


def signed(value: float | None, digits: int = 1) -> str:
    """A number with its sign."""
    if value is None:
        return "–"
    return f"{value:+,.{digits}f}".replace("-", "−") if round(value, digits) else "0"


def _day(text: str | None) -> str:
    return "–" if text is None else f"{text[:10]} {text[11:16]} UTC"


_FILTERS: dict[str, Callable[..., Any]] = {
    "n": lambda value: f"{value:,}",
    "many": lambda value, one, more: f"{value:,} {one if value == 1 else more}",
    "points": lambda value: "–" if value is None else f"{value:,.1f}",
    "signed": signed,
    "percent": lambda value: "–" if value is None else f"{value:.1%}",
    "day": _day,
    "url": lambda text: quote(str(text), safe=""),
    "evalue": alert_text.format_e_value,
    "seen": alert_text.summarize,
}
