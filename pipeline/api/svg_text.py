"""Builds small SVG pictures with text, and estimates how wide a text will be.

Text passes through `xml.etree`, which escapes it, and hidden characters are written as escapes.
"""

import unicodedata
from xml.etree import ElementTree as ET

from pipeline.vocabulary.visible_text import visible

_SVG = "http://www.w3.org/2000/svg"
_NARROW, _WIDE = frozenset("fijlrtI.,:;!|'()[]-/ "), frozenset("mwMW@%#")


def new_picture(width: float, height: float, title: str) -> ET.Element:
    """Return the root element of a new SVG picture. The size is in pixels, and screen readers say the title."""
    root = ET.Element("svg", {"xmlns": _SVG, "width": f"{width:g}", "height": f"{height:g}", "role": "img",
                              "viewBox": f"0 0 {width:g} {height:g}", "aria-label": visible(title)})  # fmt: skip
    ET.SubElement(root, "title").text = visible(title)
    return root


def add_box(parent: ET.Element, x: float, y: float, width: float, height: float, fill: str, radius: float = 0) -> None:
    """Add a filled rectangle to an SVG element. Lengths are in pixels; `radius` rounds the corners."""
    place = {"x": x, "y": y, "width": width, "height": height, "rx": radius}
    ET.SubElement(parent, "rect", {**{name: f"{value:g}" for name, value in place.items()}, "fill": fill})


def add_text(parent: ET.Element, x: float, y: float, text: str, size: float, **attributes: str) -> None:
    """Add a line of text to an SVG picture.

    Args:
        parent: the element to add to.
        x, y: start of the baseline, in pixels. With the attribute `text_anchor`, the point at which the text is
            anchored.
        text: the text.
        size: size of the letters in pixels.
        attributes: further SVG attributes, with "_" for "-" in their names.
    """
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    element = ET.SubElement(parent, "text", {"x": f"{x:g}", "y": f"{y:g}", "font-size": f"{size:g}", **named})
    element.text = visible(text)


def estimate_width(text: str, size: float) -> float:
    """Estimate the width of a line of text in a sans-serif font, in pixels. `size` is the font size in pixels."""
    return size * sum(map(_letter_width, visible(text)))


def shorten(text: str, size: float, width: float) -> str:
    """Shorten a text to a width of about `width` pixels, ending it with "…" if something is cut off.

    `size` is the font size in pixels.
    """
    if estimate_width(text, size) <= width:
        return text
    while text and estimate_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def wrap(text: str, size: float, width: float, lines: int) -> list[str]:
    """Break a text into at most `lines` lines of about `width` pixels.

    The last line ends in "…" if words are left out.
    """
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if found[-1] and estimate_width(longer, size) > width:
            found.append(word)
        else:
            found[-1] = longer
    kept = [shorten(line, size, width) for line in found[:lines]]
    if len(found) > lines:
        kept[-1] = shorten(kept[-1] + " …" + "…" * 3, size, width).rstrip("… ") + " …"
    return kept


def to_bytes(root: ET.Element) -> bytes:
    """Return a picture as the bytes of an SVG file."""
    text: bytes = ET.tostring(root, encoding="utf-8")
    return text


def _letter_width(letter: str) -> float:
    if letter in _NARROW:
        return 0.36
    if letter in _WIDE:
        return 0.92
    return 1.05 if unicodedata.east_asian_width(letter) in "WF" else 0.62
