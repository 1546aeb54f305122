"""A Griffe extension for the reference: doctests in docstrings become code blocks.

Markdown reads a line that begins with `>>>` as a quotation, and the expected output below it as a link.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

# From a line that begins with >>> to the end of the paragraph. Two spaces or none before it.
_DOCTEST = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?P=indent)\S.*|\n(?P=indent) +\S.*)*", re.MULTILINE)


class DoctestBlocks(griffe.Extension):
    """Put fences around doctests."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Put fences around the doctests in the docstring of an object. Griffe calls this for each object."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """A docstring whose doctests stand in fences."""
    return _DOCTEST.sub(lambda found: f"{found['indent']}```pycon\n{found[0]}\n{found['indent']}```", text)
