"""Citations of a snapshot, and the share cards that pages name where the server knows its own address."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from pipeline.api import share_cards
from pipeline.api.app import create_app
from pipeline.api.citations import bibtex_entry, csl_item
from pipeline.store import Store
from tests.integration import readable

SITE = "https://board.example"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = readable.copied(tmp_path_factory.mktemp("citations"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    app = create_app(store, readable.OPTIONS.model_copy(update={"external_url": SITE, "costly_per_minute": 0}))
    with TestClient(app) as client:
        yield client


class Meta(HTMLParser):
    """The meta elements of a page, by name or property."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "meta" and (name := named.get("property") or named.get("name")):
            self.found[name] = named.get("content") or ""


def test_a_citation_names_the_snapshot_by_its_hash_and_date(client: TestClient) -> None:
    row = client.get("/api/v1/snapshots").json()["rows"][0]
    address = f"/api/v1/snapshots/{row['snapshot']}/citation"
    (item,) = client.get(address).json()
    assert row["snapshot"] in item["note"]
    assert item["URL"] == f"{SITE}/snapshots/{row['snapshot']}"
    assert "-".join(f"{part:02}" for part in item["issued"]["date-parts"][0]) == row["published_at"][:10]
    answer = client.get(f"{address}.bib")
    assert answer.headers["content-type"].startswith("application/x-bibtex")
    assert answer.text == bibtex_entry(item)
    assert f"year = {{{row['published_at'][:4]}}}" in answer.text
    for path in (f"/snapshots/{row['snapshot']}", "/share"):
        assert answer.text.splitlines()[0] in client.get(path).text
    assert client.get(f"/api/v1/snapshots/{'0' * 64}/citation.bib").status_code == 404


def test_a_name_cannot_break_bibtex() -> None:
    snapshot = {"snapshot": "a" * 64, "sequence": 1, "published_at": "2026-03-09T00:00:00Z", "data_until": None,
                "votes_counted": 5}  # fmt: skip
    item = csl_item("a_b}&{\\x\u202e%", snapshot, "")
    assert "URL" not in item
    text = bibtex_entry(item)
    assert r"a\_b\}\&\{\textbackslash{}x\textbackslash{}u202e\%" in text
    assert "month = mar,\n  day = {9}" in text
    unescaped = re.sub(r"\\[{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")


def test_pages_name_a_card_of_the_right_size(client: TestClient) -> None:
    incident = client.get("/api/v1/incidents").json()["rows"][0]
    snapshot = client.get("/api/v1/latest").json()["snapshot"]
    pages = {
        "/": "alpha",
        "/model?model=%3Cb%3Eepsilon%3C%2Fb%3E": "<b>epsilon</b>",
        "/verify": "How to verify",
        f"/incidents/{incident['id']}": incident["headline"],
        f"/snapshots/{snapshot}": "Snapshot 3",
    }
    for path, title in pages.items():
        meta = Meta(client.get(path).text).found
        assert title in meta["og:title"], path
        assert meta["og:description"] == meta["description"], path
        assert meta["description"], path
        assert meta["og:image"].startswith(f"{SITE}/cards/"), path
        card = client.get(meta["og:image"].removeprefix(SITE))
        assert card.headers["content-type"] == "image/png", path
        assert card.headers["cross-origin-resource-policy"] == "cross-origin"
        assert struct.unpack(">II", card.content[16:24]) == (1200, 630), path


def test_without_an_address_of_its_own_a_page_names_no_card(store: Store) -> None:
    with TestClient(create_app(store, readable.OPTIONS)) as client:
        found = Meta(client.get("/").text).found
        snapshot = client.get("/api/v1/latest").json()["snapshot"]
        assert "URL" not in client.get(f"/api/v1/snapshots/{snapshot}/citation").json()[0]
    assert "description" in found
    assert not any(name.startswith("og:") for name in found)


def test_the_card_of_the_board_has_the_intervals_of_its_page() -> None:
    row = {"rank": 1, "model": "ant", "rating": 1000.0}
    other = {**row, "rank": 2, "model": "bee", "lower": 900.0, "upper": 1100.0}
    clustered = {**row, "lower": 990.0, "upper": 1010.0, "clustered_lower": 950.0, "clustered_upper": 1050.0}
    plain = {**row, "lower": 950.0, "upper": 1050.0}
    drawn = [share_cards.draw_board_card("board", [one, other], "") for one in (clustered, plain)]
    assert drawn[0] == drawn[1]


def test_cards_of_what_is_not_there_are_not_found(client: TestClient) -> None:
    assert client.get("/cards/model.png?model=nobody").status_code == 404
    assert client.get("/cards/incident.png?incident=0000").status_code == 404
