"""What the public learns about a voter: nothing from a raw id; and an id that many share excludes nobody."""

import json
import math
import random
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipeline import settings as configuration
from pipeline.api.app import create_app
from pipeline.events.pseudonym import format_pseudonym
from pipeline.open_store import now, open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import incident_grouping, incident_table, operator_tokens
from pipeline.store.boards import exclusion_list
from tests.command import called

KEY = "5c" * 32
MODELS = ("alder", "birch", "cedar", "doum")
STRENGTH = {"alder": 1.2, "birch": 0.5, "cedar": 0.0, "doum": -0.9}
VICTIM = "victim@example.org"
START = 1_772_323_200


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {"INTEGRITY_STORE": str(tmp_path / "s.db"), "INTEGRITY_VOTER_KEY": KEY, "INTEGRITY_ANCHOR": ""}


def run(settings: dict[str, str], *words: str, code: int = 0) -> Any:
    done = called(*words, "--json", settings=settings)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return json.loads(done.stdout)


def battle(chance: random.Random, at: int, judge: str | None, *, fan: bool = False) -> dict[str, Any]:
    """A vote as FastChat writes it; a fan votes for doum wherever it plays."""
    a, b = chance.sample(MODELS, 2)
    p = 1 / (1 + math.exp(STRENGTH[b] - STRENGTH[a]))
    winner = "tie" if chance.random() < 0.2 else "model_a" if chance.random() < p else "model_b"
    if fan and "doum" in (a, b):
        winner = "model_a" if a == "doum" else "model_b"
    found = {"question_id": f"q{at}", "model_a": a, "model_b": b, "winner": winner, "tstamp": START + 40 * at}
    return found if judge is None else {**found, "judge": judge}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def honest(first: int, count: int) -> list[dict[str, Any]]:
    chance = random.Random(first)  # noqa: S311
    return [battle(chance, first + n, f"voter {(first + n) % 97}") for n in range(count)]


@contextmanager
def opened(settings: dict[str, str]) -> Iterator[tuple[Store, TestClient]]:
    options = Settings(anchor="", voter_key=KEY)
    with (
        configuration.override(options),
        closing(open_store(settings["INTEGRITY_STORE"], voter_key=bytes.fromhex(KEY))) as store,
        TestClient(create_app(store)) as client,
    ):
        yield store, client


@pytest.mark.long
def test_two_records_under_a_victims_id_show_nothing_of_the_victim(tmp_path: Path, settings: dict[str, str]) -> None:
    chance = random.Random(1)  # noqa: S311
    victim = [battle(chance, 5_000 + 13 * n, VICTIM) for n in range(15)]
    run(settings, "work", "--source", write(tmp_path / "a.jsonl", [*honest(0, 300), *victim]))
    run(settings, "refresh")
    attack = [battle(chance, 9_000, VICTIM), {**battle(chance, 9_001, VICTIM), "question_id": "q9000"}]
    run(settings, "work", "--source", write(tmp_path / "b.jsonl", attack))
    with opened(settings) as (store, client):
        voter = format_pseudonym(store.pseudonym(VICTIM))
        with store.write() as connection:
            incident_grouping.regroup(connection)
            (incident,) = incident_table.read_all(connection)
        assert incident.private["voters"] == [voter]
        (alert,) = client.get("/api/v1/alerts?detector=duplicate_votes").json()["rows"]
        detail = client.get(f"/api/v1/alerts/{alert['id']}")
        pages = [client.get(path).text for path in ("/alerts", f"/alerts/{alert['id']}", "/exclusions")]
        pages += [client.get(f"/api/v1/alerts?format={kind}").text for kind in ("json", "csv")]
        about = f"incidents/{incident.incident_id}"
        pages += [
            client.get(path).text for path in ("/", "/incidents", f"/{about}", "/api/v1/incidents", f"/api/v1/{about}")
        ]
        with store.write() as connection:
            expires = now() + 3_600_000_000
            token = operator_tokens.create(connection, "ann", ["alerts"], "test", "test", now(), expires)
        login = {"Authorization": f"Bearer {token}"}
        told = client.get(f"/api/v1/alerts/{alert['id']}", headers=login)
        refused = client.get("/api/v1/alerts", headers={"Authorization": "Bearer integrity_none"})
        again = client.get(f"/api/v1/alerts/{alert['id']}")
    for text in (*pages, detail.text):
        assert voter not in text
        assert not [row["question_id"] for row in victim if row["question_id"] in text]
    shown = detail.json()
    assert re.fullmatch("voter-[0-9a-f]{12}", shown["subject"]["id"])
    assert shown["votes"] == []
    assert (shown["partition"], shown["offset"]) == (None, None)
    assert shown["opened_at"].endswith(":00:00Z")
    assert all(entry["at"].endswith(":00:00Z") for entry in shown["history"])
    assert told.json()["subject"]["id"] == voter
    assert len(told.json()["votes"]) == 16
    assert told.headers["cache-control"] == "no-store"
    assert refused.status_code == 401
    assert again.json() == shown


@pytest.mark.long
def test_two_alerts_about_one_voter_cannot_be_linked(tmp_path: Path, settings: dict[str, str]) -> None:
    chance = random.Random(2)  # noqa: S311
    run(settings, "work", "--source", write(tmp_path / "a.jsonl", honest(0, 50)))
    for name in ("b", "c"):
        rows = [{**battle(chance, 700 + n, VICTIM), "question_id": name} for n in range(2)]
        run(settings, "work", "--source", write(tmp_path / f"{name}.jsonl", rows))
        run(settings, "alerts", "resolve", run(settings, "alerts", "--state", "open")[0]["id"], "--reason", "seen")
    with opened(settings) as (store, client):
        found = client.get("/api/v1/alerts").json()["rows"]
        label = found[0]["subject"]["id"]
        asked = client.get(f"/api/v1/alerts?subject={label}").json()["rows"]
        with store.write() as connection:
            incident_grouping.regroup(connection)
            bodies = incident_table.read_public(connection)
        ids = [name for one in bodies for name in (one["id"], *one["former_ids"])]
        texts = [client.get(f"/api/v1/incidents{path}").text for path in ("", *(f"/{name}" for name in ids))]
    assert max(one["alerts"] for one in bodies) == 2  # operators see that they belong together
    assert not [text for text in texts for one in found if one["id"] in text]
    assert len({one["subject"]["id"] for one in found}) == len(found) == 2
    assert [one["subject"]["id"] for one in asked] == [label]


@pytest.mark.long
def test_an_exclusion_and_the_manifest_name_the_label_of_the_alert(tmp_path: Path, settings: dict[str, str]) -> None:
    run(settings, "work", "--source", write(tmp_path / "a.jsonl", honest(0, 600)))
    run(settings, "refresh")
    with opened(settings) as (store, _), store.write() as connection:
        voter = format_pseudonym(store.pseudonym("voter 5"))
        exclusion_list.add_entry(connection, "exclude", "voter", voter, f"spam of {voter}", "ann", now())
    excluded = run(settings, "refresh")["votes_excluded"]
    assert excluded == len([row for row in honest(0, 600) if row["judge"] == "voter 5"])
    run(settings, "work", "--source", write(tmp_path / "b.jsonl", honest(2_000, 100)))
    run(settings, "refresh")
    with opened(settings) as (_, client):
        entries = client.get("/api/v1/exclusions").json()["rows"]
        snapshots = [row["snapshot"] for row in client.get("/api/v1/snapshots").json()["rows"]]
        paths = [
            f"/snapshots/{snapshots[0]}",
            f"/diff/{snapshots[2]}..{snapshots[1]}",
            f"/api/v1/snapshots/{snapshots[0]}",
        ]
        pages = [client.get(path) for path in (*paths, "/exclusions")]
        body = client.get(f"/api/v1/snapshots/{snapshots[0]}").json()["body"]
    assert [page.status_code for page in pages] == [200] * len(pages)
    label = entries[0]["target"]
    assert [one["target"] for one in body["exclusions"]] == [label]
    assert all(voter not in page.text and "spam of" in page.text for page in (pages[0], pages[3]))
    assert label in pages[1].text
    run(settings, "verify")
    folder = tmp_path / "bundle"
    run(settings, "bundle", "--out", str(folder))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [one["target"] for one in manifest["exclusions"]] == [label]


def everybody(judge: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """400 honest votes and 1,200 of which most are a fan's, all under one judge."""
    chance = random.Random(4)  # noqa: S311
    rows = [battle(chance, n, judge, fan=n >= 400 and n % 10 < 8) for n in range(1_600)]
    return rows[:400], rows


@pytest.mark.long
@pytest.mark.parametrize("judge", ["arena_user_172.17.0.1", "10.9.8.7", "None", "nan", "N/A", " "])
def test_a_board_whose_votes_all_come_from_one_shared_address_is_published(
    judge: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    first, all_rows = everybody(judge)
    run(settings, "work", "--source", write(tmp_path / "first.jsonl", first))
    run(settings, "refresh")
    run(settings, "work", "--source", write(tmp_path / "all.jsonl", all_rows))
    assert [a for a in run(settings, "alerts") if a["subject"]["kind"] == "voter"] == []
    assert run(settings, "refresh")["votes_excluded"] == 0


@pytest.mark.long
def test_a_voter_with_more_than_a_fifth_of_the_votes_is_reported_and_never_excluded(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    first, all_rows = everybody("arena_user_203.0.113.9")
    told = run(settings, "work", "--source", write(tmp_path / "first.jsonl", first))
    assert any("one voter id has 400 of 400 votes (100%)" in note for note in told["notes"])
    run(settings, "refresh")
    run(settings, "work", "--source", write(tmp_path / "all.jsonl", all_rows))
    alerts = {one["detector"]: one for one in run(settings, "alerts")}
    assert alerts["voter_share"]["severity"] == "critical"
    assert alerts["voter_share"]["subject"] == {"kind": "board", "id": "votes"}
    result = run(settings, "refresh")
    assert result["votes_excluded"] == 0
    assert "INTEGRITY_PROXIES" in result["voter_share"][0]
    (line,) = run(settings, "doctor")["store"]["voter_share"]
    assert run(settings, "pseudonym", "arena_user_203.0.113.9")["pseudonym"] in line
    run(settings, "work", "--source", write(tmp_path / "more.jsonl", honest(10_000, 9_000)))
    run(settings, "refresh")
    states = {one["detector"]: one["state"] for one in run(settings, "alerts")}
    assert states["voter_share"] == "resolved"


@pytest.mark.long
def test_a_refresh_whose_exclusions_leave_nothing_names_them(tmp_path: Path, settings: dict[str, str]) -> None:
    run(settings, "work", "--source", write(tmp_path / "a.jsonl", honest(0, 60)))
    selection = "votes:from=2026-01-01T00:00:00Z,to=2027-01-01T00:00:00Z"
    run(settings, "alerts", "exclude", selection, "--reason", "a bad day", "--name", "ann")
    done = called("refresh", settings=settings)
    assert done.returncode == 2
    assert "60 of 60 votes are excluded" in done.stderr
    assert "a bad day; by ann" in done.stderr
