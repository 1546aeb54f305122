"""Draws share cards as PNG. A share card is the picture that messengers show beside a link to a page.

A card has 1200 × 630 pixels. It is built as SVG and rendered as PNG in this process, with the fonts of Vega-Lite's
renderer.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import vl_convert

from pipeline.api.svg_text import add_box, add_text, new_picture, shorten, to_bytes, wrap
from pipeline.store.boards.snapshot_intervals import shown_interval

WIDTH, HEIGHT = 1200, 630
_DEEP, _WHITE, _LIGHT, _GOLD, _LINE = "#16324f", "#ffffff", "#c9d6e2", "#ffc65c", "#3b5875"
_FONT = "Helvetica, Arial, sans-serif"
_LEFT, _RIGHT = 60, 1140
# Where intervals are drawn on the card of a board.
_SCALE_FROM, _SCALE_TO = 820, 1130
_ROWS, _ROW_HEIGHT, _FIRST_ROW = 5, 62, 240


def draw_board_card(board: str, rows: Sequence[Mapping[str, Any]], footer: str) -> bytes:
    """Draw the share card of a board, with its first models and their intervals. Returns the bytes of a PNG file.

    Args:
        board: name of the board.
        rows: rows of the board, best first, with the model, its rank and rating, and the intervals of both.
        footer: a line about the snapshot, at the bottom of the card.
    """
    shown = rows[:_ROWS]
    # The rank of a model that is not listed stays free.
    leads = "leads" if shown and shown[0]["rank"] == 1 else "is the first listed"
    headline = f"{shown[0]['model']} {leads}" if shown else "No model is rated"
    root = _new_card(board, [shorten(headline, 60, _RIGHT - _LEFT)], footer)
    bounds = [shown_interval(row) for row in shown]
    low = min((lower for lower, _ in bounds), default=0.0)
    high = max((upper for _, upper in bounds), default=1.0)

    def x(points: float) -> float:
        return _SCALE_FROM + (_SCALE_TO - _SCALE_FROM) * (points - low) / max(high - low, 1.0)

    for place, (row, (lower, upper)) in enumerate(zip(shown, bounds, strict=True)):
        y = _FIRST_ROW + place * _ROW_HEIGHT
        _add(root, _LEFT, y, f"{row['rank']}", 32, _GOLD)
        _add(root, _LEFT + 60, y, shorten(row["model"], 32, 560), 32, _WHITE)
        _add(root, _SCALE_FROM - 30, y, f"{row['rating']:,.0f}", 32, _WHITE, text_anchor="end")
        add_box(root, _SCALE_FROM, y - 12, _SCALE_TO - _SCALE_FROM, 2, _LINE)
        add_box(root, x(lower), y - 15, max(x(upper) - x(lower), 2), 8, _GOLD, 4)
        add_box(root, x(row["rating"]) - 8, y - 19, 16, 16, _WHITE, 8)
    return _to_png(root)


def draw_text_card(board: str, headline: str, lines: Sequence[str], footer: str) -> bytes:
    """Draw a share card that has only text. Returns the bytes of a PNG file.

    Args:
        board: name of the board.
        headline: the large text, wrapped to at most five lines.
        lines: smaller lines below the headline. Lines for which there is no room are left out.
        footer: the line at the bottom.
    """
    size = 60 if len(headline) <= 60 else 44
    top = wrap(headline, size, _RIGHT - _LEFT, 5)
    root = _new_card(board, top, footer, size)
    y = 150 + len(top) * size * 1.25 + 20
    for line in lines:
        if y < HEIGHT - 90:
            _add(root, _LEFT, y, shorten(line, 34, _RIGHT - _LEFT), 34, _LIGHT)
        y += 50
    return _to_png(root)


def _new_card(board: str, headline: Sequence[str], footer: str, size: float = 60) -> ET.Element:
    root = new_picture(WIDTH, HEIGHT, " ".join(headline))
    add_box(root, 0, 0, WIDTH, HEIGHT, _DEEP)
    add_box(root, 0, 0, WIDTH, 12, _GOLD)
    _add(root, _LEFT, 80, shorten(f"Leaderboard integrity · {board}", 28, _RIGHT - _LEFT), 28, _LIGHT)
    for place, line in enumerate(headline):
        _add(root, _LEFT, 160 + place * size * 1.25, line, size, _WHITE, font_weight="bold")
    add_box(root, _LEFT, HEIGHT - 72, _RIGHT - _LEFT, 2, _LINE)
    _add(root, _LEFT, HEIGHT - 32, shorten(footer, 26, _RIGHT - _LEFT), 26, _LIGHT)
    return root


def _add(root: ET.Element, x: float, y: float, text: str, size: float, fill: str, **attributes: str) -> None:
    add_text(root, x, y, text, size, fill=fill, font_family=_FONT, **attributes)


def _to_png(root: ET.Element) -> bytes:
    png: bytes = vl_convert.svg_to_png(to_bytes(root).decode())
    return png
