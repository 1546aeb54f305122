"""The pages that explain: the method with the figures of the manifest, the glossary, a provider in sentences."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipeline import settings as configuration
from pipeline.api.app import create_app
from pipeline.api.pages.provider_sentences import board_sentences, fact_sentences
from pipeline.detectors import VOTER
from pipeline.open_store import open_store
from pipeline.store import Store
from pipeline.store.votes import registry_events
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from tests.integration import readable


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = readable.copied(tmp_path_factory.mktemp("explanations"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store, readable.OPTIONS)) as client:
        yield client


class Words(HTMLParser):
    """The text, ids and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.ids, self.links = "", set[str](), list[str]()
        self.feed(page)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids.add(named.get("id") or "")
        self.text += " " if tag in {"td", "th", "li"} else ""
        if tag == "a":
            self.links.append(named.get("href") or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_method_adds_up_to_the_votes_that_the_manifest_counts(client: TestClient) -> None:
    snapshot = client.get("/api/v1/latest").json()
    manifest = client.get(f"/api/v1/snapshots/{snapshot['snapshot']}/manifest").json()
    page = Words(client.get("/method").text)
    raw, defended = (manifest["views"][view]["votes"] for view in ("raw", "defended"))
    assert raw > defended
    assert f"Of {raw:,} votes on the board, {defended:,} count in the defended view" in page.text
    for rule in manifest["method"]["left_out"]:
        assert rule in page.text
    left_out = raw - defended - sum(manifest["method"]["left_out"].values())
    assert f"−{left_out:,}" in page.text
    assert manifest["configuration"]["sha256"] in page.text


def test_a_rule_that_leaves_votes_out_is_told_with_their_number(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "s.db"), voter_key=readable.OPTIONS.key)
    file = tmp_path / "votes.jsonl"
    rows = [one | ({"anonymous": False} if n % 100 == 0 else {}) for n, one in enumerate(readable.votes(0))]

    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    registry_events.load_file(store, readable._registry(tmp_path))
    with configuration.override(readable.OPTIONS):
        Worker(FileSource(file), store, readable.OPTIONS, VOTER, "rules").run(until_end=True)
    readable.published(store.url)
    with TestClient(create_app(store, readable.OPTIONS)) as client:
        text = Words(client.get("/method").text).text
    assert "not_anonymous votes cast with the models' names in view −15" in text
    assert "defended view what the ratings are computed from 1,485" in text
    store.close()


def test_without_a_snapshot_there_is_no_method_and_there_are_words(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "empty.db"), voter_key=readable.OPTIONS.key)
    with TestClient(create_app(store, readable.OPTIONS)) as client:
        assert client.get("/method").status_code == 404
        assert client.get("/glossary").status_code == 200
    store.close()


def test_every_link_into_the_glossary_finds_its_word(client: TestClient) -> None:
    glossary = Words(client.get("/glossary").text)
    assert {"vote", "fate", "bradley-terry"} <= glossary.ids
    assert "{#" not in glossary.text
    inside = [link[1:] for link in glossary.links if link.startswith("#")]
    assert len(inside) > 10
    assert set(inside) <= glossary.ids | {"main"}
    outside = [link.partition("#")[2] for link in Words(client.get("/method").text).links if "/glossary#" in link]
    assert set(outside) <= glossary.ids


def test_a_provider_is_told_in_sentences_with_their_sources(client: TestClient) -> None:
    text = client.get("/provider?provider=Beta").text
    page = Words(text)
    row = client.get("/api/v1/model?model=delta").json()
    best = min(
        (client.get("/api/v1/model", params={"model": name}).json() for name in readable.MODELS[3:]),
        key=lambda one: one["defended"]["rank"],
    )
    assert row["provider"] == "Beta"
    assert f"Its best of 5 rated models, {best['model']}, is at rank {best['defended']['rank']}" in page.text
    assert "It submitted no private variant under its name." in page.text
    assert "None of its models was removed in silence." in page.text
    sources = {link[1:] for link in page.links if link.startswith("#fact-")}
    assert sources
    assert sources <= page.ids
    facts = client.get("/api/v1/provider?provider=Beta").json()["facts"]
    number = next(n for n, one in enumerate(facts, 1) if one["fact"] == "models removed in silence")
    assert re.search(rf"removed in silence\. <a [^>]*href=\"#fact-{number}\"", text)
    incident = next(one for one in client.get("/api/v1/incidents").json()["rows"] if "zeta" in one["named"])
    assert html.escape(incident["headline"], quote=False) in text


def fact(about: str, name: str, value: float | None, **more: Any) -> dict[str, Any]:
    return {"about": about, "fact": name, "value": value, "lower": None, "upper": None, "detail": [], **more}


def test_variants_claims_and_removals_are_sentences() -> None:
    facts = [
        fact("P", "private variants", 27),
        fact("P", "most private variants at once", 26),
        fact("P", "private variants under test now", 3),
        fact("m", "variants tested, disclosed", None),
        fact("m", "variants tested, seen", 27),
        fact("m", "score", 1300.0),
        fact("m", "score without the winner's curse", 1280.5),
        fact("m", "bench: claimed less measured", 4.0, lower=-1.0, upper=9.0),
        fact("P", "models removed in silence", 7, detail=[f"v{n}" for n in range(7)]),
        fact("P", "models whose published votes fell", 0),
        fact("P", "registry events refused", 2),
    ]
    found = {one.text: one.facts for one in fact_sentences("P", facts)}
    assert found == {
        "It tested 27 private variants, at most 26 at the same time, 3 now.": (1, 2, 3),
        "For m it did not disclose how many variants it tested; 27 variants of it can be seen here, itself included. "
        "About 19.5 of its 1,300.0 points are luck of the choice among them.": (5, 6, 7),
        "For m it claims 4.0 percentage points more on bench than was measured (95% bounds −1.0 to +9.0).": (8,),
        "7 models were removed in silence: v0; v1; v2; v3; v4 and 2 more.": (9,),
        "No published vote count of its models fell.": (10,),
        "2 events of the registry about it contradict earlier ones and were refused.": (11,),
    }


def test_a_rank_that_excluded_votes_would_give_is_a_sentence() -> None:
    row = {"rating": 1000.0, "lower": 990.0, "upper": 1010.0, "clustered_lower": None, "clustered_upper": None}
    model = {"model": "m", "defended": {**row, "rank": 9}, "raw": {**row, "rank": 1}}
    assert [one.text for one in board_sentences([model], 2)] == [
        "Its only rated model, m, is at rank 9 with 1,000.0 points (95% interval 990.0 to 1,010.0).",
        "If the votes that are left out counted, m would be at rank 1 instead of 9.",
        "2 models of it are under test or withdrawn, and not named before a release.",
    ]
    assert "None of its models" in board_sentences([], 0)[0].text
