"""The steps of the README on the command line, with a real Kafka and a real PostgreSQL.

`integrity` starts a process, as a user does. `command` calls the same `main` in this process, where only the answer
matters: a new process takes two seconds to import, and a refresh six more.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import subprocess
import sys
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.events.pseudonym import format_pseudonym, pseudonym
from pipeline.lab.simulate import (
    HonestSpec,
    SimulatedStream,
    TargetOnly,
    list_attackers,
    real_pair_rates,
    simulate_stream,
)
from pipeline.ratings import PairCounts, fit, select_rated_models
from tests.command import called
from tests.copies import copy_files

INTEGRITY = Path(sys.executable).with_name("integrity")
DATA = Path(__file__).parents[2].parent / "shared" / "data"
GENAI = DATA / "genai_arena_clean_battle_20240220.json"
AGENTS = DATA / "agent_arena_model_votes_202409.csv"
KEY = "5a" * 32
SETTINGS = {"INTEGRITY_VOTER_KEY": KEY, "INTEGRITY_SESSION_SECONDS": "6", "INTEGRITY_ANCHOR": ""}
POINTS = 400 / math.log(10)
DAY = 86_400_000_000


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """`integrity WORDS` as a process."""
    return subprocess.run(
        [INTEGRITY, *words], env=os.environ | SETTINGS, capture_output=True, text=True, check=False, timeout=120
    )


def integrity(*words: str, code: int = 0) -> Any:
    """Run a process; returns its JSON document."""
    done = run(*words, "--json")
    assert done.returncode == code, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


Command = Callable[..., Any]


@pytest.fixture(scope="module")
def command() -> Command:
    """Run a command in this process and check its exit status; returns its JSON document."""

    def call(*words: str, code: int = 0) -> Any:
        done = called(*words, "--json", settings=SETTINGS)
        assert done.returncode == code, f"{words}: {done.stdout[-3000:]}"
        return json.loads(done.stdout)

    return call


def topic() -> str:
    return f"votes.{uuid.uuid4().hex[:10]}"


def independent_board(battles: list[tuple[str, str, str]]) -> tuple[dict[str, float], dict[str, float]]:
    """(θ in logits, mean zero; points, mean 1000) of the largest strongly connected component.

    Written without `pipeline.ratings`: the likelihood of Bradley-Terry, ties half a win each, by scipy.
    """
    models = sorted({m for a, b, _ in battles for m in (a, b)})
    code = {m: i for i, m in enumerate(models)}
    wins = np.zeros((len(models), len(models)))
    for a, b, outcome in battles:
        i, j = code[a], code[b]
        first = {"model_a": 1.0, "model_b": 0.0}.get(outcome, 0.5)
        wins[i, j] += first
        wins[j, i] += 1 - first
    _, label = connected_components(wins > 0, directed=True, connection="strong")
    votes = [sum(wins[np.ix_(label == part, label == part)].ravel()) for part in range(label.max() + 1)]
    kept = np.flatnonzero(label == int(np.argmax(votes)))
    wins = wins[np.ix_(kept, kept)]

    def cost(theta: Any) -> tuple[float, Any]:
        p = expit(theta[:, None] - theta[None, :])
        lost = wins.T * p - wins * (1 - p)
        return float(-(wins * np.log(p)).sum()), lost.sum(axis=1)

    def curvature(theta: Any) -> Any:
        p = expit(theta[:, None] - theta[None, :])
        w = (wins + wins.T) * p * (1 - p)
        return np.diag(w.sum(axis=1)) - w + np.full_like(w, 1e-3)  # the constant fixes the gauge, not the optimum

    found = minimize(cost, np.zeros(len(kept)), jac=True, hess=curvature, method="trust-exact", tol=1e-11)
    theta = found.x
    for _ in range(3):  # the search ends where its own steps no longer change the cost in double precision
        theta = theta - np.linalg.solve(curvature(theta), cost(theta)[1])
    theta = theta - theta.mean()
    names = [models[i] for i in kept]
    return dict(zip(names, theta, strict=True)), dict(zip(names, 1000 + POINTS * theta, strict=True))


def battles_of(lines: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Every battle of two different models."""
    return [(r["model_a"], r["model_b"], r["winner"]) for r in lines if r["model_a"] != r["model_b"]]


def expect_board(rows: list[dict[str, Any]], battles: list[tuple[str, str, str]]) -> None:
    """The published rows are those of an independent fit, and `pipeline.ratings` has its θ."""
    theta, points = independent_board(battles)
    assert {r["model"] for r in rows} == set(points)
    assert all(abs(r["rating"] - points[r["model"]]) <= 0.0051 for r in rows)
    ranks = {m: 1 + sum(other > p for other in points.values()) for m, p in points.items()}
    assert {r["model"]: r["rank"] for r in rows} == ranks
    counted = Counter(m for a, b, _ in battles for m in (a, b))
    assert all(r["votes"] == counted[r["model"]] for r in rows)
    outcomes = [{"tie (bothbad)": "both_bad"}.get(w, w) for _, _, w in battles]
    rated, _ = select_rated_models(PairCounts.from_labels([b[0] for b in battles], [b[1] for b in battles], outcomes))
    ours = dict(zip(rated.models, fit(rated).theta, strict=True))
    assert max(abs(ours[m] - theta[m]) for m in theta) * POINTS < 1e-6


@pytest.mark.beside
def test_real_battles_give_the_board_of_an_independent_fit(kafka_url: str, postgres_url: str, command: Command) -> None:
    name = topic()
    sent = integrity("publish", str(GENAI), "--to", kafka_url, "--topic", name)
    assert (sent["published"], sent["registry"]) == (2061, 0)

    done = integrity("work", "--source", f"{kafka_url}/{name}", "--store", postgres_url, "--until-end")
    assert (done["read"], done["accepted"], done["rejected"]) == (2061, 2060, 1)
    [reject] = command("rejects", "--store", postgres_url)
    assert (reject["origin"], reject["reason"]) == (f"{GENAI.name}#1819", "self_battle")

    # The arena's method counts votes on hidden names: all but 545 of the 2,060, so 546 records with the self-battle.
    result = integrity("refresh", "--store", postgres_url)
    assert (result["sequence"], result["votes_counted"], result["votes_excluded"]) == (1, 1515, 0)
    assert {rule: n for rule, n in result["method"]["left_out"].items() if n} == {"not_anonymous": 545}
    shown = integrity("leaderboard", "--store", postgres_url)
    assert (shown["snapshot"], shown["view"]) == (result["snapshot"], "defended")
    hidden = [record for record in json.loads(GENAI.read_text()) if record["anony"]]
    expect_board(shown["rows"], battles_of(hidden))
    assert integrity("verify", "--store", postgres_url)["votes"] == 2060


@pytest.mark.beside
def test_a_real_table_gives_a_reject_for_every_self_battle(kafka_url: str, postgres_url: str, command: Command) -> None:
    with AGENTS.open(newline="") as text:
        rows = list(csv.DictReader(text))
    alone = {i for i, row in enumerate(rows) if row["model_a"] == row["model_b"]}
    assert len(alone) == 304
    name = topic()
    assert command("publish", str(AGENTS), "--to", kafka_url, "--topic", name)["published"] == len(rows) == 2058
    done = integrity("work", "--source", f"{kafka_url}/{name}", "--store", postgres_url, "--until-end")
    assert (done["accepted"], done["rejected"]) == (len(rows) - 304, 304)
    rejects = command("rejects", "--store", postgres_url, "--limit", "5000")
    assert {r["reason"] for r in rejects} == {"self_battle"}
    assert sorted(r["origin"] for r in rejects) == sorted(f"{AGENTS.name}#{row}" for row in alone)


@dataclass(frozen=True)
class Story:
    """A board that was honest, refreshed, attacked, and refreshed again."""

    database: str
    url: str
    target: str
    attackers: frozenset[str]  # pseudonyms
    before: SimulatedStream
    bad_rows: tuple[int, ...]
    answers: dict[str, Any]


@pytest.fixture(scope="module")
def story(
    kafka_server: KafkaServer,
    postgres_server: PostgresServer,
    command: Command,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    spec = HonestSpec(votes=12_000, seed=5, models=10, days=4, voters=2_500)
    board = real_pair_rates(10)
    target = board.models[np.argsort(-board.theta)[6]]
    planted = (TargetOnly(target=target, voters=8, votes_each=(150, 200), sampling=0.5, from_day=2.5),)
    stream = simulate_stream(spec, planted)
    cut = int(np.searchsorted(stream.cast_at, stream.cast_at[0] // DAY * DAY + int(2.5 * DAY)))
    before, after = stream.take(slice(0, cut)), stream.take(slice(cut, None))
    folder = tmp_path_factory.mktemp("story")
    first, second = folder / "honest.jsonl", folder / "attacked.jsonl"
    lines = list(before.to_bytes())
    one = json.loads(lines[0])
    bad = [b"not json", json.dumps(one | {"vote_id": "x", "model_b": one["model_a"]}).encode(), b"[]"]
    first.write_bytes(b"\n".join([*lines, *bad, *lines[:40]]) + b"\n")
    second.write_bytes(b"\n".join(after.to_bytes()) + b"\n")

    database, name = f"story_{uuid.uuid4().hex[:8]}", topic()
    url = postgres_server.create_database(database)
    answers: dict[str, Any] = {}
    for step, path in (("first", first), ("second", second)):
        source = f"{kafka_server.url}/{name}"
        answers[f"publish {step}"] = command("publish", str(path), "--to", kafka_server.url, "--topic", name)
        answers[f"work {step}"] = integrity("work", "--source", source, "--store", url, "--until-end")
        answers[f"refresh {step}"] = command("refresh", "--store", url)
        for view in ("raw", "defended"):
            answers[f"{view} {step}"] = command("leaderboard", "--store", url, "--view", view)["rows"]
    known = frozenset(
        format_pseudonym(pseudonym(bytes.fromhex(KEY), one.voter)) for one in list_attackers(stream, planted)
    )
    yield Story(database, url, target, known, before, (cut, cut + 1, cut + 2), answers)
    postgres_server.drop_database(database)


@pytest.fixture
def store(story: Story, postgres_server: PostgresServer) -> Iterator[str]:
    """A copy of the story's store, for a test that changes it."""
    name = f"copy_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(native(postgres_server.url), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [story.database]
        )
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {story.database}")
    url = story.url.replace(story.database, name)
    copy_files(story.url, url, bytes.fromhex(KEY))
    yield url
    postgres_server.drop_database(name)


def native(url: str) -> str:
    return url.replace("+psycopg", "")


def tamper(url: str, statement: str) -> None:
    """Change a row as a superuser, without triggers."""
    with psycopg.connect(native(url)) as connection:
        connection.execute("SET session_replication_role = replica")
        assert connection.execute(statement).rowcount == 1


def rank_of(rows: list[dict[str, Any]], model: str) -> int:
    return next(r["rank"] for r in rows if r["model"] == model)


@pytest.mark.long
def test_every_record_of_a_generated_board_has_a_fate_and_the_ratings_are_an_independent_fit(
    story: Story, command: Command
) -> None:
    n = len(story.before)
    done = story.answers["work first"]
    assert story.answers["publish first"]["published"] == done["read"] == n + 43
    fates = {name: done[name] for name in ("accepted", "duplicate", "rejected", "late", "quarantined", "alerts")}
    assert fates == {"accepted": n, "duplicate": 40, "rejected": 3, "late": 0, "quarantined": 0, "alerts": 0}
    assert story.answers["refresh first"]["votes_counted"] == n
    origins = {r["origin"] for r in command("rejects", "--store", story.url)}
    assert origins == {f"honest.jsonl#{row}" for row in story.bad_rows}
    expect_board(story.answers["defended first"], battles_of([json.loads(line) for line in story.before.to_bytes()]))


def test_an_attack_raises_critical_alerts_on_the_attackers_alone_and_the_defended_board_resists(
    story: Story, command: Command
) -> None:
    listed = command("alerts", "--store", story.url)
    critical = {a["subject"]["id"] for a in listed if a["severity"] == "critical"}
    assert len(critical) >= 6
    assert critical <= story.attackers
    assert {a["state"] for a in listed} == {"open"}
    auto = command("alerts", "exclusions", "--store", story.url)
    assert {e["target"] for e in auto} == critical
    assert {e["name"] for e in auto} == {"auto-voter/1"}
    done = story.answers["refresh second"]
    assert done["votes_excluded"] >= 6 * 150
    assert done["votes_counted"] + done["votes_excluded"] == done["log_size"]
    raw, defended = (rank_of(story.answers[f"{view} second"], story.target) for view in ("raw", "defended"))
    assert raw < defended
    assert defended >= rank_of(story.answers["defended first"], story.target) - 1


@pytest.mark.long
def test_a_resolved_alert_restores_the_votes_at_the_next_refresh(store: str, story: Story, command: Command) -> None:
    before = story.answers["refresh second"]
    listed = [a for a in command("alerts", "--store", store) if a["severity"] == "critical"]
    subject = listed[0]["subject"]["id"]
    for alert in listed:
        if alert["subject"]["id"] == subject:
            command("alerts", "resolve", alert["id"], "--store", store, "--name", "ann", "--reason", "a class test")
    after = command("refresh", "--store", store)
    assert after["sequence"] == before["sequence"] + 1
    assert 150 <= before["votes_excluded"] - after["votes_excluded"] <= 200
    assert subject not in {e["target"] for e in command("alerts", "exclusions", "--store", store)}
    shown = command("alerts", "show", listed[0]["id"], "--store", store)
    assert shown["state"] == "resolved"
    assert [(h["action"], h["name"]) for h in shown["history"]][-1] == ("resolve", "ann")
    assert command("verify", "--store", store)["snapshots"] == after["sequence"]


@pytest.mark.long
def test_an_exclusion_by_hand_needs_a_reason_and_is_undone_by_another_entry(store: str, command: Command) -> None:
    with psycopg.connect(native(store)) as connection:
        (number,) = connection.execute("SELECT voter FROM vote WHERE voter <> 0 ORDER BY cast_at LIMIT 1").fetchone()
    voter = format_pseudonym(number)
    refused = command("alerts", "exclude", f"voter:{voter}", "--store", store, "--name", "ann", code=2)
    assert "reason" in refused["message"]
    words = (f"voter:{voter}", "--store", store, "--name", "ann", "--reason")
    command("alerts", "exclude", *words, "bought")
    listed = command("alerts", "exclusions", "--store", store)
    assert {"kind": "voter", "target": voter, "reason": "bought", "name": "ann"} in listed
    assert command("alerts", "restore", f"voter:{voter}", "--store", store, "--name", "ann", code=2)
    command("alerts", "restore", *words, "a mistake")
    assert voter not in {e["target"] for e in command("alerts", "exclusions", "--store", store)}


def test_a_refresh_without_changes_gives_the_same_snapshot(store: str, story: Story, command: Command) -> None:
    again = command("refresh", "--store", store)
    assert {**again, "seconds": 0} == {**story.answers["refresh second"], "seconds": 0}


def test_verify_passes_on_an_unchanged_store(story: Story, command: Command) -> None:
    done = command("verify", "--store", story.url)
    assert (done["verified"], done["snapshots"]) == (True, 2)
    assert done["votes"] == story.answers["refresh second"]["log_size"]


def test_verify_names_the_leaf_of_a_vote_that_was_changed(store: str, command: Command) -> None:
    first = 'SELECT partition_no, "offset", vote_id FROM vote WHERE outcome < 2 ORDER BY cast_at LIMIT 1'
    with psycopg.connect(native(store)) as connection:
        part, offset, vote = connection.execute(first).fetchone() or pytest.fail("expected a vote")
    tamper(store, f'UPDATE vote SET outcome = 1 - outcome WHERE partition_no = {part} AND "offset" = {offset}')
    message = command("verify", "--store", store, code=4)["message"]
    assert re.match(rf"leaf \d+: expected vote {str(vote).replace('-', '')} as it was sealed", message)
    assert f"(partition {part}, offset {offset})" in message


@pytest.mark.long
def test_verify_names_the_snapshot_and_view_of_a_rating_that_was_changed(
    store: str, story: Story, command: Command
) -> None:
    tamper(
        store,
        "UPDATE snapshot_row SET rating = rating + 1 WHERE view = 'raw' AND snapshot_id ="
        f" '{story.answers['refresh first']['snapshot']}' AND model = '{story.target}'",
    )
    message = command("verify", "--store", store, code=4)["message"]
    assert message.startswith(f"snapshot 1 ({story.answers['refresh first']['snapshot'][:12]}), raw")


@pytest.mark.long
def test_the_exporter_shows_open_alerts_and_both_ratings_of_a_model(story: Story) -> None:
    process = subprocess.Popen(
        [INTEGRITY, "exporter", "--store", story.url, "--port", "0"],
        env=os.environ | SETTINGS,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = re.search(r"http://\S+/metrics", process.stderr.readline())
        assert url is not None
        with urllib.request.urlopen(url[0], timeout=30) as answer:  # noqa: S310  # our own loopback
            text = answer.read().decode()
    finally:
        process.terminate()
        ended = process.wait(20)
    assert ended == 0
    assert "integrity_exporter_store_up 1.0" in text
    found = re.search(r'integrity_alerts_open\{detector="voter_bias",severity="critical"\} (\S+)', text)
    assert found is not None
    assert float(found[1]) >= 6
    for view in ("raw", "defended"):
        shown = re.search(rf'_rating_points\{{model="{re.escape(story.target)}",view="{view}"\}} (\S+)', text)
        rows = story.answers[f"{view} second"]
        assert shown is not None
        assert float(shown[1]) == next(r["rating"] for r in rows if r["model"] == story.target)


def test_alerts_check_exits_1_while_an_alert_is_open(story: Story, command: Command) -> None:
    assert command("alerts", "--check", "--store", story.url, code=1)


@pytest.mark.long
def test_wrong_usage_exits_2_and_says_what_was_expected(story: Story, command: Command, tmp_path: Path) -> None:
    for words in (
        ("publish", str(tmp_path / "none.jsonl"), "--to", "kafka://127.0.0.1:1"),
        ("leaderboard", "--store", "mysql://here/board"),
        ("leaderboard", "--store", story.url, "--snapshot", "ffff"),
        ("alerts", "show", "ffff", "--store", story.url),
    ):
        assert command(*words, code=2)["message"].startswith("expected ")
    assert run("work").returncode == 2


@pytest.mark.long
def test_a_missing_service_or_store_exits_3_and_is_named(
    kafka_url: str, story: Story, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "votes.jsonl"
    file.write_bytes(b"\n".join(story.before.take(slice(0, 3)).to_bytes()))
    for words, missing in (
        (("leaderboard", "--store", str(tmp_path / "none.db")), "expected a store"),
        (("leaderboard", "--store", "postgresql://postgres@127.0.0.1:1/none"), "does not answer"),
        (("work", "--source", f"{kafka_url}/no.such.topic", "--store", story.url), "no topic"),
        (("work", "--source", str(tmp_path / "none.jsonl"), "--store", story.url), "expected a battle file"),
    ):
        assert missing in command(*words, code=3)["message"]
    lost = command("publish", str(file), "--to", "kafka://127.0.0.1:1", code=3)
    assert "no Kafka broker answers" in lost["message"]
