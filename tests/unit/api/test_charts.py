"""Charts are deterministic SVG without scripts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from pipeline.api import charts

POINTS = [
    {"data_until": f"2026-03-{day:02d}T00:00:00Z", "published_at": "", "rating": 1000.0 + day, "lower": 990.0 + day,
     "upper": 1010.0 + day, "share": 0.1}
    for day in (7, 14, 21)
]  # fmt: skip


def test_the_same_history_gives_the_same_svg_without_a_script() -> None:
    for draw in (lambda: charts.rating(POINTS, POINTS[1:]), lambda: charts.share(POINTS)):
        svg = draw()
        assert svg == draw()
        names = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}  # noqa: S314
        assert "path" in names
        assert not names & {"script", "foreignObject", "image", "use"}


def labels(svg: bytes) -> list[str]:
    return [text for text in re.findall(r">([^<>]+)</text>", svg.decode()) if re.match(r"\d+ [A-Z]", text)]


def test_no_two_dates_of_an_axis_are_the_same() -> None:
    hours = [{**POINTS[0], "data_until": f"2026-03-07T{hour:02d}:00:00Z"} for hour in range(0, 24, 3)]
    years = [{**POINTS[0], "data_until": f"20{year}-03-07T00:00:00Z"} for year in range(10, 20)]
    for points in (hours, years, POINTS, POINTS[:1], [POINTS[0], POINTS[0]]):
        for width in (charts.WIDE, charts.NARROW):
            found = labels(charts.rating(points, points, width))
            assert 1 <= len(found) == len(set(found))
    assert labels(charts.rating(hours, [], charts.NARROW)) == ["7 Mar 00:00", "7 Mar 21:00"]


def test_one_snapshot_can_be_drawn_and_a_phone_gets_a_narrower_chart() -> None:
    wide, narrow = (
        ElementTree.fromstring(charts.rating(POINTS[:1], POINTS[:1], width))  # noqa: S314
        for width in (charts.WIDE, charts.NARROW)
    )
    assert float(wide.attrib["width"]) > charts.WIDE
    assert charts.NARROW < float(narrow.attrib["width"]) <= 390 - 32  # a phone's width without its margins


def test_a_dark_page_gets_a_dark_chart() -> None:
    for draw in (
        lambda theme: charts.rating(POINTS, POINTS, theme=theme),
        lambda theme: charts.share(POINTS, theme=theme),
    ):
        light, dark = draw("light").decode(), draw("dark").decode()
        assert 'fill="#12181f"' in dark
        assert 'fill="#12181f"' not in light
        assert set(re.findall("#[0-9a-f]{6}", light)) & set(re.findall("#[0-9a-f]{6}", dark)) == set()
