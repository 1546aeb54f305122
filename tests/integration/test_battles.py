"""How often two models met: counted when a board is rated, shown by the API and on the page of a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from tests.integration import readable


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("battles")
    store = readable.made(str(folder / "board.db"), folder)
    with TestClient(create_app(store)) as client:
        yield client
    store.close()


@pytest.fixture(scope="module")
def counted() -> Counter[tuple[str, str, str]]:
    """(model, opponent, outcome for the model) → votes of the defended view, from the votes as they were cast."""
    found: Counter[tuple[str, str, str]] = Counter()
    outcomes = {"model_a": ("won", "lost"), "model_b": ("lost", "won"), "tie": ("tie", "tie")}
    for week in range(3):
        for vote in readable.votes(week):
            if vote["voter_id"] != readable.BAD_VOTER:
                for names, outcome in zip(((0, 1), (1, 0)), outcomes[vote["winner"]], strict=True):
                    models = (vote["model_a"], vote["model_b"])
                    found[models[names[0]], models[names[1]], outcome] += 1
    return found


def test_battles_are_those_of_the_votes_without_excluded_ones(
    client: TestClient, counted: Counter[tuple[str, str, str]]
) -> None:
    document = client.get("/api/v1/battles").json()
    ranks = {row["model"]: row["rank"] for row in client.get("/api/v1/leaderboard").json()["rows"]}
    pairs = len(readable.MODELS) * (len(readable.MODELS) - 1) // 2
    assert len(document["rows"]) == pairs
    for row in document["rows"]:
        assert ranks[row["model"]] < ranks[row["opponent"]]
        own = [counted[row["model"], row["opponent"], outcome] for outcome in ("won", "lost", "tie")]
        assert [row["wins"], row["losses"], row["ties"]] == own
        assert row["votes"] == sum(own)
        assert row["score"] == pytest.approx((own[0] + own[2] / 2) / sum(own), abs=1e-6)
        assert row["expected"] > 0.5


def test_the_battles_of_one_model_are_seen_from_it(client: TestClient, counted: Counter[tuple[str, str, str]]) -> None:
    rows = client.get("/api/v1/battles?model=zeta").json()["rows"]
    assert {row["model"] for row in rows} == {"zeta"}
    assert {row["opponent"] for row in rows} == set(readable.MODELS) - {"zeta"}
    assert all(row["wins"] == counted["zeta", row["opponent"], "won"] for row in rows)
    first, rest = (client.get(f"/api/v1/battles?model=zeta&limit=3{more}").json() for more in ("", ""))
    assert first["rows"] == rows[:3]
    assert client.get(f"/api/v1/battles?model=zeta&cursor={rest['next']}").json()["rows"] == rows[3:]
    assert client.get("/api/v1/battles?model=nobody").status_code == 404


def test_the_page_of_a_model_has_its_opponents_and_its_places(client: TestClient) -> None:
    page = client.get("/model?model=zeta").text
    table = page[page.index('aria-label="The opponents that it met most"') :]
    assert len(re.findall(r'<th scope="row">', table[: table.index("</table>")])) == len(readable.MODELS) - 1
    assert re.search(r"It is <b>#\d</b> of the defended board", page)
    assert 'By <a href="/provider?provider=Beta">Beta</a>, licence open' in page


def test_battles_are_those_of_the_newest_snapshot(client: TestClient) -> None:
    snapshots = [row["snapshot"] for row in client.get("/api/v1/snapshots").json()["rows"]]
    assert client.get("/api/v1/battles").json()["snapshot"] == snapshots[0]


def test_the_page_of_battles_says_in_tables_what_its_charts_draw(client: TestClient) -> None:
    page = client.get("/battles").text
    rows = client.get("/api/v1/battles").json()["rows"]
    pairs = len(readable.MODELS) * (len(readable.MODELS) - 1) // 2
    assert f"met in <b>{pairs}</b> of {pairs} possible pairs and {sum(row['votes'] for row in rows):,} votes" in page
    table = page[page.index('aria-label="Win rates"') :]
    cells = re.findall(r"(\d+) <span class=\"quiet\">\((\d+)\)</span>", table[: table.index("</table>")])
    assert len(cells) == 2 * pairs
    assert sorted(int(votes) for _, votes in cells) == sorted(2 * [row["votes"] for row in rows])
    for chart in re.findall(r'src(?:set)?="(/charts/[^"]*)"', page):
        answer = client.get(chart.replace("&amp;", "&"))
        assert answer.status_code == 200, chart
        assert answer.headers["content-type"] == "image/svg+xml"


def test_only_the_newest_snapshot_has_charts_of_battles(client: TestClient) -> None:
    first = client.get("/api/v1/snapshots").json()["rows"][-1]["snapshot"]
    for name in ("winrates", "network"):
        assert client.get(f"/charts/{first}/{name}.svg").status_code == 404
