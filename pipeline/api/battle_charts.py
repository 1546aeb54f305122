"""Draws charts of the battles between the best models: a heatmap of win rates, and a network of the pairs that met.

The pages show the same figures as tables.
"""

from collections.abc import Mapping, Sequence
from math import cos, pi, sin
from typing import Any

from pipeline.api.charts import PALETTES, Palette, Theme, draw_svg
from pipeline.vocabulary.visible_text import visible

# Width of a cell of the heatmap in pixels, and of the network, on a desktop and on a phone.
_CELL, _NARROW_CELL, _NETWORK, _NARROW_NETWORK = 23, 10, 620, 340
# Characters of a name beside a chart; the browser's font may be wider than the one that the chart was measured with.
_LONGEST = 26
# Win rates at the ends of the scale of colours.
_LOW, _HIGH = 0.2, 0.8
_LOSS = {"light": "#d98a6a", "dark": "#9a4a32"}
_WIN = {"light": "#7fb2dc", "dark": "#2f6ea3"}

Record = Mapping[str, Any]


def heatmap(models: Sequence[str], records: Sequence[Record], theme: Theme = "light", narrow: bool = False) -> bytes:
    """Draw the win rates between models as a heatmap. On a phone the axes have ranks instead of names.

    Args:
        models: names of the models, best first.
        records: one row for each pair of models that met, with the fields of `BattleRecordDocument`.
        theme: the colours of a light or a dark page.
        narrow: whether the picture is for a phone.

    Returns:
        The bytes of an SVG file.
    """
    colours, place = PALETTES[theme], {model: number for number, model in enumerate(models, 1)}
    # Numbered, so that two names with the same beginning have different labels.
    labels = {model: str(number) if narrow else f"{number}  {_short(model)}" for model, number in place.items()}
    values = []
    for one in records:
        first, second = one["model"], one["opponent"]
        values += [{"row": labels[first], "column": place[second], "score": one["score"]},
                   {"row": labels[second], "column": place[first], "score": 1 - one["score"]}]  # fmt: skip
    axis = {"grid": False, "labelFontSize": 7 if narrow else 11, "labelLimit": 230}
    x = {"field": "column", "type": "ordinal", "title": "against the model of this rank",
         "scale": {"domain": list(place.values())}, "axis": {**axis, "orient": "top", "labelAngle": 0}}  # fmt: skip
    y = {"field": "row", "type": "ordinal", "title": None, "scale": {"domain": list(labels.values())},
         "axis": {**axis, "minExtent": 0 if narrow else 230}}  # fmt: skip
    scale = {
        "domain": [_LOW, 0.5, _HIGH],
        "range": [_LOSS[theme], colours.paper, _WIN[theme]],
        "clamp": True,
        "interpolate": "rgb",
    }
    rates = {"field": "score", "type": "quantitative", "scale": scale, "legend": None}
    layers: list[dict[str, Any]] = [{"mark": {"type": "rect"}, "encoding": {"x": x, "y": y, "color": rates}}]
    if not narrow:
        percent = {"field": "percent", "type": "nominal"}
        layers.append({"transform": [{"calculate": "format(datum.score * 100, '.0f')", "as": "percent"}],
                       "mark": {"type": "text", "fontSize": 9, "color": colours.point},
                       "encoding": {"x": x, "y": y, "text": percent}})  # fmt: skip
    size = max(1, len(models)) * (_NARROW_CELL if narrow else _CELL)
    return draw_svg(values, layers, colours, size, size)


def network(models: Sequence[str], records: Sequence[Record], theme: Theme = "light", narrow: bool = False) -> bytes:
    """Draw battles as a network: models on a circle in the order of rank, and a line between each two that met.

    A line is wider if the pair has more battles.

    Args:
        models: names of the models, best first.
        records: one row for each pair of models that met, with the fields of `BattleRecordDocument`.
        theme: the colours of a light or a dark page.
        narrow: whether the picture is for a phone, where points have ranks instead of names.

    Returns:
        The bytes of an SVG file.
    """
    colours = PALETTES[theme]
    angles = {model: 2 * pi * number / max(len(models), 1) for number, model in enumerate(models)}
    at = {model: (sin(angle), cos(angle)) for model, angle in angles.items()}
    lines = [{"kind": "line", "x": at[one["model"]][0], "y": at[one["model"]][1], "x2": at[one["opponent"]][0],
              "y2": at[one["opponent"]][1], "votes": one["votes"]} for one in records]  # fmt: skip
    points = [{"kind": "right" if x >= -1e-9 else "left", "x": x, "y": y, "rank": number, "name": _short(model),
               "lx": 1.06 * x, "ly": 1.06 * y + _lift(x, y)}
              for number, (model, (x, y)) in enumerate(at.items(), 1)]  # fmt: skip
    reach = 1.1 if narrow else 1.75
    layers = [_lines(colours, reach), *_points(colours, reach, narrow)]
    width = _NARROW_NETWORK if narrow else round(_NETWORK * reach / 1.2)
    return draw_svg([*lines, *points], layers, colours, width, _NARROW_NETWORK if narrow else _NETWORK)


def _short(name: str) -> str:
    name = visible(name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _lift(x: float, y: float) -> float:
    """Return by how much to raise the name of the model at (x, y), where the circle of models has radius 1.

    The name at the top of the circle is raised, and the name at the bottom is lowered (a negative result). In their
    original places, the names of the neighbouring models would cover these two names. Other names are not moved.
    """
    return 0.0 if abs(x) > 0.01 else 0.08 if y > 0 else -0.08


def _axis(field: str, reach: float) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": [-reach, reach], "nice": False}}


def _lines(colours: Palette, reach: float) -> dict[str, Any]:
    width = {"field": "votes", "type": "quantitative", "scale": {"range": [0.3, 6]}, "legend": None}
    return {"transform": [{"filter": "datum.kind == 'line'"}],
            "mark": {"type": "rule", "color": colours.line, "opacity": 0.35},
            "encoding": {"x": _axis("x", reach), "y": _axis("y", 1.2), "x2": {"field": "x2"}, "y2": {"field": "y2"},
                         "strokeWidth": width}}  # fmt: skip


def _points(colours: Palette, reach: float, narrow: bool) -> list[dict[str, Any]]:
    places = {"x": _axis("x", reach), "y": _axis("y", 1.2)}
    beside = {"x": _axis("lx", reach), "y": _axis("ly", 1.2), "text": {"field": "name", "type": "nominal"}}
    dots = {"transform": [{"filter": "isValid(datum.rank)"}],
            "mark": {"type": "point", "filled": True, "color": colours.point, "opacity": 1, "size": 330},
            "encoding": places}  # fmt: skip
    ranks = {"transform": [{"filter": "isValid(datum.rank)"}],
             "mark": {"type": "text", "color": colours.paper, "fontSize": 11, "fontWeight": "bold"},
             "encoding": {**places, "text": {"field": "rank", "type": "quantitative"}}}  # fmt: skip
    names = [{"transform": [{"filter": f"datum.kind == '{side}'"}],
              "mark": {"type": "text", "color": colours.text, "fontSize": 11, "align": align, "dx": shift},
              "encoding": beside}
             for side, align, shift in (("right", "left", 4), ("left", "right", -4))]  # fmt: skip
    return [dots, ranks, *([] if narrow else names)]
