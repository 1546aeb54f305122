"""Two models side by side: battles as the votes have them, the error of the difference, the page and its chart."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline.api.app import create_app
from pipeline.api.comparison_text import comparison_sentences
from pipeline.api.documents.comparison_documents import ComparisonDocument
from pipeline.jobs.refresh import pair_battles
from pipeline.store import Store
from pipeline.store.db import schema
from pipeline.store.votes import registry_events
from tests.integration import readable

POINTS_PER_LOGIT = 400 / np.log(10)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = readable.copied(tmp_path_factory.mktemp("comparison"))
    yield store
    store.close()


def asked(store: Store) -> TestClient:
    return TestClient(create_app(store, readable.OPTIONS.model_copy(update={"costly_per_minute": 0})))


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    with asked(store) as client:
        yield client


def compared(client: TestClient, a: str, b: str) -> dict[str, Any]:
    answer = client.get("/api/v1/compare", params={"a": a, "b": b})
    assert answer.status_code == 200, answer.text
    ComparisonDocument.model_validate(answer.json())
    return dict(answer.json())


def cast(*, excluded: bool) -> list[dict[str, Any]]:
    votes = [vote for week in range(3) for vote in readable.votes(week)]
    return [one for one in votes if excluded or one["voter_id"] != readable.BAD_VOTER]


@pytest.mark.parametrize(("a", "b"), [("alpha", "zeta"), ("zeta", "gamma/7b"), ("=cmd()", "<b>epsilon</b>")])
def test_battles_are_those_of_the_votes(client: TestClient, a: str, b: str) -> None:
    found = compared(client, a, b)["battles"]
    for view, excluded in (("raw", True), ("defended", False)):
        met = [one for one in cast(excluded=excluded) if {one["model_a"], one["model_b"]} == {a, b}]
        won = [one[one["winner"]] for one in met if one["winner"] != "tie"]
        assert found[view]["votes"] == len(met) > 0
        assert (found[view]["won_a"], found[view]["won_b"]) == (won.count(a), won.count(b))
        assert found[view]["ties"] + found[view]["both_bad"] == len(met) - len(won)
    assert compared(client, b, a)["battles"]["raw"]["won_a"] == found["raw"]["won_b"]


def sandwich(votes: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Strengths and their covariance in points, by Newton steps over single votes, without the pipeline."""
    place = {name: at for at, name in enumerate(readable.MODELS)}
    x = np.zeros((len(votes), len(place)))
    x[np.arange(len(votes)), [place[one["model_a"]] for one in votes]] = 1
    x[np.arange(len(votes)), [place[one["model_b"]] for one in votes]] -= 1
    y = np.array([{"model_a": 1.0, "model_b": 0.0, "tie": 0.5}[one["winner"]] for one in votes])
    theta = np.zeros(len(place))
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ theta))
        inverse = np.linalg.pinv((x * (p * (1 - p))[:, None]).T @ x, rcond=1e-8, hermitian=True)
        theta = theta + inverse @ x.T @ (y - p)
    scores = x * (y - p)[:, None]
    return theta * POINTS_PER_LOGIT, inverse @ scores.T @ scores @ inverse * POINTS_PER_LOGIT**2


def test_the_difference_and_its_error_are_those_of_the_votes(client: TestClient) -> None:
    theta, covariance = sandwich(cast(excluded=False))
    for a, b in (("alpha", "beta"), ("delta", "zeta")):
        i, j = readable.MODELS.index(a), readable.MODELS.index(b)
        found = compared(client, a, b)
        plain = np.sqrt(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
        assert found["difference"]["points"] == pytest.approx(theta[i] - theta[j], abs=0.05)
        assert found["difference"]["clustered"]
        # Widened as the intervals are; they never become narrower.
        assert plain * 0.999 <= found["difference"]["error"] < 1.5 * plain
        score = 1 / (1 + np.exp(-(theta[i] - theta[j]) / POINTS_PER_LOGIT))
        assert found["expected"]["score_a"] == pytest.approx(score, abs=5e-4)
        assert found["expected"]["lower"] < score < found["expected"]["upper"]
        assert found["difference"]["separated"] == (abs(theta[i] - theta[j]) > 1.96 * found["difference"]["error"])


def test_battles_are_stored_by_a_refresh_and_counted_where_they_are_not(store: Store, client: TestClient) -> None:
    before = compared(client, "alpha", "beta")
    p = schema.prepared.c
    chosen = sa.select(schema.prepared).where(p.kind == "battles")
    with store.write() as connection:
        kept = [dict(row) for row in connection.execute(chosen).mappings()]
        connection.execute(sa.delete(schema.prepared).where(p.kind == "battles"))
    assert len(kept) == len(readable.MODELS)
    with asked(store) as other:
        assert compared(other, "alpha", "beta") == before
    with store.write() as connection:
        connection.execute(schema.prepared.insert(), kept)


def test_the_page_says_what_the_document_says(client: TestClient) -> None:
    found = compared(client, "zeta", "gamma/7b")
    text = client.get("/compare", params={"a": "zeta", "b": "gamma/7b"}).text
    for sentence in found["sentences"]:
        assert sentence in text
    assert "<option selected>zeta</option>" in text
    chart = client.get(f"/charts/{found['snapshot']}/comparison.svg", params={"a": "zeta", "b": "gamma/7b"})
    assert chart.headers["content-type"] == "image/svg+xml"
    hostile = client.get("/compare", params={"a": "<b>epsilon</b>", "b": "=cmd()"}).text
    assert "<b>epsilon" not in hostile
    assert "&lt;b&gt;epsilon&lt;/b&gt;" in hostile


def test_a_form_chooses_the_models(client: TestClient) -> None:
    empty = client.get("/compare?a=&b=")
    assert empty.status_code == 200
    assert empty.text.count("<option>zeta</option>") == 2
    assert 'method="get" action="/compare"' in empty.text
    half = client.get("/compare?a=zeta")
    assert half.status_code == 200
    assert half.text.count("<option selected>zeta</option>") == 1
    assert 'href="/compare?a=zeta"' in client.get("/model?model=zeta").text


@pytest.mark.parametrize("path", ["/compare", "/api/v1/compare"])
def test_a_wrong_choice_is_told(client: TestClient, path: str) -> None:
    assert client.get(path, params={"a": "zeta", "b": "zeta"}).status_code == 422
    unknown = client.get(path, params={"a": "zeta", "b": "nobody"})
    assert unknown.status_code == 404
    assert "nobody" in unknown.text


@pytest.mark.parametrize("path", ["/compare", "/api/v1/compare"])
def test_two_names_of_one_model_are_not_two_models(tmp_path: Path, path: str) -> None:
    renamed = {"event_id": "later", "type": "model.renamed", "model": "zeta", "to": "zeta-2"}
    store = changed(tmp_path, renamed)
    with asked(store) as client:
        answer = client.get(path, params={"a": "zeta", "b": "zeta-2"})
    store.close()
    assert answer.status_code == 422
    assert "query b: expected another model than a, got 'zeta-2', which names 'zeta' too" in html.unescape(answer.text)


def test_a_model_without_votes_does_not_have_all_votes_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = changed(tmp_path, {"event_id": "later", "type": "model.submitted", "model": "idle", "provider": "Beta",
                               "visibility": "public", "license": "open"})  # fmt: skip
    counted: list[object] = []
    monkeypatch.setattr(pair_battles, "count_battles", lambda *given: counted.append(given) or {})
    with asked(store) as client:
        found = compared(client, "idle", "zeta")
    store.close()
    assert counted == []
    assert found["difference"] is None
    assert found["battles"]["raw"]["votes"] == 0


def changed(folder: Path, event: dict[str, Any]) -> Store:
    """The board with one more event of the registry, which no refresh has seen."""
    store = readable.copied(folder)
    file = folder / "later.jsonl"
    file.write_text(json.dumps({"schema": 1, "at": readable.START.isoformat(), **event}) + "\n")
    registry_events.load_file(store, file)
    return store


def figures(points: float, **changed: Any) -> dict[str, Any]:
    row = {"rating": 1000.0}
    return {
        "a": {"model": "ant", "unrated": None, "defended": row, "raw": row, "style": None},
        "b": {"model": "bee", "unrated": None, "defended": row, "raw": row, "style": None},
        "battles": {"defended": {"votes": 0}},
        "difference": {"points": points, "error": 5.0, "lower": points - 10, "upper": points + 10,
                       "separated": abs(points) > 10, "votes_factor": None},
        "expected": {"score_a": 0.4, "lower": 0.3, "upper": 0.45},
        "boards": [],
        **changed,
    }  # fmt: skip


def test_sentences_are_told_from_the_better_model() -> None:
    lines = comparison_sentences(figures(-30.0))
    assert lines[0].startswith("bee is 30.0 points above ant in the defended view (95% interval 20.0 to 40.0)")
    assert "expected to score 60.0% of their battles, ties as half (55.0% to 70.0%)" in lines[0]
    assert "the votes separate them" in lines[1]
    assert "never met" in lines[-1]


def test_a_reversed_order_in_another_view_is_told() -> None:
    given = figures(5.0)
    given["b"]["raw"] = {"rating": 1020.0}
    assert "the order is reversed: bee is 20.0 points above" in comparison_sentences(given)[2]


def test_a_model_without_rating_is_told() -> None:
    given = figures(0.0, difference=None, expected=None)
    given["a"] |= {"defended": None, "unrated": "no connection"}
    assert comparison_sentences(given)[0] == "ant has no rating in the defended view: no connection."
