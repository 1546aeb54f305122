"""What other sites embed: badges, and a table with a frame policy of its own; nothing else can be framed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline.api import battle_charts
from pipeline.api.app import create_app
from pipeline.api.badges import draw_badge
from pipeline.api.head_check import is_newest_proved
from pipeline.api.share_cards import draw_text_card
from pipeline.api.svg_text import estimate_width, shorten, wrap
from pipeline.store import Store
from pipeline.store.db import schema
from tests.integration import readable

SITE = "https://board.example"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = readable.copied(tmp_path_factory.mktemp("embedding"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    app = create_app(store, readable.OPTIONS.model_copy(update={"external_url": SITE}))
    with TestClient(app) as client:
        yield client


def svg(content: bytes) -> tuple[str, list[str]]:
    """The name of a picture for screen readers, and its texts."""
    root = ET.fromstring(content)  # noqa: S314  # our own
    return root.attrib["aria-label"], [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_badge_of_a_model_has_its_rank_and_rating(client: TestClient) -> None:
    row = client.get("/api/v1/model?model=zeta").json()["defended"]
    answer = client.get("/badges/model.svg?model=zeta")
    assert answer.headers["content-type"] == "image/svg+xml"
    name, texts = svg(answer.content)
    assert texts[0] == "zeta"
    assert texts[1].startswith(f"#{row['rank']} · {row['rating']:,.0f} (")
    assert f"rank {row['rank']}" in name
    hostile = client.get("/badges/model.svg", params={"model": "<b>epsilon</b>"})
    assert svg(hostile.content)[1][0] == "<b>epsilon</b>"
    assert client.get("/badges/model.svg?model=nobody").status_code == 404


def test_the_badge_of_the_board_counts_open_incidents_and_checks_the_log(client: TestClient) -> None:
    number = len(client.get("/api/v1/incidents?state=open").json()["rows"])
    assert number > 0
    name, texts = svg(client.get("/badges/board.svg").content)
    assert texts == ["leaderboard integrity", f"verified · {number} open incident{'s' if number > 1 else ''}"]
    assert "in the signed log" in name


@pytest.mark.parametrize("column", ["leaf", "checkpoint"])
def test_a_log_that_does_not_agree_with_itself_is_not_verified(store: Store, column: str) -> None:
    m = schema.manifest.c
    with store.write() as connection:
        assert is_newest_proved(connection)
        newest = sa.select(sa.func.max(m.sequence)).scalar_subquery()
        old = bytes(connection.execute(sa.select(m[column]).where(m.sequence == newest)).scalar_one())
        at = old.index(b"\n\n") - 3 if column == "checkpoint" else 0
        changed = old[:at] + (b"A" if old[at : at + 1] != b"A" else b"B") + old[at + 1 :]
        change = sa.update(schema.manifest).where(m.sequence == newest)
        connection.execute(change.values({column: changed}))
        assert not is_newest_proved(connection)
        connection.execute(change.values({column: old}))


def test_a_snapshot_that_the_log_lacks_is_not_verified(tmp_path: Path) -> None:
    store, m = readable.copied(tmp_path), schema.manifest.c
    with store.write() as connection:
        assert is_newest_proved(connection)
        newest = sa.select(sa.func.max(m.sequence)).scalar_subquery()
        connection.execute(sa.delete(schema.manifest).where(m.sequence == newest))
        assert not is_newest_proved(connection)
    store.close()


def test_only_the_table_can_be_framed_and_only_pictures_can_be_shown_elsewhere(client: TestClient) -> None:
    framed = client.get("/embed/board?rows=3")
    assert framed.status_code == 200
    assert "frame-ancestors *" in framed.headers["content-security-policy"]
    assert "x-frame-options" not in framed.headers
    assert framed.headers["cross-origin-resource-policy"] == "cross-origin"
    for path in (
        "/",
        "/share",
        "/embed/board/",
        "/embed",
        "/sign-in",
        "/incidents",
        "/badges/board.svg",
        "/static/site.css",
    ):
        answer = client.get(path, follow_redirects=False)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-frame-options"] == "DENY", path
        shown = "cross-origin" if path.startswith("/badges/") else "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == shown, path


def test_the_table_has_the_first_rows_and_its_links_leave_the_frame(client: TestClient) -> None:
    rows = client.get("/api/v1/leaderboard").json()["rows"]
    text = client.get("/embed/board?rows=3").text
    assert [row["model"].replace("<", "&lt;").replace(">", "&gt;") in text for row in rows[:3]] == [True] * 3
    assert text.count("<tr>") == 4
    assert text.count("<a ") == text.count('target="_blank" rel="noopener"')
    assert f'href="{SITE}/model?model=' in text
    assert "<form" not in text
    assert client.get("/embed/board?rows=0").status_code == 422
    assert client.get("/embed/board?board=category/none").status_code == 404


def test_the_page_about_sharing_has_what_to_copy(client: TestClient) -> None:
    text = client.get("/share").text
    for part in ("/badges/board.svg)", "/badges/model.svg?model=", "/embed/board?rows=10"):
        assert f"{SITE}{part}" in text
    assert "HOST" not in text


def test_a_name_with_characters_that_xml_forbids_can_be_drawn() -> None:
    name = "x\ufffe\uffff"  # decoded events may contain both
    assert svg(draw_badge(name, "1", "#000", name)) == ("x\\ufffe\\uffff", ["x\\ufffe\\uffff", "1"])
    assert draw_text_card(name, name, [name], name).startswith(b"\x89PNG")
    record = {"model": name, "opponent": "y", "votes": 3, "score": 0.5}
    for draw in (battle_charts.heatmap, battle_charts.network):
        ET.fromstring(draw([name, "y"], [record]))  # noqa: S314  # our own


def test_a_long_text_is_shortened_and_wrapped() -> None:
    word = "m" * 400
    _, texts = svg(draw_badge(word, "1", "#000", word))
    assert texts[0].endswith("…")
    assert estimate_width(texts[0], 11) <= 240
    assert shorten("short", 11, 240) == "short"
    lines = wrap("one two three four five six seven eight nine ten", 20, 120, 2)
    assert len(lines) == 2
    assert lines[-1].endswith("…")
    assert wrap("", 20, 100, 2) == [""]
