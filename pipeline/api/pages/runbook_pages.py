"""Serves the runbooks as pages for phones. The notifications of alert rules link to these pages."""

import html
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.api.cache_policies import RENDERED
from pipeline.api.error_responses import not_found
from pipeline.api.pages.page_templates import PageTemplates

# The wheel has the runbooks inside the package (pyproject, force-include), the repository beside it.
_PACKAGE = Path(__file__).parents[2]
_FOLDERS = (_PACKAGE / "_runbooks", _PACKAGE.parent / "deploy" / "runbooks")

# A block of code or code within a line.
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_Incident = Annotated[
    str | None, Query(pattern="^[0-9a-f]{4,12}$", description="The id of the incident, which the commands then name.")
]


def routes(templates: PageTemplates) -> APIRouter:
    """Return a router with the routes of the list of runbooks and of each runbook."""
    router = APIRouter()

    @router.get("/runbooks")
    def runbooks() -> Response:
        titles = sorted((title, name) for name, (title, _) in _read_all().items())
        return templates.page("runbooks", RENDERED, titles=titles)

    @router.get("/runbooks/{name}")
    def runbook(name: str, incident: _Incident = None) -> Response:
        if name not in _read_all():
            raise not_found("the name of a runbook, which /runbooks lists", name)
        title, text = _read_all()[name]
        commands = text if incident is None else _CODE.sub(lambda code: _fill(code[0], incident), text)
        return templates.page("runbook", RENDERED, title=title, text=_as_html(commands), incident=incident)

    return router


@cache
def _read_all() -> dict[str, tuple[str, str]]:
    """Return title and text of each runbook, by name. Runbooks change only with the version of this program."""
    found = {}
    for path in next(folder for folder in _FOLDERS if folder.is_dir()).glob("*.md"):
        title, _, text = path.read_text(encoding="utf-8").partition("\n")
        found[path.stem] = (title.removeprefix("# "), text)
    return found


def _fill(code: str, incident: str) -> str:
    """Return code with the incident's id in place of ID."""
    return re.sub(r"\bID\b", incident, code)


@lru_cache(maxsize=256)
def _as_html(text: str) -> str:
    """Return a runbook as HTML, with links to other runbooks. HTML in the text is escaped."""
    linked = re.sub(r"\]\(([\w-]+)\.md\)", r"](/runbooks/\1)", text)
    markdown = MarkdownIt("commonmark", {"html": False})
    markdown.add_render_rule("fence", _commands_as_html)
    return str(markdown.render(linked))


def _commands_as_html(_renderer: object, tokens: Sequence[Token], place: int, *_: object) -> str:
    """Return a block of code as a named region, so that readers with a keyboard can scroll it on a narrow page."""
    before = sum(token.type == "fence" for token in tokens[: place + 1])
    code = html.escape(tokens[place].content)
    return f'<pre tabindex="0" role="region" aria-label="Commands {before}"><code>{code}</code></pre>\n'
