"""Checks of the built site, run by MkDocs as a hook: a page loads nothing from elsewhere.

Links that a reader may follow (`<a href>`) can lead anywhere. What a browser fetches by itself may not: scripts,
styles, fonts, pictures, frames. Not handled: what a script fetches when it runs. The theme's script fetches only what
this site does not use: a repository's star count, Mermaid diagrams.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

_LOADS = {
    "script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data",
}  # fmt: skip
_CSS = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])((?:https?:)?//[^\"')\s]+)")


class _Loads(HTMLParser):
    """Collects what a page fetches, and whether it holds a diagram that a script would draw."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an HTML element to `foreign` if it loads something from another host."""
        given = dict(attrs)
        address = given.get(_LOADS.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")) and given.get("rel") != "canonical":
            self.foreign.append(f"<{tag}> {address}")
        if "mermaid" in (given.get("class") or "").split():
            self.foreign.append(f"<{tag} class=mermaid>, which loads its script from elsewhere")
        self.foreign += [f"style {found}" for found in _CSS.findall(given.get("style") or "")]


def on_post_build(config: MkDocsConfig) -> None:
    """Fail the build if a page or a style sheet loads something from elsewhere.

    Raises:
        PluginError: names the files and what they load.
    """
    found = foreign_loads(Path(config.site_dir))
    if found:
        raise PluginError("expected a site that loads nothing from elsewhere, got\n" + "\n".join(found))


def foreign_loads(site: Path) -> list[str]:
    """One line for everything that a file of the site fetches from elsewhere."""
    found = []
    for path in sorted(site.rglob("*.html")):
        page = _Loads()
        page.feed(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: {what}" for what in page.foreign]
    for path in sorted(site.rglob("*.css")):
        found += [f"{path.relative_to(site)}: {what}" for what in _CSS.findall(path.read_text(encoding="utf-8"))]
    return found
