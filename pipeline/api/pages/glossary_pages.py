"""Serves the glossary as a page. The documentation has the same glossary."""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response
from markdown_it import MarkdownIt

from pipeline.api.cache_policies import RENDERED
from pipeline.api.pages.page_templates import PageTemplates

# The wheel has the glossary inside the package (pyproject, force-include), the repository beside it.
_PACKAGE = Path(__file__).parents[2]
_FILES = (_PACKAGE / "_glossary.md", _PACKAGE.parent / "docs" / "glossary.md")
_ID = re.compile(r"\s*\{\s*#([\w-]+)\s*\}$")


def routes(templates: PageTemplates) -> APIRouter:
    """Return a router with the route of the glossary."""
    router = APIRouter()

    @router.get("/glossary")
    def glossary() -> Response:
        return templates.page("glossary", RENDERED, text=_as_html())

    return router


@cache
def _as_html() -> str:
    """Return the glossary as HTML without its title. A heading gets the id that stands in braces at its end."""
    text = next(path for path in _FILES if path.is_file()).read_text(encoding="utf-8")
    reader = MarkdownIt("commonmark", {"html": False})
    tokens = reader.parse(text.partition("\n")[2])
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and (found := _ID.search(inline.content)) and inline.children:
            opening.attrSet("id", found[1])
            last = inline.children[-1]
            last.content = _ID.sub("", last.content)
    return str(reader.renderer.render(tokens, reader.options, {}))
