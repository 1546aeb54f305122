"""The charts of battles: every model and pair is drawn, hostile names stay text, and both themes differ."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from xml.etree import ElementTree

import pytest

from pipeline.api import battle_charts

MODELS = ["alpha", "<script>alert(1)</script>", "'+datum.x+'", "a" * 200, "delta"]
RECORDS = [{"model": a, "opponent": b, "votes": 5, "score": 0.6} for a, b in combinations(MODELS, 2)][:-1]

Chart = Callable[..., bytes]


@pytest.mark.parametrize("draw", [battle_charts.heatmap, battle_charts.network])
def test_a_chart_is_deterministic_svg_in_two_themes_without_a_script(draw: Chart) -> None:
    for narrow in (False, True):
        light, dark = (draw(MODELS, RECORDS, theme, narrow) for theme in ("light", "dark"))
        assert draw(MODELS, RECORDS, "light", narrow) == light
        assert light != dark
        tags = {one.tag.rpartition("}")[2] for one in ElementTree.fromstring(light).iter()}  # noqa: S314
        assert not tags & {"script", "foreignObject", "image", "a"}


def text_of(svg: bytes) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("}text")]  # noqa: S314


def test_the_heatmap_has_each_pair_twice_and_names_each_model() -> None:
    found = text_of(battle_charts.heatmap(MODELS, RECORDS))
    assert found.count("60") == found.count("40") == len(RECORDS)
    for number, name in enumerate(("alpha", "<script>", "'+datum.x+'", "aaa", "delta"), 1):
        assert any(one.startswith(f"{number}  {name}") for one in found), name
    assert not any(re.search("[a-z]{3}", one) for one in text_of(battle_charts.heatmap(MODELS, RECORDS, narrow=True))
                   if "rank" not in one)  # fmt: skip


def test_the_network_has_a_line_for_each_pair_that_met() -> None:
    svg = battle_charts.network(MODELS, RECORDS).decode()
    lines = re.search(r'<g[^>]*class="mark-rule[^>]*>(.*?)</g>', svg, re.DOTALL)
    assert lines is not None
    assert lines.group(1).count("<line") == len(RECORDS)
    assert {"1", "2", "3", "4", "5", "alpha", "delta"} <= set(text_of(svg.encode()))
