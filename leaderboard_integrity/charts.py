"""Draws results as Altair charts. The extra `notebook` of this package installs Altair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline.errors import Unavailable
from pipeline.vocabulary.visible_text import visible

if TYPE_CHECKING:
    import altair as alt

TOP = 30
"""Largest number of models that a chart shows, unless the caller asks for another number."""


class MissingExtra(Unavailable, ImportError):
    """Raised if a package that only notebooks need is not installed."""


def board_chart(rows: Sequence[Mapping[str, Any]], title: str, top: int = TOP) -> alt.LayerChart:
    """Return a chart of the ratings of a board with their intervals, best model first.

    Args:
        rows: the rows of the board, best model first.
        title: title of the chart.
        top: largest number of models that are drawn. If there are more, the title says so.

    Raises:
        MissingExtra: Altair is not installed.
    """
    draw = _altair()
    drawn = [{**_known(row), "model": visible(row["model"])} for row in rows[:top]]
    of = f" (the first {top:,} of {len(rows):,} models)" if len(rows) > top else ""
    tips = [name for name in ("model", "rank", "rating", "lower", "upper", "votes") if drawn and name in drawn[0]]
    base = draw.Chart(draw.InlineData(values=drawn)).encode(
        y=draw.Y("model:N", sort=[row["model"] for row in drawn], title=None, axis=draw.Axis(labelLimit=300)),
        tooltip=[draw.Tooltip(f"{name}:{'N' if name == 'model' else 'Q'}") for name in tips],
    )
    scale = draw.Scale(zero=False)
    bars = base.mark_rule(strokeWidth=2).encode(x=draw.X("lower:Q", title="rating", scale=scale), x2="upper:Q")
    points = base.mark_point(filled=True, size=50, opacity=1).encode(x=draw.X("rating:Q", scale=scale))
    chart: alt.LayerChart = draw.layer(bars, points).properties(title=visible(title) + of)
    return chart


def pair_chart(cells: Sequence[Mapping[str, Any]], models: Sequence[str], title: str) -> alt.Chart:
    """Return a heatmap chart of the number of votes on each pair of models.

    Args:
        cells: "model", "opponent" and "votes" of each pair.
        models: the models in the order in which they are drawn.
        title: title of the chart.

    Raises:
        MissingExtra: Altair is not installed.
    """
    draw = _altair()
    drawn = [{**cell, "model": visible(cell["model"]), "opponent": visible(cell["opponent"])} for cell in cells]
    order = [visible(model) for model in models]
    chart: alt.Chart = (
        draw.Chart(draw.InlineData(values=drawn))
        .mark_rect()
        .encode(
            x=draw.X("opponent:N", sort=order, title=None),
            y=draw.Y("model:N", sort=order, title=None),
            color=draw.Color("votes:Q", title="votes", scale=draw.Scale(type="symlog")),
            tooltip=["model:N", "opponent:N", "votes:Q"],
        )
        .properties(title=visible(title))
    )
    return chart


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if isinstance(value, str | int | float)}


def _altair() -> Any:
    try:
        return import_module("altair")
    except ImportError:
        raise MissingExtra(
            "plot() needs Altair, got no module of this name: pip install 'leaderboard-integrity[notebook]'"
        ) from None
