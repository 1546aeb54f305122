"""The Atom feeds: valid, with ids that stay the same, in the form for the public, linked from every page."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.api.atom_feed import Feed, FeedEntry, write_feed
from pipeline.errors import Usage
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.boards import snapshots
from tests.integration import readable

SITE = "https://board.example"
ATOM = "{http://www.w3.org/2005/Atom}"
NAMES = ("snapshots", "moves", "incidents")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = readable.copied(tmp_path_factory.mktemp("feeds"))
    yield store
    store.close()


@cache
def feeds(store: Store, site: str) -> dict[str, ET.Element]:
    """Every feed, after a check that it has what RFC 4287 requires."""
    found = {}
    with TestClient(create_app(store, readable.OPTIONS.model_copy(update={"external_url": site}))) as client:
        for name in NAMES:
            answer = client.get(f"/feeds/{name}.atom")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/atom+xml"
            found[name] = ET.fromstring(answer.content)  # noqa: S314  # our own
            check_atom(found[name])
            assert f'type="application/atom+xml" href="/feeds/{name}.atom"' in client.get("/").text
    return found


def check_atom(feed: ET.Element) -> None:
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    for one in (feed, *entries):
        for name in ("id", "title", "updated"):
            (only,) = one.findall(ATOM + name)
            assert only.text
        assert uuid.UUID(one.findtext(f"{ATOM}id"))
        assert datetime.fromisoformat(one.findtext(f"{ATOM}updated", "")).tzinfo is not None
        assert one.findall(f"{ATOM}link[@rel='alternate']")
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    assert len({one.findtext(f"{ATOM}id") for one in entries}) == len(entries)
    assert all(one.findtext(f"{ATOM}content") for one in entries)


def text_of(entry: ET.Element) -> tuple[str, str]:
    return entry.findtext(f"{ATOM}title", ""), entry.findtext(f"{ATOM}content", "")


def test_feeds_are_valid_and_their_links_lead_to_pages(store: Store) -> None:
    with TestClient(create_app(store, readable.OPTIONS)) as client:
        for name, feed in feeds(store, SITE).items():
            links = [one.attrib["href"] for one in feed.iter(f"{ATOM}link")]
            assert f"{SITE}/feeds/{name}.atom" in links
            for link in links:
                assert client.get(link.removeprefix(SITE)).status_code == 200, link


def test_ids_stay_the_same_when_the_pages_move(store: Store) -> None:
    first, second = (
        [one.text for feed in feeds(store, site).values() for one in feed.iter(f"{ATOM}id")] for site in (SITE, "")
    )
    assert first == second


def test_feeds_tell_snapshots_moves_and_incidents(store: Store) -> None:
    told = {
        name: [
            (one.findtext(f"{ATOM}title", ""), one.findtext(f"{ATOM}content", "")) for one in feed.iter(f"{ATOM}entry")
        ]
        for name, feed in feeds(store, SITE).items()
    }
    with store.read() as connection:
        published = snapshots.read_published(connection)
    assert len(told["snapshots"]) == len(published) == 3
    for one, (_, text) in zip(reversed(published), told["snapshots"], strict=True):
        assert one.snapshot_id in text
    assert "leads" in told["snapshots"][0][0]
    assert len(told["moves"]) == 2
    assert "zeta fell" in told["moves"][0][1]
    assert "by exclusions" in told["moves"][0][1]
    assert any("zeta" in title for title, _ in told["incidents"])
    assert "voter 3" not in str(told)


def test_clear_moves_are_those_of_the_page(store: Store) -> None:
    told = [text_of(one) for one in feeds(store, SITE)["moves"].iter(f"{ATOM}entry")]
    links = [one.attrib["href"] for one in feeds(store, SITE)["moves"].findall(f"{ATOM}entry/{ATOM}link")]
    with TestClient(create_app(store, readable.OPTIONS)) as client:
        pages = [html.unescape(client.get(link.removeprefix(SITE)).text) for link in links]
    assert len(told) == len(pages) == 2
    for (title, text), page in zip(told, pages, strict=True):
        table = page.partition("Biggest move first.")[2].partition("</table>")[0]
        clear = re.findall(r"<b><a href=[^>]*>(.*?)</a></b>", table)
        marked = [name for name in readable.MODELS for line in text.splitlines() if is_marked(name, line)]
        assert sorted(marked) == sorted(clear)
        assert f"{len(clear)} by a clear move" in title
    assert any("zeta fell" in text and is_marked("zeta", text.splitlines()[0]) for _, text in told)


def is_marked(name: str, line: str) -> bool:
    return line.startswith(f"{name} ") and " (a clear move). " in line


def test_a_feed_without_a_snapshot_says_so(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "empty.db"), voter_key=readable.OPTIONS.key)
    with TestClient(create_app(store, readable.OPTIONS)) as client:
        assert client.get("/feeds/incidents.atom").status_code == 404
    store.close()


def test_names_cannot_break_a_feed() -> None:
    word = "</title><script>\x00\x1b[31m\u202e]]>&amp;\ud800\ufffe\uffff"
    entry = FeedEntry("k", word, f"{word}\nsecond", "/x?a=1&b=2", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
    feed = ET.fromstring(write_feed(Feed(word, word, "/f", "/p", [entry]), SITE))  # noqa: S314
    check_atom(feed)
    assert feed.findtext(f"{ATOM}title", "").startswith("</title><script>\\x00\\x1b[31m\\u202e]]>&amp;")
    assert feed.findtext(f"{ATOM}entry/{ATOM}content", "").endswith("\nsecond")


@pytest.mark.parametrize("given", ["https://board.example/", "http://10.0.0.1:8000"])
def test_the_address_of_the_pages_has_no_slash_at_its_end(given: str) -> None:
    assert Settings(external_url=given).external_url == given.rstrip("/")


@pytest.mark.parametrize(
    "given", ["board.example", "javascript:alert(1)", "https://a b", "https://x/?q=1", "https://x/board"]
)
def test_another_address_of_the_pages_is_refused(given: str) -> None:
    with pytest.raises(Usage, match="INTEGRITY_EXTERNAL_URL: expected the address of the page"):
        Settings(external_url=given)
