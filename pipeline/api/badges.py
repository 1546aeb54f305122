"""Draws badges as SVG. A badge shows a label and a value side by side; other web sites embed it."""

from xml.etree import ElementTree as ET

from pipeline.api.svg_text import add_box, add_text, estimate_width, new_picture, shorten, to_bytes

GOOD, OPEN, BAD, NEUTRAL = "#0b5c2e", "#8a4b00", "#a01818", "#0b4f8a"
"""Background colours behind the white value: proved, proved with open incidents, proof failed, no statement."""

_LABEL, _HEIGHT, _SIZE, _MARGIN = "#3c4650", 20, 11, 6
_FONT = "Verdana, 'DejaVu Sans', Helvetica, Arial, sans-serif"
# Widest label, so that a long name of a model leaves room for its rank.
_LABEL_WIDTH = 240


def draw_badge(label: str, value: str, color: str, title: str) -> bytes:
    """Draw a badge, and return it as the bytes of an SVG file.

    Args:
        label: what the value is about. A long label is shortened.
        value: the text beside the label.
        color: colour behind the value.
        title: a sentence that says the same to screen readers.
    """
    label = shorten(label, _SIZE, _LABEL_WIDTH)
    widths = [estimate_width(text, _SIZE) for text in (label, value)]
    left, right = (round(width) + 2 * _MARGIN for width in widths)
    root = new_picture(left + right, _HEIGHT, title)
    add_box(root, 0, 0, left + right, _HEIGHT, color, 3)
    add_box(root, 0, 0, left, _HEIGHT, _LABEL, 3)
    add_box(root, left - 3, 0, 3, _HEIGHT, _LABEL)
    _add_half(root, label, _MARGIN, left - 2 * _MARGIN)
    _add_half(root, value, left + _MARGIN, right - 2 * _MARGIN)
    return to_bytes(root)


def _add_half(root: ET.Element, text: str, x: float, width: float) -> None:
    # With `textLength` the text fills its half in whatever font the reader has.
    add_text(root, x, 14, text, _SIZE, fill="#fff", font_family=_FONT, textLength=f"{width:g}",
             lengthAdjust="spacingAndGlyphs")  # fmt: skip
