"""A sweep over a simulated board with planted scandals, on both stores, and over an honest one without findings."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.errors import Usage
from pipeline.open_store import open_store
from pipeline.ratings.selection_intervals import best_of_n_interval
from pipeline.ratings.winners_curse import expected_max
from pipeline.store import Store
from pipeline.store.boards import audit_queries
from pipeline.store.db import schema

START = datetime(2026, 3, 1, tzinfo=UTC)
MODELS = [f"m{k}" for k in range(8)]
VOTES = 6_000
KEY = "6b" * 32
OUTCOMES = ("model_a", "model_b", "tie", "both_bad")


def at(day: float) -> str:
    return (START + timedelta(days=day)).isoformat()


def event(number: int, day: float, kind: str, **more: Any) -> dict[str, Any]:
    return {"schema": 1, "event_id": f"e{number}", "at": at(day), "type": kind, **more}


def made_votes(favoured: float, ring: int, seed: int = 3) -> list[dict[str, Any]]:
    """Six days of votes; m0 is drawn `favoured` times its weight; `ring` voters answer five battles alike."""
    rng = np.random.default_rng(seed)
    weight = np.ones(len(MODELS))
    weight[0] = favoured
    strength = np.linspace(0.6, -0.6, len(MODELS))
    votes = []
    for n in range(VOTES):
        a = int(rng.choice(8, p=weight / weight.sum()))
        rest = np.where(np.arange(8) == a, 0, weight)
        b = int(rng.choice(8, p=rest / rest.sum()))
        tie = rng.random() < 0.3
        won = rng.random() < 1 / (1 + np.exp(strength[b] - strength[a]))
        votes.append(vote(n, f"voter {rng.integers(2_000)}", 6 * n / VOTES, a, b, 2 if tie else int(not won), f"p{n}"))
    for k in range(5 * ring):
        battle, member = divmod(k, ring)
        day = 0.5 + battle + member * 1e-4
        votes.append(vote(VOTES + k, f"ring {member}", day, battle, battle + 1, 0, f"ring prompt {battle}"))
    return sorted(votes, key=lambda v: v["cast_at"])


def vote(n: int, who: str, day: float, a: int, b: int, outcome: int, prompt: str) -> dict[str, Any]:
    return {
        "schema": 1, "vote_id": f"v{n}", "voter_id": who, "cast_at": at(day), "model_a": MODELS[a],
        "model_b": MODELS[b], "winner": OUTCOMES[outcome], "prompt_hash": prompt,
    }  # fmt: skip


def made_registry() -> list[dict[str, Any]]:
    """Eight models of four providers under an even policy: nothing is wrong."""
    events = [
        event(k, -2, "model.submitted", model=m, provider=f"provider {k % 4}", visibility="public", license=lic)
        for k, m in enumerate(MODELS)
        for lic in [("open", "proprietary")[k // 4]]
    ]
    return [*events, event(100, -1, "sampling.policy", weights=dict.fromkeys(MODELS, 1.0))]


def scandals() -> list[dict[str, Any]]:
    """Twelve private variants, a release without N and with another checkpoint, a claim, a contradiction."""
    common = {"provider": "provider 0", "visibility": "private", "license": "proprietary"}
    return [
        *(event(200 + k, -1, "model.submitted", model=f"m0-variant{k}", **common) for k in range(12)),
        event(300, -1, "model.submitted", model="m0-exp", checkpoint_digest="tested", **common),
        event(301, -0.5, "model.submitted", model="m0-open", checkpoint_digest="other", **common),
        event(302, -0.4, "model.released", model="m0-exp", **{"as": "m0-open"}),
        event(303, 0, "benchmark.claim", model="m1", benchmark="GSM8K", score=92.1, source="release notes"),
        event(304, 1, "benchmark.result", model="m1", benchmark="GSM8K", score=78.8, n=1319, evaluator="a lab"),
        event(305, 2, "model.retracted", model="m0-exp", reason="second thoughts"),
    ]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    url = str(tmp_path / "b.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", KEY)
    monkeypatch.setenv("INTEGRITY_STORE", url)
    monkeypatch.setenv("INTEGRITY_ANCHOR", "")
    yield url


def run(*command: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def filled(tmp_path: Path, votes: list[dict[str, Any]], registry: list[dict[str, Any]]) -> None:
    files = tmp_path / "votes.jsonl", tmp_path / "registry.jsonl"
    for path, records in zip(files, (votes, registry), strict=True):
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    report = run("work", "--source", str(files[0]), "--registry", str(files[1]), "--until-end")
    assert report["accepted"] == len(votes)
    run("refresh")


@pytest.mark.long
@pytest.mark.usefixtures("url")
def test_an_honest_board_is_quiet(tmp_path: Path) -> None:
    filled(tmp_path, made_votes(1.0, 0), made_registry())
    report = run("sweep")
    assert (report["votes"], report["findings"]) == (VOTES, [])
    assert {v["rule"]: v["passed"] for v in report["policy"]} == {
        "no_retraction": True,
        "private_variants": True,
        "deprecation_by_license": True,
        "fair_sampling": True,
        "public_removal": True,
    }
    assert report["alerts"] == {"told": 0, "cleared": 0}
    assert report["audits"]["fragility"]["fewest"] > 0
    assert report["audits"]["graph_health"]["models"] == 8
    assert "expected two categories" in report["audits"]["task_mix"]["not looked at"]
    book = report["audits"]["sampling_fairness"]
    assert sum(line["appearances"] for line in book["models"]) == 2 * VOTES == 2 * book["battles"]


def falls_are_found_by_the_database_as_by_the_audit(store: Store) -> None:
    """Made snapshots, of a view that nobody else has: counts that fall, names that go and come back."""
    rng = np.random.default_rng(5)
    shown = [{f"m{k}": int(rng.integers(0, 4)) for k in range(6) if rng.random() < 0.7} for _ in range(12)]
    s, r = schema.snapshot, schema.snapshot_row
    with store.engine.connect() as connection, connection.begin() as transaction:
        for n, votes in enumerate(shown):
            sequence = n + 1
            if n > 1:  # the first two are the board's own
                row = {"snapshot_id": f"s{n}", "work_key": f"w{n}", "log_size": 0, "body": "{}", "reference": b""}
                connection.execute(s.insert(), {**row, "rated_at": 0, "sequence": sequence, "published_at": n})
            key = connection.scalar(sa.select(s.c.snapshot_id).where(s.c.sequence == sequence))
            for model, count in votes.items():
                figures = dict.fromkeys(("rating", "lower", "upper"), 0.0) | dict.fromkeys(
                    ("rank", "rank_best", "rank_worst"), 1
                )
                row = {"snapshot_id": key, "view": "made", "model": model, "votes": count}
                connection.execute(r.insert(), row | figures)
        found = audit_queries.find_falling_counts(connection, "made")
        transaction.rollback()
    slow = [
        (model, str(n), str(n + 1), before, after.get(model))
        for n, (earlier, after) in enumerate(itertools.pairwise(shown), start=1)
        for model, before in sorted(earlier.items())
        if after.get(model, -1) < before
    ]
    assert len(slow) > 5
    assert slow == [(model, str(earlier), str(later), before, after) for model, earlier, later, before, after in found]


def votes_are_read_alike_in_blocks_of_any_size(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.read() as connection:
        whole = audit_queries.read_vote_columns(connection)
        v = schema.vote.c
        slow = connection.execute(
            sa.select(v.voter, v.model_a, v.model_b, v.outcome, v.cast_at, v.prompt, v.category)
            .where(v.fate == 0)
            .order_by(v.partition_no, v.offset)
        )
        assert np.array_equal(np.array([tuple(row) for row in slow]).T, np.stack(list(columns_of(whole))))
        for rows in (VOTES // 4, 1_000, VOTES + 39, VOTES + 40):
            monkeypatch.setattr(audit_queries, "_ROWS", rows)
            assert np.array_equal(
                np.stack(list(columns_of(audit_queries.read_vote_columns(connection)))),
                np.stack(list(columns_of(whole))),
            )


def columns_of(votes: audit_queries.VoteColumns) -> Iterator[np.ndarray]:
    return (getattr(votes, one.name) for one in fields(votes))


def people_are_told(report: dict[str, Any]) -> None:
    """Rejects, the report in words, and the page of facts of the provider with the scandals."""
    assert [(r["origin"], r["reason"]) for r in run("rejects")] == [("e305", "retracted_after_release")]
    people = CliRunner().invoke(app, ["sweep"])
    assert people.exit_code == 1
    text = " ".join(people.stdout.split())
    assert "14 private variants of provider 0 were under test at once on" in text
    assert "FAIL private_variants" in text
    assert "skipped: task_mix" in text

    page = run("provider", "provider 0")
    figures = {(f["about"], f["fact"]): f for f in page["facts"]}
    assert figures["provider 0", "most private variants at once"]["value"] == 14
    assert figures["m0-exp", "variants tested, disclosed"]["value"] is None
    assert figures["m0-exp", "variants tested, seen"]["value"] == 13
    mine = next(line for line in report["audits"]["sampling_fairness"]["providers"] if line["name"] == "provider 0")
    assert figures["provider 0", "share of votes"]["value"] == mine["share"]
    assert all(f["definition"] and f["uncertainty"] for f in page["facts"])
    assert all(page["sources"][name] for f in page["facts"] for name in f["source"].split("; "))
    assert "retracted_after_release" in figures["provider 0", "registry events refused"]["detail"][0]
    assert {f["audit"] for f in page["findings"]} >= {"variant_churn", "best_of_n", "version_mismatch"}
    reported = CliRunner().invoke(app, ["provider", "provider 0"])
    assert reported.exit_code == 0, reported.output
    assert "Uncertainty: Not known: the provider disclosed no number." in reported.stdout
    paper = CliRunner().invoke(app, ["provider", "provider 0", "--markdown"]).stdout
    assert "| provider 0 | most private variants at once | 14 |" in paper
    assert "Uncertainty: Not known: the provider disclosed no number." in paper
    assert isinstance(CliRunner().invoke(app, ["provider", "nobody"]).exception, Usage)


@pytest.mark.long
@pytest.mark.usefixtures("url")
def test_every_planted_scandal_raises_one_alert_that_stays_after_the_tests_ended(tmp_path: Path) -> None:
    filled(tmp_path, made_votes(2.0, 6), [*made_registry(), *scandals()])
    report = run("sweep", code=1)
    found = {(f["audit"], f["subject"]["id"], f["direction"]): f for f in report["findings"]}
    assert ("variant_churn", "provider 0", "private variants") in found
    assert ("best_of_n", "m0-exp", "N not disclosed") in found
    assert ("version_mismatch", "m0-open", "another checkpoint") in found
    assert ("benchmark_claim", "m1", "claims too much on GSM8K") in found
    assert ("sampling_fairness", "m0", "more than declared") in found
    (ring,) = [f for f in report["findings"] if f["audit"] == "lockstep"]
    assert ring["evidence"]["number"] == 6
    verdicts = {v["rule"]: v["passed"] for v in report["policy"]}
    assert (verdicts["private_variants"], verdicts["fair_sampling"]) == (False, False)

    people_are_told(report)

    opened = [a for a in run("alerts") if a["detector"] in report["audits"]]
    sure = [f for f in report["findings"] if f["discovery"] is not False]
    assert {f["discovery"] for f in report["findings"] if f["p_value"] is None} == {None}
    assert report["hypotheses"]["discoveries"] == sum(f["discovery"] is True for f in report["findings"]) > 0
    assert len(opened) == len(sure) == report["alerts"]["told"]
    assert {a["state"] for a in opened} == {"open"}
    assert all(a["evidence"]["what"] for a in opened)

    for alert in opened:
        result = CliRunner().invoke(app, ["alerts", "show", alert["id"]])
        assert result.exit_code == 0, result.output
        assert "How unlikely: " in result.stdout
        assert "INTEGRITY_FALSE_SHARE" in result.stdout or "a fact" in result.stdout
        assert "A sweep that no longer finds it clears the alert" in " ".join(result.stdout.split())
        moved = CliRunner().invoke(app, ["alerts", "ack", alert["id"], "--name", "ann", "--reason", "seen"])
        assert moved.exit_code == 0, moved.output

    assert run("sweep", code=1)["findings"] == report["findings"]
    assert len([a for a in run("alerts") if a["detector"] in report["audits"]]) == len(opened)

    more = tmp_path / "more.jsonl"
    gone = [event(400 + k, 5.5, "model.retracted", model=f"m0-variant{k}", reason="done") for k in range(12)]
    more.write_text("".join(json.dumps(e) + "\n" for e in gone))
    run("work", "--source", str(tmp_path / "votes.jsonl"), "--registry", str(more), "--until-end")
    again = run("sweep", code=1)
    # What was too many stays a finding after the tests ended: the policy is about the whole period.
    assert again["alerts"]["cleared"] == 0
    (churn,) = [f for f in again["findings"] if f["audit"] == "variant_churn"]
    assert (churn["evidence"]["now"], len(churn["evidence"]["variants"])) == (0, 14)
    assert {v["rule"]: v["passed"] for v in again["policy"]}["private_variants"] is False


@pytest.mark.long
@pytest.mark.usefixtures("url")
def test_another_policy_is_evaluated_and_an_invalid_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, made_votes(1.0, 0), [*made_registry(), *scandals()])
    mine = tmp_path / "mine.toml"
    mine.write_text("[private_variants]\nmost = 20\n")
    (verdict,) = run("sweep", "--policy", str(mine), code=1)["policy"]
    assert (verdict["rule"], verdict["passed"], verdict["parameters"]) == ("private_variants", True, {"most": 20})
    monkeypatch.setenv("INTEGRITY_POLICY", str(mine))  # as for the scheduled sweep
    assert [one["rule"] for one in run("sweep", code=1)["policy"]] == ["private_variants"]
    monkeypatch.delenv("INTEGRITY_POLICY")
    for text in ("[private_variants]\nleast = 3\n", "[no_such_rule]\n", "[private_variants]\nmost = -1\n", "not toml"):
        mine.write_text(text)
        result = CliRunner().invoke(app, ["sweep", "--policy", str(mine)])
        assert type(result.exception).__name__ == "Usage", text


def styled(votes: list[dict[str, Any]], categories: int) -> list[dict[str, Any]]:
    """The same votes with style counts (m6 writes twice as much as the others), tasks, and prompts asked again."""
    rng = np.random.default_rng(9)
    for n, one in enumerate(votes):
        for side in ("a", "b"):
            mean = 400 if one[f"model_{side}"] == "m6" else 200
            counts = {"headers": 1, "lists": int(rng.integers(0, 4)), "bold": 2, "emoji": 0}
            one[f"style_{side}"] = {"tokens": int(rng.normal(mean, 50)), **counts}
        one["category"] = f"task {n % categories}"
        one["prompt_hash"] = f"p{n % 4_000}"
    return votes


def versions() -> list[dict[str, Any]]:
    """m6 is tested and m7 released in its place, with a digest; the family of m3 gains on arena-like prompts alone."""
    family = {"provider": "provider 3", "visibility": "public", "license": "open", "family": "three"}
    scores = [("m3", "arena", 23.5, True), ("m3", "plain", 66.5, False), ("m3-b", "arena", 49.9, True)]
    results = [*scores, ("m3-b", "plain", 65.9, False)]
    return [
        event(500, -1.9, "model.submitted", model="m3", **family),
        event(501, -1.8, "model.submitted", model="m3-b", **family),
        event(502, 2, "model.released", model="m6", checkpoint_digest="public", variants_tested=9, **{"as": "m7"}),
        event(503, -1.7, "model.submitted", model="m6", provider="provider 2", visibility="public",
              license="proprietary", checkpoint_digest="tested"),
        *(
            event(510 + k, 3, "benchmark.result", model=m, benchmark=b, score=s, n=500, evaluator="a lab", arena_like=a)
            for k, (m, b, s, a) in enumerate(results)
        ),
    ]  # fmt: skip


@pytest.mark.long
@pytest.mark.usefixtures("url")
def test_releases_results_and_the_board_s_own_snapshots_are_audited(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes = styled(made_votes(1.0, 0), 3)
    filled(tmp_path, votes, [*made_registry(), *versions()])
    other = tmp_path / "usage.csv"
    other.write_text("snapshot,model,score,votes\n" + "".join(f"2026-03-06,{m},1{k},9\n" for k, m in enumerate(MODELS)))
    monkeypatch.setenv("INTEGRITY_SECOND_BOARD", str(other))
    report = run("sweep", code=1)
    found = {(f["audit"], f["subject"]["id"], f["direction"]): f for f in report["findings"]}
    assert found["version_mismatch", "m7", "another checkpoint"]["evidence"]["released"] == "public"
    style = found["version_mismatch", "m7", "another style: tokens"]["evidence"]
    assert style["d"] == pytest.approx(200 / 50, rel=0.05)
    assert ("version_mismatch", "m7", "another style: lists") not in found
    assert found["arena_gap", "m3-b", "gains on arena more than on plain"]["evidence"]["base"] == "m3"
    assert any(audit == "prompt_duplication" for audit, _, _ in found)
    audits = report["audits"]
    (one,) = audits["best_of_n"]["releases"]
    mine = [vote["cast_at"] <= at(2) for vote in votes if "m6" in (vote["model_a"], vote["model_b"])]
    kept = float(np.mean(mine))
    assert one["bounds"] == pytest.approx([one["raw"] - expected_max(9) * one["se"] * kept**0.5, one["raw"]])
    expected = best_of_n_interval(one["raw"], 9, one["se"], kept=kept)
    assert one["corrected_interval"] == pytest.approx([expected.lower, expected.upper])
    assert audits["task_mix"]["tasks"] == ["task 0", "task 1", "task 2"]
    assert audits["second_opinion"]["common"] == 8
    assert audits["fragility"]["places"][0]["above"] == audits["fragility"]["first"]
    assert "two days" in audits["top_churn"]["not looked at"]

    more = tmp_path / "more.jsonl"
    late = [vote(9_000 + n, f"late {n}", 5.99, 1 + n % 7, 0, 1, f"late {n}") for n in range(40)]
    more.write_text("".join(json.dumps(one) + "\n" for one in late))
    run("work", "--source", str(more), "--until-end")
    run("refresh")
    store = open_store(url, voter_key=bytes.fromhex(KEY))
    falls_are_found_by_the_database_as_by_the_audit(store)
    votes_are_read_alike_in_blocks_of_any_size(store, monkeypatch)
    with store.write() as connection:  # as if the second one were of the next day
        s = schema.snapshot.c
        day = 24 * 3600 * 1_000_000
        connection.execute(schema.snapshot.update().where(s.sequence == 2).values(published_at=s.published_at + day))
    store.close()
    top = run("sweep", code=1)["audits"]["top_churn"]
    assert (top["days"], top["overtakings"], top["changes"], top["p_value"]) == (2, 0, [], 1.0)
    assert top["by_chance_at_most"] >= 0

    rows = [f"2026-03-06,{m},{100 - k},10" for k, m in enumerate(reversed(MODELS))]
    other.write_text("snapshot,model,score,votes\n" + "\n".join(rows) + "\n")
    opinion = run("sweep", "--against", str(other), code=1)["audits"]["second_opinion"]
    assert (opinion["common"], opinion["tau"] < -0.5) == (8, True)
    assert opinion["apart"][0]["model"] in MODELS
    monkeypatch.setenv("INTEGRITY_SECOND_BOARD", str(tmp_path / "none.csv"))
    assert isinstance(CliRunner().invoke(app, ["sweep"]).exception, Usage)
