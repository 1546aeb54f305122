"""Renders a report as one HTML page that needs nothing else: no script, no picture, no font, no network.

Every text is escaped. The page has a Content-Security-Policy. The policy forbids all requests, and all styles except
the page's own, which it names by hash.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from pipeline.ratings.clustered_sandwich import LEAST_VOTERS
from pipeline.report.evidence.evidence_section import GROUPS
from pipeline.report.evidence.evidence_tests import MEASURED
from pipeline.report.evidence.sampling_facts import spread_sentences
from pipeline.report.report import Report
from pipeline.report.vote_period import apart_sentences
from pipeline.vocabulary.visible_text import visible

SHOWN = 20
"""The page lists at most this many findings of each section. JSON has all findings."""

# Says that a page is a report; it is among the first _HEAD bytes of the page.
_MARK = '<meta name="generator" content="leaderboard-integrity report">'
_HEAD = 4096
# Width of the drawing of an interval, in its own units.
_WIDTH = 200.0
_TITLES = {
    "voters": "Single voters",
    "cohorts": "Groups and cohorts of voters",
    "bursts": "Bursts and weeks",
    "sampling": "What voters were shown",
}
_LARGEST_PLAIN = 10_000_000
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@cache
def _environment() -> Environment:
    folder = files("pipeline.report").joinpath("templates")
    pages = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in ("report.html", "report.css")}
    made = Environment(loader=DictLoader(pages), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                       lstrip_blocks=True)  # fmt: skip
    made.filters |= {"odds": format_odds, "number": _number, "visible": visible}
    return made


def render_page(report: Report) -> str:
    """Return the page of a report as HTML."""
    environment = _environment()
    style = environment.get_template("report.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    document = _visible(report.document())
    return environment.get_template("report.html").render(
        report=document,
        groups=[(_TITLES[name], [one for one in document["evidence"] if one["group"] == name]) for name in GROUPS],
        reasons=_visible(report.unchecked_by_reason),
        drawn=_drawn(document["rows"]),
        shown=SHOWN,
        measured=MEASURED,
        spread=spread_sentences(document["spread"]),
        least_voters=LEAST_VOTERS,
        mark_of_report=Markup(_MARK),  # noqa: S704  # a constant
        apart=apart_sentences(document["dated_apart"]),
        style=Markup(style),  # noqa: S704  # our own file, whose hash the policy names
        style_hash=digest,
    )


def is_report_page(path: Path) -> bool:
    """Return whether a file is a page that `render_page` made."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _MARK.encode() in file.read(_HEAD)


def _visible(value: Any) -> Any:
    """Return plain values in which the hidden characters of all texts are written as escapes."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _visible(one) for key, one in value.items()}
    return [_visible(one) for one in value] if isinstance(value, list | tuple) else value


def _drawn(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return for each model the places of its rating and of the ends of its interval in a drawing.

    A place is the distance from the left edge, in the units of the drawing.
    """
    low: float = min(row["lower"] for row in rows)
    high: float = max(row["upper"] for row in rows)
    span = max(high - low, 1e-9)

    def place(points: float) -> float:
        return round(4 + (points - low) / span * (_WIDTH - 8), 1)

    return [{name: place(row[name]) for name in ("lower", "rating", "upper")} for row in rows]


def format_odds(value: float) -> str:
    """Return the field `odds` of a finding as text: "1 in 2,000" for 2,000."""
    if value < _LARGEST_PLAIN:
        return f"1 in {value:,.0f}"
    return f"1 in 10{str(int(f'{value:.0e}'.partition('e')[2])).translate(_SUPERSCRIPT)}"


def _number(value: float | None) -> str:
    """Return a figure as text: all digits of a whole number, otherwise three significant digits; "–" for None.

    From 1,000 on, a figure is rounded to a whole number.
    """
    if value is None:
        return "–"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
