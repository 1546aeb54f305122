"""The case of 27 private variants over a store: one page whose every figure follows from registry events and snapshots.

The figures are counted again here, from the events that were written and the rows of the snapshot.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline import jobs
from pipeline.api.app import create_app
from pipeline.ratings.winners_curse import expected_max
from pipeline.store.boards import prepared_answers, snapshots
from pipeline.store.db import schema
from pipeline.store.votes import registry_events
from tests.integration import readable
from tests.integration.board_of_votes import OPTIONS, Board, using

START = datetime(2026, 3, 1, tzinfo=UTC)
VARIANTS = [f"spider-{k:02}" for k in range(1, 28)]
BEST, RELEASED = "spider-20", "maverick"
OLD = [f"old-{k}" for k in range(12)]
RIVALS = ["ant", "bee", "cat"]
LISTING = 'name = "listing"\n[listing]\nprivate_models = "hidden"\n'
DAYS, VOTES = 120, 4_000

pytestmark = pytest.mark.long


def at(day: float) -> str:
    return (START + timedelta(days=day)).isoformat().replace("+00:00", "Z")


def event(key: str, day: float, kind: str, model: str, **more: Any) -> dict[str, Any]:
    return {"schema": 1, "event_id": key, "at": at(day), "type": kind, "model": model, **more}


def submitted(day: float, model: str, provider: str, visibility: str, **more: Any) -> dict[str, Any]:
    more = {"license": "open", **more}
    return event(f"submit-{model}", day, "model.submitted", model, provider=provider, visibility=visibility, **more)


def spring() -> list[dict[str, Any]]:
    """27 variants within nine days, the best released as another model, the others withdrawn, models dropped."""
    variants = [submitted(1 + k / 3, name, "Metro", "private", family="maverick", checkpoint_digest=f"digest {name}")
                for k, name in enumerate(VARIANTS)]  # fmt: skip
    lost = [event(f"drop-{name}", 30 + k, "model.retracted", name, reason=f"{name} is over")
            for k, name in enumerate(n for n in VARIANTS if n != BEST)]  # fmt: skip
    silent = [event(f"end-{name}", 60, "model.deprecated", name, reason="old") for name in OLD[:9]]
    told = [event(f"end-{n}", 61, "model.deprecated", n, reason="old", notice_url="https://e.org/n") for n in OLD[9:11]]
    return [
        *(submitted(-5, name, "Elder", "public") for name in OLD),
        *(submitted(-5, name, "Rivals", "public", license="proprietary") for name in RIVALS),
        *variants,
        submitted(28, RELEASED, "Metro", "public", family="maverick", checkpoint_digest="another"),
        event("release", 29, "model.released", BEST, **{"as": RELEASED}),
        event("claim", 29, "benchmark.claim", RELEASED, benchmark="GSM8K", score=92.1, source="release notes"),
        event("result", 40, "benchmark.result", RELEASED, benchmark="GSM8K", score=78.8, n=1319, evaluator="a lab"),
        *lost, *silent, *told,
    ]  # fmt: skip


def votes(since: float, until: float) -> list[dict[str, Any]]:
    """Votes between two days; a model is drawn while the registry has it, and the best variant wins most."""
    rng = np.random.default_rng(int(since))
    strength = dict.fromkeys([*VARIANTS, *OLD, *RIVALS], 0.0) | {BEST: 1.2, RELEASED: -0.6}
    made = []
    for n in range(int(VOTES * (until - since) / DAYS)):
        day = since + (until - since) * n / (VOTES * (until - since) / DAYS)
        pool = [*RIVALS, *(OLD if day < 60 else OLD[11:]), *(VARIANTS if 12 <= day < 29 else []),
                *([RELEASED, BEST] if day >= 29 else [])]  # fmt: skip
        a, b = (pool[k] for k in rng.choice(len(pool), 2, replace=False))
        won = rng.random() < 1 / (1 + np.exp(strength[b] - strength[a]))
        made.append(
            {"schema": 1, "vote_id": f"v{since}-{n}", "voter_id": f"voter {rng.integers(500)}", "cast_at": at(day),
             "model_a": a, "model_b": b, "winner": "model_a" if won else "model_b"}
        )  # fmt: skip
    return made


def register(board: Board, events: list[dict[str, Any]]) -> None:
    file = board.folder / f"registry-{events[0]['event_id']}.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events))
    with board.store() as store:
        registry_events.load_file(store, file)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """The board in summer: all that happened in spring is over."""
    url = str(tmp_path / "b.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    method = tmp_path / "method.toml"
    method.write_text(LISTING)
    options = OPTIONS.model_copy(update={"method": str(method), "auto_voter": False})
    with using(options):
        made = Board(url, tmp_path, options)
        made.read(*votes(0, 50))
        register(made, spring())
        made.refresh()
        made.read(*votes(50, DAYS))
        made.refresh()
        yield made


def sentences(story: dict[str, Any], check: str) -> list[dict[str, Any]]:
    return next(list(one["sentences"]) for one in story["checks"] if one["check"] == check)


def most_at_once(events: list[dict[str, Any]]) -> int:
    """The largest number of private variants under test at the time of any event, counted in the plainest way."""
    begins = {str(e["model"]): str(e["at"]) for e in events if e.get("visibility") == "private"}
    over = {str(e["model"]): str(e["at"]) for e in events if e["type"] in ("model.retracted", "model.released")}
    times = {str(e["at"]) for e in events}
    return max(sum(begins[m] <= time < over.get(m, "9") for m in begins) for time in times)


def test_the_variants_case_is_one_page_and_every_figure_can_be_counted_again(board: Board) -> None:
    events = spring()
    jobs.sweep(board.url)
    with board.store() as store, TestClient(create_app(store)) as client:
        story = client.get("/api/v1/variants").json()
        with store.read() as connection:
            newest = snapshots.latest(connection)
            assert newest is not None
            rows = {r["model"]: r for r in snapshots.read_rows(connection, newest.snapshot_id, "defended")}
            numbers = dict(connection.execute(sa.select(schema.registry_event.c.event_id,
                                                        schema.registry_event.c.event_no)).all())  # fmt: skip
        page = client.get("/variants").text
        permanent = client.get(story["address"]).text
        same = client.get(f"/api/v1{story['address']}").json()
        provider = client.get("/provider?provider=Metro").text
        alert = client.get(f"/api/v1/alerts/{sentences(story, 'variants_at_once')[0]['alert']}").json()
    assert same == story
    assert "26 models under test or withdrawn: not listed until released." in provider
    assert "spider-20; 26 models under test or withdrawn</span>" in provider
    assert story["found"] == 6
    assert (story["since"], story["events"]) == (at(-5), max(numbers.values()))

    def proof(*kinds: str, of: list[str]) -> list[int]:
        return sorted(numbers[e["event_id"]] for e in events if e["type"] in kinds and e["model"] in of)

    others = [name for name in VARIANTS if name != BEST]
    at_once, released, withdrawn = sentences(story, "variants_at_once")
    assert (alert["detector"], alert["subject"]["id"], alert["evidence"]["now"]) == ("variant_churn", "Metro", 0)
    assert at_once["figure"] == most_at_once(events) == 27
    assert at_once["events"] == proof("model.submitted", of=VARIANTS)
    assert (released["figure"], released["events"]) == (1, proof("model.released", of=[BEST]))
    assert (withdrawn["figure"], withdrawn["events"]) == (len(others), proof("model.retracted", of=others))

    chosen, place, luck = sentences(story, "best_variant_shown")
    assert chosen["figure"] == len(VARIANTS)
    assert "did not disclose" in chosen["text"]
    rated = sorted((n for n in VARIANTS if n in rows), key=lambda n: -rows[n]["rating"])
    assert (len(rated), place["figure"]) == (27, rated.index(BEST) + 1)
    se = (rows[BEST]["upper"] - rows[BEST]["lower"]) / (2 * 1.959963984540054)
    before = sum(BEST in (v["model_a"], v["model_b"]) and v["cast_at"] <= at(29) for v in votes(0, 50))
    share = before / rows[BEST]["votes"]
    # The part of the votes from before the release has the luck of the best of 27.
    assert luck["figure"] == pytest.approx(expected_max(27) * se * share**0.5, abs=0.06)

    digest, rating, *_ = sentences(story, "other_model_released")
    assert (digest["figure"], "another" in digest["text"]) == (1, True)
    assert rating["figure"] == round(rows[BEST]["rating"] - rows[RELEASED]["rating"], 1) > 100
    assert rating["snapshots"] == [newest.snapshot_id]
    claims_and_removals_can_be_counted_again(story, events, numbers)
    the_policy_is_broken_although_all_tests_are_over(story)
    every_sentence_has_figure_time_and_proof(story, page)
    nothing_names_a_withdrawn_variant(json.dumps(story) + page + permanent)
    the_story_stays_at_its_address_and_the_next_one_tells_what_came(board, story)


def claims_and_removals_can_be_counted_again(
    story: dict[str, Any], events: list[dict[str, Any]], numbers: dict[str, int]
) -> None:
    others = [name for name in VARIANTS if name != BEST]
    lost = [numbers[e["event_id"]] for e in events if e["type"] == "model.retracted"]
    (claim,) = sentences(story, "claims")
    assert (claim["figure"], claim["events"]) == (13.3, sorted([numbers["claim"], numbers["result"]]))
    assert claim["p_value"] < 1e-6

    first, *_ = sentences(story, "withdrawn_scores")
    voted = {m for v in [*votes(0, 50), *votes(50, DAYS)] for m in (v["model_a"], v["model_b"])}
    assert (first["figure"], first["events"]) == (len(voted & set(others)), sorted(lost))
    everywhere, elder = sentences(story, "silent_removals")
    silent = [e["model"] for e in events if e["type"] == "model.deprecated" and "notice_url" not in e]
    public = [e["model"] for e in events if e.get("visibility") == "public"] + [BEST]
    assert everywhere["figure"] == elder["figure"] == len(silent) == 9
    assert "The policy also counts 26 withdrawn private variants." in everywhere["text"]
    assert (
        f"Of {len(public)} public models, 11 were removed: 2 with a public notice, 9 in silence." in everywhere["text"]
    )


def the_policy_is_broken_although_all_tests_are_over(story: dict[str, Any]) -> None:
    verdicts = {one["rule"]: one for one in story["policy"]}
    assert [verdicts[rule]["passed"] for rule in ("no_retraction", "private_variants", "public_removal")] == [False] * 3
    assert verdicts["no_retraction"]["what"] == "26 models had a score that was withdrawn"
    assert "27" in verdicts["private_variants"]["what"]


def every_sentence_has_figure_time_and_proof(story: dict[str, Any], page: str) -> None:
    listed = {one["number"]: one for one in story["registry"]}
    for check in story["checks"]:
        for one in check["sentences"]:
            assert f"{one['figure']:,.10g}" in one["text"] or f"{one['figure']:,.1f}" in one["text"], one
            assert one["events"] or one["snapshots"], one
            assert one["since"] or not one["events"], one
            assert set(one["events"]) <= listed.keys()
    assert all(f'id="event-{number}"' in page for number in listed)
    assert set(re.findall(r'href="#(event-\d+)"', page)) <= set(re.findall(r'id="(event-\d+)"', page))
    assert story["address"] in page
    assert story["bibtex"].split("\n")[0] in page


def nothing_names_a_withdrawn_variant(text: str) -> None:
    assert BEST in text
    assert [name for name in VARIANTS if name != BEST and name in text] == []


def the_story_stays_at_its_address_and_the_next_one_tells_what_came(board: Board, before: dict[str, Any]) -> None:
    late = event("late", DAYS + 1, "model.deprecated", "old-11", reason="old")
    register(board, [late])
    board.read(*votes(DAYS, DAYS + 2))
    board.refresh()
    with board.store() as store, TestClient(create_app(store)) as client:
        after = client.get("/api/v1/variants").json()
        assert client.get(f"/api/v1{before['address']}").json() == before
        assert f"/snapshots/{before['snapshot']}/variants" in client.get(f"/snapshots/{before['snapshot']}").text
        moved = client.get(f"/snapshots/{before['snapshot']}/variants", follow_redirects=False)
        assert moved.headers["location"] == before["address"]
        assert client.get(f"/snapshots/{before['snapshot']}/variants/999").status_code == 404
    assert after["address"] != before["address"]
    assert sentences(before, "silent_removals")[0]["figure"] == 9
    assert sentences(after, "silent_removals")[0]["figure"] == 10
    assert sentences(after, "variants_at_once")[0]["figure"] == 27


def test_sentences_about_a_model_under_test_are_counted_and_told_after_its_release(tmp_path: Path) -> None:
    method = tmp_path / "method.toml"
    method.write_text(LISTING)
    with using(OPTIONS.model_copy(update={"method": str(method)})):
        made = Board(str(tmp_path / "b.db"), tmp_path, OPTIONS)
        secret = submitted(-1, "secret", "Metro", "private")
        claim = event("claim of secret", 0, "benchmark.claim", "secret", benchmark="exam", score=0.95, source="a note")
        result = event("result of secret", 1, "benchmark.result", "secret", benchmark="exam", score=0.5, n=900,
                       evaluator="a lab")  # fmt: skip
        made.vote(60)
        register(made, [secret, claim, result, *(submitted(-1, n, "Rivals", "public") for n in ("ant", "bee"))])
        made.refresh()
        with made.store() as store, TestClient(create_app(store)) as client:
            answer = client.get("/api/v1/variants").text
            assert "1 more sentence is about models under test" in client.get("/variants").text
        assert "secret" not in answer
        claims = next(one for one in json.loads(answer)["checks"] if one["check"] == "claims")
        assert (claims["sentences"], claims["under_test"]) == ([], 1)
        register(made, [event("out", 2, "model.released", "secret")])
        made.vote(60)
        made.refresh()
        with made.store() as store, TestClient(create_app(store)) as client:
            (told,) = sentences(client.get("/api/v1/variants").json(), "claims")
    assert told["figure"] == 45.0


def test_a_board_without_such_findings_says_what_was_examined(tmp_path: Path) -> None:
    with closing(readable.copied(tmp_path)) as store, TestClient(create_app(store)) as client:
        story = client.get("/api/v1/variants").json()
        page = client.get("/variants").text
    assert (story["found"], story["registry"]) == (0, [])
    assert "Nothing of this kind was seen, in 6 checks." in page
    assert page.count("Nothing could be examined: there are 0") == 4
    assert "Nothing of this kind was seen among 8 public models." in page


def test_a_board_whose_registry_names_no_provider_has_the_page_too(tmp_path: Path) -> None:
    with using(OPTIONS):
        made = Board(str(tmp_path / "b.db"), tmp_path)
        made.vote(60)
        made.refresh()
        with made.store() as store, TestClient(create_app(store)) as client:
            assert "The registry names no provider, so nothing could be checked." in client.get("/variants").text
            assert client.get("/api/v1/variants").json()["checks"] == []


def test_a_store_of_a_version_without_stories_gets_one_from_the_next_refresh(tmp_path: Path) -> None:
    with using(OPTIONS):
        made = Board(str(tmp_path / "b.db"), tmp_path)
        made.vote(60)
        made.refresh()
        with made.store() as store, store.write() as connection:
            connection.execute(sa.delete(schema.prepared).where(schema.prepared.c.kind == "story"))
        made.refresh()  # without a new vote
        with made.store() as store, TestClient(create_app(store)) as client:
            assert client.get("/api/v1/variants").status_code == 200


def test_a_sentence_about_many_snapshots_takes_one_query_for_their_ids(tmp_path: Path) -> None:
    with using(OPTIONS):
        made = Board(str(tmp_path / "b.db"), tmp_path)
        made.vote(60)
        made.refresh()
        asked: list[str] = []
        with made.store() as store, TestClient(create_app(store)) as client:
            newest = client.get("/api/v1/variants").json()
            name = prepared_answers.story_name(newest["snapshot"], newest["events"])
            empty = dict.fromkeys(("since", "until", "provider", "model", "p_value", "finding"))
            fall = {**empty, "text": "a fall", "figure": 1, "unit": "vote", "events": [], "snapshots": [*range(60)]}
            check = {
                "check": "falls",
                "question": "?",
                "examined": 1,
                "unit": "models",
                "nothing": "",
                "sentences": [fall],
            }
            with store.write() as connection:
                told = prepared_answers.read(connection, name, "story") | {"checks": [check]}
                body = zlib.compress(json.dumps(told).encode())
                connection.execute(sa.update(schema.prepared).where(schema.prepared.c.name == name).values(body=body))
            sa.event.listen(store.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
            story = client.get("/api/v1" + newest["address"] + "?").json()
        assert sentences(story, "falls")[0]["snapshots"] == [newest["snapshot"]]
        assert sum("FROM snapshot" in one for one in asked) < 10


def test_a_pause_in_sampling_is_told_after_it_ended(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names, made_votes = ["ant", "bee", "cat", "dog", "eel"], []
    for n in range(6_000):
        day = n / 30  # 200 days
        pool = [m for m in names if not (m == "dog" and 70 <= day < 140) and not (m == "eel" and day >= 100)]
        a, b = (pool[k] for k in rng.choice(len(pool), 2, replace=False))
        made_votes.append(
            {"schema": 1, "vote_id": f"v{n}", "voter_id": f"voter {n % 90}", "cast_at": at(day), "model_a": a,
             "model_b": b, "winner": "model_a" if rng.random() < 0.5 else "model_b"}
        )  # fmt: skip
    notice = event("end of eel", 190, "model.deprecated", "eel", reason="old", notice_url="https://e.org/n")
    with using(OPTIONS.model_copy(update={"auto_voter": False})):
        made = Board(str(tmp_path / "b.db"), tmp_path, OPTIONS)
        made.read(*made_votes)
        register(made, [*(submitted(-1, name, "Rivals", "public") for name in names), notice])
        made.refresh()
        swept = jobs.sweep(made.url)
        with made.store() as store, TestClient(create_app(store)) as client:
            story = client.get("/api/v1/variants").json()
            page, provider = client.get("/variants").text, client.get("/provider?provider=Rivals").text
    assert 'found something: <a href="#silent_removals">models removed in silence</a>.' in page
    dog, eel = sentences(story, "silent_removals")
    assert (dog["model"], dog["figure"], dog["since"][:10], dog["until"][:10]) == ("dog", 70, at(70)[:10], at(139)[:10])
    assert "it had no vote in 70 days" in dog["text"]
    assert (eel["model"], eel["figure"], eel["since"][:10]) == ("eel", 90, at(100)[:10])
    assert "only then was its removal announced" in eel["text"]
    verdict = next(one for one in swept["policy"] if one["rule"] == "public_removal")
    assert (verdict["passed"], sorted(verdict["evidence"]["paused"])) == (False, ["dog", "eel"])
    assert "2 models were not shown for a time before any notice: dog: 0 votes in 70 days" in provider
