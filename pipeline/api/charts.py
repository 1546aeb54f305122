"""Draws the charts of a model's history on the server, as SVG, with Vega-Lite.

The same rows give the same bytes. An SVG contains no script, and pages show it in <img>, where browsers do not run
scripts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import vl_convert

_SANS = "Helvetica, Arial, sans-serif"

Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a chart as CSS values, the same as in `static/site.css`."""

    line: str
    point: str
    text: str
    grid: str
    paper: str


PALETTES: Mapping[Theme, Palette] = {
    "light": Palette("#0b4f8a", "#16324f", "#52606d", "#e4e8ec", "#fff"),
    "dark": Palette("#7fbdf2", "#b9dafa", "#a3afbb", "#333f4b", "#12181f"),
}

# Width of the plot without axes in pixels, on a desktop and on a phone.
WIDE, NARROW = 640, 270

Row = Mapping[str, Any]


def rating(
    defended: Sequence[Row],
    raw: Sequence[Row],
    width: int = WIDE,
    theme: Theme = "light",
    style: Sequence[Row] = (),
) -> bytes:
    """Draw the ratings of a model over time, one line for each view (each way to select and rate votes).

    The view defended is a solid line with its interval, raw is a dashed line, and style is a dotted line.

    Args:
        defended: the model's rows in the view `defended`, oldest first, with the fields of `HistoryPointDocument`.
        raw: the model's rows in the view `raw`, in the same form.
        width: width of the chart in pixels.
        theme: the colours of a light or a dark page.
        style: the model's rows in the view `style`, in the same form.

    Returns:
        The bytes of the SVG file.
    """
    colours = PALETTES[theme]
    values = [_point(row, "defended") for row in defended]
    for view, rows in (("raw", raw), ("style", style)):
        values += [_point(row, view) | {"lower": None, "upper": None} for row in rows]
    time = _time(values, width)
    layers = [
        {"transform": [{"filter": "datum.view == 'defended'"}],
         "mark": {"type": "area", "color": colours.line, "opacity": 0.18},
         "encoding": {"x": time, "y": _points("lower"), "y2": {"field": "upper"}}},
        {"transform": [{"filter": "datum.view == 'raw'"}],
         "mark": {"type": "line", "color": colours.text, "strokeDash": [4, 3], "strokeWidth": 1.5},
         "encoding": {"x": time, "y": _points("rating")}},
        {"transform": [{"filter": "datum.view == 'style'"}],
         "mark": {"type": "line", "color": colours.text, "strokeDash": [1, 4], "strokeWidth": 2, "strokeCap": "round"},
         "encoding": {"x": time, "y": _points("rating")}},
        {"transform": [{"filter": "datum.view == 'defended'"}],
         "mark": _marked_line(colours),
         "encoding": {"x": time, "y": _points("rating")}},
    ]  # fmt: skip
    if len(defended) == 1:
        layers[0]["mark"] = {"type": "rule", "color": colours.line, "strokeWidth": 3}
    return draw_svg(values, layers, colours, width, height=210)


def share(rows: Sequence[Row], width: int = WIDE, theme: Theme = "light") -> bytes:
    """Draw, over time, the share of all battles in which a model took part.

    Args:
        rows: the model's rows in one view, oldest first, with the fields of `HistoryPointDocument`.
        width: width of the chart in pixels.
        theme: the colours of a light or a dark page.

    Returns:
        The bytes of the SVG file.
    """
    colours = PALETTES[theme]
    values = [_point(row, "defended") for row in rows]
    layers = [
        {"mark": _marked_line(colours),
         "encoding": {"x": _time(values, width),
                      "y": {"field": "share", "type": "quantitative", "title": "share of battles",
                            "axis": {"format": ".1%", "tickCount": 4}}}},
    ]  # fmt: skip
    return draw_svg(values, layers, colours, width, height=130)


def comparison(first: Sequence[Row], second: Sequence[Row], width: int = WIDE, theme: Theme = "light") -> bytes:
    """Draw the ratings of two models over time, with intervals. The line of the second model is dashed.

    Args:
        first: the rows of the first model, oldest first, with the fields of `HistoryPointDocument`.
        second: the rows of the second model, in the same form.
        width: width of the chart in pixels.
        theme: the colours of a light or a dark page.

    Returns:
        The bytes of the SVG file.
    """
    colours = PALETTES[theme]
    values = [_point(row, side) for side, rows in (("a", first), ("b", second)) for row in rows]
    time = _time(values, width)
    layers: list[dict[str, Any]] = []
    for side, colour, dashes in (("a", colours.line, [1, 0]), ("b", colours.text, [5, 3])):
        only = [{"filter": f"datum.view == '{side}'"}]
        line = {"type": "line", "color": colour, "strokeDash": dashes, "strokeWidth": 2.5, "point": {"color": colour}}
        layers += [
            {"transform": only, "mark": {"type": "area", "color": colour, "opacity": 0.15},
             "encoding": {"x": time, "y": _points("lower"), "y2": {"field": "upper"}}},
            {"transform": only, "mark": line, "encoding": {"x": time, "y": _points("rating")}},
        ]  # fmt: skip
    return draw_svg(values, layers, colours, width, height=230)


def _marked_line(colours: Palette) -> dict[str, Any]:
    point = {"color": colours.point, "size": 45}
    return {"type": "line", "color": colours.line, "strokeWidth": 2.5, "point": point}


def _point(row: Row, view: str) -> dict[str, Any]:
    figures = ("rating", "lower", "upper", "share")
    return {"at": row["data_until"] or row["published_at"], "view": view, **{name: row[name] for name in figures}}


def _time(values: Sequence[Row], width: int) -> dict[str, Any]:
    ticks, text = _ticks([datetime.fromisoformat(row["at"]) for row in values], width // 100)
    return {
        "field": "at", "type": "temporal", "title": None, "scale": {"type": "utc"},
        "axis": {"grid": False, "values": ticks, "format": text, "labelOverlap": "greedy", "labelSeparation": 8},
    }  # fmt: skip


def _ticks(times: Sequence[datetime], most: int) -> tuple[list[int], str]:
    """Return at most `most` evenly spread times of snapshots, and a date format that gives each its own label.

    The times are in milliseconds since 1970 UTC. Ticks that Vega chooses itself would repeat a date where the snapshots
    are hours apart.
    """
    known = sorted(set(times))
    if not known:
        return [], "%-d %b %Y"
    first, step = known[0], (known[-1] - known[0]) / max(most - 1, 1)
    wanted = [first + step * place for place in range(most)]
    chosen = sorted({min(known, key=lambda time, at=at: abs(time - at)) for at in wanted})  # type: ignore[misc]
    one_a_day = len({time.date() for time in chosen}) == len(chosen)
    return [round(time.timestamp() * 1000) for time in chosen], "%-d %b %Y" if one_a_day else "%-d %b %H:%M"


def _points(field: str) -> dict[str, Any]:
    return {
        "field": field, "type": "quantitative", "title": "rating, points",
        "scale": {"zero": False, "nice": True}, "axis": {"tickCount": 5},
    }  # fmt: skip


def _config(colours: Palette) -> dict[str, Any]:
    return {
        "font": _SANS,
        "background": colours.paper,
        "view": {"stroke": None},
        "axis": {"labelColor": colours.text, "titleColor": colours.text, "gridColor": colours.grid, "domain": False,
                 "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "tickColor": colours.grid},
    }  # fmt: skip


def draw_svg(
    values: list[dict[str, Any]], layers: list[dict[str, Any]], colours: Palette, width: int, height: int
) -> bytes:
    """Draw a chart with Vega-Lite, and return it as the bytes of an SVG file.

    Args:
        values: the rows of the chart.
        layers: the layers of the Vega-Lite specification.
        colours: the colours of the chart.
        width, height: size of the plot without axes, in pixels.
    """
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width, "height": height, "padding": 4, "config": _config(colours),
        "data": {"values": values}, "layer": layers,
    }  # fmt: skip
    svg: str = vl_convert.vegalite_to_svg(spec)
    return svg.encode()
