"""Writes Atom feeds (RFC 4287).

The id of a feed or an entry is a UUID that is computed from names that never change. The id stays the same if the pages
move to another host. Hidden characters are written as escapes, because XML does not allow all of them.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pipeline.vocabulary.visible_text import visible

MEDIA_TYPE = "application/atom+xml"
_ATOM = "http://www.w3.org/2005/Atom"
_IDS = uuid.UUID("b4a4c9a3-0c0e-5d0a-8b3f-6a1f6f0f8c11")
_PROGRAM = "leaderboard-integrity"

ET.register_namespace("", _ATOM)


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """An entry of a feed: the news of one subject, such as a snapshot or an incident.

    Attributes:
        key: a name of the entry's subject that never changes, such as "snapshot/…". The id is computed from it.
        title: one line of plain text.
        text: plain text, in which each line is a paragraph.
        path: path and query of the page about the subject.
        published: time at which the snapshot was published or the incident was opened, RFC 3339.
        updated: time of the last change of the subject, RFC 3339.
    """

    key: str
    title: str
    text: str
    path: str
    published: str
    updated: str


@dataclass(frozen=True, slots=True)
class Feed:
    """An Atom feed, before it is written as XML.

    Attributes:
        board: name of the board. This name is the author of the feed and a part of the ids.
        title: one line of plain text.
        path: path of the feed itself.
        page: path of the page with the same content.
        entries: the entries, in the order in which they are written.
    """

    board: str
    title: str
    path: str
    page: str
    entries: Sequence[FeedEntry]


def write_feed(feed: Feed, site: str) -> bytes:
    """Return a feed as XML.

    Args:
        feed: title, address and entries of the feed.
        site: the address of the site, with which links begin; "" for links without a host.

    Returns:
        The bytes of the XML document.
    """
    root = ET.Element(_tag("feed"))
    _add(root, "id", _urn(feed.board, feed.path))
    _add(root, "title", feed.title)
    # A feed needs a time even without entries.
    _add(root, "updated", max((one.updated for one in feed.entries), default="1970-01-01T00:00:00Z"))
    _add(_add(root, "author"), "name", feed.board)
    _add(root, "generator", _PROGRAM)
    _link(root, "self", site + feed.path, MEDIA_TYPE)
    _link(root, "alternate", site + feed.page, "text/html")
    for entry in feed.entries:
        element = _add(root, "entry")
        _add(element, "id", _urn(feed.board, entry.key))
        _add(element, "title", entry.title)
        _add(element, "published", entry.published)
        _add(element, "updated", entry.updated)
        _link(element, "alternate", site + entry.path, "text/html")
        _add(element, "content", entry.text)
    ET.indent(root, "")
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _tag(name: str) -> str:
    return f"{{{_ATOM}}}{name}"


def _urn(board: str, key: str) -> str:
    return uuid.uuid5(_IDS, visible(f"{board} {key}")).urn


def _add(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    element = ET.SubElement(parent, _tag(name))
    element.text = None if text is None else visible(text, lines=name == "content")
    return element


def _link(parent: ET.Element, relation: str, address: str, kind: str) -> None:
    ET.SubElement(parent, _tag("link"), {"rel": relation, "type": kind, "href": address})
