"""The page of the board: its headline, and searching, filtering and ordering by its address."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.api.pages import board_headline
from tests.integration import incident_board, readable
from tests.integration.board_of_votes import OPTIONS, using


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("board-page")
    store = readable.made(str(folder / "board.db"), folder)
    with TestClient(create_app(store)) as client:
        yield client
    store.close()


def models(page: str) -> list[str]:
    board = page[page.index('<table class="board"') :]
    table = board[board.index("<tbody>") : board.index("</tbody>")]
    return re.findall(r'<th scope="row"><a href="/model\?model=[^"]*">([^<]*)</a>', table)


def words(page: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", page).split())


def test_the_headline_says_who_leads_how_sure_and_what_changed(client: TestClient) -> None:
    page = client.get("/").text
    heading = re.search("<h1>(.*?)</h1>", page)
    assert heading is not None
    assert re.match(r"alpha leads, (with 95% certainty|but (any|either) of \d+ models may be first)", heading.group(1))
    first_screen = words(page[: page.index('id="board"')])
    # The votes of one voter for zeta were excluded in the last week.
    assert re.search(
        r"zeta fell from #\d to #\d since 2026-03-\d\d because votes were excluded\. "
        r"Its rating fell by [\d.]+ points(: −[\d.]+|, all) by exclusions",
        first_screen,
    )
    assert re.search(r"\d+ votes do not count ?, by 1 decision with its reason", first_screen)
    assert "Anybody can check it: the votes and the exclusions are public," in first_screen
    assert re.search(r"[\d,]+ votes, cast up to 2026-03-2\d ?; published as snapshot 3 on [\d-]{10} ?\.", first_screen)
    assert "Verify it yourself" in first_screen


def test_the_headline_says_what_an_open_incident_would_have_changed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("incident-headline")
    with (
        using(OPTIONS),
        incident_board.copied(folder / "board.db").store() as store,
        TestClient(create_app(store)) as client,
    ):
        first_screen = words(client.get("/").text)
    assert re.search(
        r"\d+ votes to lift dog (\((\d+ do not count|they still count)\) )?#\d #\d ",
        first_screen,
    )
    assert "4 open incidents if counted here " in first_screen


def test_the_last_clear_move_is_searched_once_for_each_snapshot(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = words(client.get("/?q=a").text)
    monkeypatch.setattr(board_headline, "read_moves", lambda *_: pytest.fail("searched again"))
    second = words(client.get("/?q=b").text)
    assert "zeta fell from" in first
    assert "zeta fell from" in second


def test_an_address_searches_filters_and_orders(client: TestClient) -> None:
    everything = models(client.get("/").text)
    assert len(everything) == len(readable.MODELS)
    assert models(client.get("/", params={"q": "ZET"}).text) == ["zeta"]
    assert set(models(client.get("/", params={"q": "ETA"}).text)) == set(everything) - {"alpha", "gamma/7b"}  # by Beta
    acme = models(client.get("/", params={"provider": "Acme & Sons"}).text)
    assert set(acme) == {"alpha", "beta", "gamma/7b"}
    assert models(client.get("/?sort=model").text) == sorted(everything, key=lambda m: m.replace("&lt;", "<"))
    assert models(client.get("/?q=&provider=&license=&sort=rank").text) == everything
    nothing = client.get("/", params={"q": '"><script>'}).text
    assert "No model matches." in nothing
    assert '"><script>' not in nothing


@pytest.mark.parametrize("query", ["sort=luck", "page=-1", "page=1001", "q=%00", f"q={'x' * 101}", "search=a"])
def test_a_wrong_parameter_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/?{query}").status_code == 422


def test_a_snapshots_board_can_be_searched_too(client: TestClient) -> None:
    snapshot = client.get("/api/v1/snapshots").json()["rows"][-1]["snapshot"]
    page = client.get(f"/snapshots/{snapshot}/board?q=zeta").text
    assert models(page) == ["zeta"]
    assert "This is the first snapshot." in page
    assert "open incident" not in page  # they are those of today


def test_clear_moves_stand_before_side_effects(client: TestClient) -> None:
    page = client.get("/changes").text
    clear = page[page.index("<h2>Clear moves</h2>") :]
    assert "model=zeta" in clear[: clear.index("</table>")]
    if "side-effects" in page:
        assert page.index("Clear moves") < page.index('class="side-effects"')
