"""No page, document, export, metric or message about a board names a model under test; the log and bundles do."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.api.app import create_app
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.store_status import read_store_status
from pipeline.metrics.store_status import StoreCollector
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import alert_lifecycle, incident_grouping
from pipeline.store.boards import exclusion_list
from pipeline.store.db import schema
from pipeline.store.votes import registry_events
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, event, using

SECRET, CODE_NAME, PUBLIC = "secret-9b", "night-owl", "secret-9b-mini"
NAMES = re.compile(rf"{SECRET}(?!-mini)|{CODE_NAME}")
LISTING = 'name = "listing"\n[listing]\nprivate_models = "hidden"\n'
# Proofs are about signed bytes, and the log names every model.
PROOFS = re.compile(r"/(bundle|manifest|proof|checkpoint|consistency|keys)\b|^/(api/v1/)?(receipt|log)\b|^/verify")
VOTES = 300


def submitted(number: int, model: str, provider: str, visibility: str) -> dict[str, object]:
    return {
        "schema": 1, "event_id": f"r{number}", "at": "2026-01-01T00:00:00Z", "type": "model.submitted", "model": model,
        "provider": provider, "visibility": visibility, "license": "open",
    }  # fmt: skip


REGISTRY = [
    submitted(1, "a", "Ay", "public"),
    submitted(2, "b", "Bee", "public"),
    submitted(3, PUBLIC, "Bee", "public"),
    submitted(4, SECRET, "Bee", "private"),
    submitted(5, "unseen-1", "Stealth", "private"),
    {"schema": 1, "event_id": "r6", "at": "2026-01-02T00:00:00Z", "type": "model.renamed", "model": SECRET,
     "to": CODE_NAME},
    {"schema": 1, "event_id": "r7", "at": "2026-01-03T00:00:00Z", "type": "benchmark.claim", "model": SECRET,
     "benchmark": "exam", "score": 0.9, "source": "a note", "n": 100},
]  # fmt: skip
RELEASED = {"schema": 1, "event_id": "r9", "at": "2026-02-01T00:00:00Z", "type": "model.released", "model": SECRET}


def votes(first: int) -> list[dict[str, object]]:
    models = ("a", "b", PUBLIC, SECRET)
    pairs = [(x, y) for x in models for y in models if x != y]
    return [
        {**event(n), "model_a": pairs[n % 12][0], "model_b": pairs[n % 12][1],
         "winner": "model_a" if n * 7 % 10 < 6 else "model_b"}
        for n in range(first, first + VOTES)
    ]  # fmt: skip


def register(board: Board, *events: dict[str, object]) -> None:
    file = board.folder / f"registry-{events[0]['event_id']}.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events))
    with board.store() as store:
        registry_events.load_file(store, file)


def raise_alerts(board: Board) -> None:
    """Open alerts about the model, about a voter for it, about its provider and about another model; exclude votes."""
    at = 1_770_000_000_000_000
    window = {"window": [at, at + 300_000_000], "what": f"votes for {SECRET} and [{CODE_NAME}]"}
    likeliest = [{"what": "favours", "model": SECRET, "delta": 1.5, "share": 0.9}]
    evidence = {"votes": 60, "ties": 0, "likeliest": likeliest, "proved": True, "snapshot": 1}
    with board.store() as store, store.write() as connection:
        voter = format_pseudonym(store.pseudonym("voter 3"))
        raised = [
            AlertSignal("vote_burst", "model", SECRET, "burst", "warning", 300.0, 1, 0, at, at + 1, window),
            AlertSignal("vote_burst", "model", "a", "burst", "warning", 300.0, 1, 0, at, at + 1, window),
            AlertSignal("many_variants", "provider", "Bee", "many", "warning", None, 1, 0, at, at + 2, window),
            AlertSignal("voter_bias", "voter", voter, "biased", "critical", 5e4, 2, 1, 40, at, evidence),
        ]
        alert_lifecycle.open_alerts(connection, raised, {}, at)
        incident_grouping.regroup(connection)
        selection = f"from=2020-01-01T00:00:00Z,to=2020-01-02T00:00:00Z,model={SECRET}"
        exclusion_list.add_entry(connection, "exclude", "votes", selection, f"bought for {SECRET}", "ann", 1)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """Two snapshots with a model under test among four rated models, alerts and an exclusion that name it."""
    method = tmp_path / "method.toml"
    method.write_text(LISTING)
    options = OPTIONS.model_copy(update={"method": str(method), "auto_voter": False})
    with using(options):
        made = Board(str(tmp_path / "board.db"), tmp_path, options)
        made.read(*votes(0))
        register(made, *REGISTRY)
        made.refresh()
        raise_alerts(made)
        made.read(*votes(VOTES))
        made.refresh()
        yield made


def crawl(client: TestClient, *starts: str) -> dict[str, str]:
    """Return path → text of every page and document that links lead to, proofs excepted."""
    found: dict[str, str] = {}
    waiting = list(starts)
    while waiting:
        path = waiting.pop()
        if path in found or PROOFS.search(path) or path.startswith("/static"):
            continue
        answer = client.get(path)
        assert answer.status_code in (200, 401, 404), path
        found[path] = answer.text
        if "html" in answer.headers["content-type"]:
            links = re.findall(r'(?:href|src|srcset)="(/[^"#]*)', answer.text)
            waiting += [link.replace("&amp;", "&") for link in links]
    return found


def starts(client: TestClient) -> list[str]:
    api = "/api/v1"
    first, last = (row["snapshot"] for row in reversed(client.get(f"{api}/snapshots").json()["rows"]))
    diff = f"{api}/diff/{first}..{last}"
    tables = [f"{api}/models", f"{api}/battles", f"{api}/alerts", f"{api}/incidents", f"{api}/exclusions",
              f"{api}/snapshots", f"{diff}?view=raw", f"{api}/snapshots/{last}/standings",
              f"{api}/snapshots/{last}/leaderboard?view=raw"]  # fmt: skip
    csv = [f"{table}{'&' if '?' in table else '?'}format=csv" for table in tables]
    alerts = [f"{api}/alerts/{row['id']}" for row in client.get(f"{api}/alerts").json()["rows"]]
    alerts += [f"{api}/incidents/{row['id']}" for row in client.get(f"{api}/incidents").json()["rows"]]
    more = ["/", "/battles", "/incidents", "/changes?days=0", f"/diff/{first}..{last}", "/providers", "/alerts",
            "/exclusions", "/snapshots",
            "/provider?provider=Stealth", f"{api}/provider?provider=Bee", f"{api}/status", f"{api}/snapshots/{last}",
            f"{api}/model?model=a", f"{api}/history?model=b", f"{api}/notices"]  # fmt: skip
    return [*tables, *csv, *alerts, *more]


@pytest.mark.long
def test_nothing_that_the_public_reads_names_a_model_under_test_before_its_release(board: Board) -> None:
    with board.store() as store, TestClient(create_app(store)) as client:
        found = crawl(client, *starts(client))
        named = [path for path, text in found.items() if NAMES.search(text) or NAMES.search(path)]
        assert named == []
        assert len(found) > 40
        assert PUBLIC in found["/"]
        for path in ("model?model=", "history?model=", "battles?model="):
            assert client.get(f"/api/v1/{path}{SECRET}").status_code == 404
            assert client.get(f"/api/v1/{path}{CODE_NAME}").status_code == 404
        assert client.get(f"/model?model={SECRET}").status_code == 404
        last = client.get("/api/v1/latest").json()["snapshot"]
        assert client.get(f"/charts/{last}/rating.svg", params={"model": SECRET}).status_code == 404
        assert client.get("/api/v1/alerts", params={"subject": SECRET}).json()["rows"] == []
        assert client.get("/api/v1/models").json()["under_test"] == 2
        assert "1 model under test or withdrawn: not listed until released" in client.get("/provider?provider=Bee").text
        assert len(client.get("/api/v1/alerts", params={"subject_kind": "model"}).json()["rows"]) >= 2
        assert SECRET.encode() in client.get(f"/api/v1/snapshots/{last}/manifest").content

    register(board, RELEASED)
    board.refresh()
    with board.store() as store, TestClient(create_app(store)) as client:
        assert SECRET in client.get("/").text
        assert client.get(f"/model?model={SECRET}").status_code == 200
        assert len(client.get(f"/api/v1/history?model={SECRET}").json()["rows"]) == 3
        assert client.get("/api/v1/models").json()["under_test"] == 1
        assert client.get("/api/v1/alerts", params={"subject": SECRET}).json()["rows"]


def test_headline_and_feeds_do_not_name_a_model_that_was_listed_before(board: Board) -> None:
    won = [{**one, "winner": "model_a" if one["model_a"] == PUBLIC else "model_b"}
           for one in votes(2 * VOTES) if PUBLIC in (one["model_a"], one["model_b"])]  # fmt: skip
    board.read(*won)
    board.refresh()
    told = ("/", "/feeds/snapshots.atom", "/feeds/moves.atom")
    with board.store() as store, TestClient(create_app(store)) as client:
        before = {path: client.get(path).text for path in told}
    assert [path for path, text in before.items() if PUBLIC in text] == list(told)
    assert 'What changed</h2>\n<p><b><a href="/model?model=' in before["/"]
    register(board, {**submitted(8, PUBLIC, "Bee", "private"), "at": "2026-01-05T00:00:00Z"})
    board.refresh()
    with board.store() as store, TestClient(create_app(store)) as client:
        after = {path: client.get(path).text for path in told}
    assert [path for path, text in after.items() if PUBLIC in text] == []
    assert "a model under test" in after["/feeds/snapshots.atom"]


def test_the_first_listed_model_does_not_lead_where_another_is_ahead(board: Board) -> None:
    board.read(*[{**one, "winner": "model_a" if one["model_a"] == SECRET else "model_b"}
                 for one in votes(2 * VOTES) if SECRET in (one["model_a"], one["model_b"])])  # fmt: skip
    board.refresh()
    with board.store() as store, TestClient(create_app(store)) as client:
        first = client.get("/api/v1/leaderboard").json()["rows"][0]
        page, feed = client.get("/").text, client.get("/feeds/snapshots.atom").text
    assert first["rank"] == 2
    assert f"<h1>{first['model']} is the first listed model, at place 2</h1>" in page
    assert "leads" not in page
    assert "a model that is not listed would lead" in page
    assert "<title>Snapshot 3</title>" in feed


def test_charts_are_not_kept_when_their_model_comes_under_test(board: Board) -> None:
    with board.store() as store, TestClient(create_app(store)) as client:
        last = client.get("/api/v1/latest").json()["snapshot"]
        names = ("winrates.svg", "network.svg", f"rating.svg?model={PUBLIC}", f"comparison.svg?a=a&b={PUBLIC}")
        charts = [f"/charts/{last}/{name}" for name in names]
        cached = f"/model?model={PUBLIC}"
        assert client.get(cached).status_code == 200
        before = [client.get(chart) for chart in charts]
        assert [one.status_code for one in before] == [200] * 4
        assert all(PUBLIC in one.text for one in before[:2])
        register(board, {**submitted(8, PUBLIC, "Bee", "private"), "at": "2026-01-05T00:00:00Z"})
        deadline = time.monotonic() + 60
        while client.get(cached).status_code == 200:
            assert time.monotonic() < deadline, "the server does not see the registry"
            time.sleep(0.05)
        after = [client.get(chart) for chart in charts]
    assert [one.status_code for one in after] == [200, 200, 404, 404]
    assert not any(PUBLIC in one.text for one in after[:2])


def test_commands_exports_and_metrics_name_no_model_under_test(board: Board, tmp_path: Path) -> None:
    settings, at = {"COLUMNS": "200"}, ("--store", board.url)
    with board.store() as store, store.read() as connection:
        first = connection.scalar(sa.select(schema.snapshot.c.snapshot_id).where(schema.snapshot.c.sequence == 1))
    for words in (("provider", "Bee"), ("provider", "Bee", "--json"), ("provider", "Bee", "--markdown"),
                  ("leaderboard", "--json"), ("diff", str(first)), ("diff", str(first), "--json")):  # fmt: skip
        done = called(*words, *at, settings=settings)
        assert (done.returncode, NAMES.findall(done.stdout)) == (0, []), (words, done.stderr)
    with board.store() as store:
        registry = CollectorRegistry()
        registry.register(StoreCollector(lambda: read_store_status(store), "1"))
        metrics = generate_latest(registry).decode()
    assert f'model="{PUBLIC}"' in metrics
    assert not NAMES.search(metrics)

    file, others = tmp_path / "votes.parquet", tmp_path / "others.parquet"
    done = called(
        "export",
        "--out",
        str(file),
        "--left-out",
        str(others),
        "--snapshot",
        "latest",
        "--json",
        *at,
        settings=settings,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["votes"], told["left_out"]) == (VOTES, {"on a model under test": VOTES})
    for path in (file, others):
        table = pq.read_table(path)
        assert not NAMES.search(json.dumps(table.to_pylist(), default=str))
    done = called("export", "--out", str(file), "--models-under-test", "--force", *at, settings=settings)
    assert done.returncode == 0, done.stderr
    assert SECRET in pq.read_table(file)["model_a"].to_pylist()
