"""The style view, from votes in a store to `leaderboard --view style`, and the reasons for its absence."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli.commands import app
from pipeline.cli.main import main
from pipeline.detectors import VOTER
from pipeline.errors import Usage, VerificationFailed
from pipeline.events.pseudonym import format_pseudonym
from pipeline.open_store import open_store
from pipeline.ratings import encode_battles, fit_style, style_contrast
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.boards import exclusion_list, snapshots
from pipeline.store.db import schema
from pipeline.store.log import sealed_styles
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "golden/small_votes.csv").read_text("utf-8").splitlines()))
EXPECTED = json.loads((Path(__file__).parents[1] / "golden/small_votes_expected.json").read_text("utf-8"))
FEATURES = ("tokens", "headers", "lists")
OPTIONS = Settings(voter_key="cd" * 32, anchor="")
POINTS = 400 / np.log(10)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("postgres_store"))


@pytest.fixture(autouse=True)
def _a_part_for_each_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_styles, "PART_LEAVES", 1)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with configuration.override(OPTIONS):
        opened = open_store(url, voter_key=OPTIONS.key, worker=True)
        yield opened
        opened.close()


def event(number: int, row: dict[str, str], *, style: bool = True) -> bytes:
    made: dict[str, Any] = {
        "schema": 1,
        "vote_id": f"vote {number}",
        # A vote a minute: one a second is faster than anybody reads, and such a voter is excluded.
        "cast_at": f"2026-03-{1 + number // 1440:02}T{number // 60 % 24:02}:{number % 60:02}:00Z",
        **{name: row[name] for name in ("model_a", "model_b", "winner")},
    }
    if row["voter"]:
        made["voter_id"] = row["voter"]
    if style:
        made |= {f"style_{s}": {name: int(row[f"{name}_{s}"]) for name in FEATURES} for s in "ab"}
    return json.dumps(made).encode()


def work(store: Store, path: Path, events: list[bytes]) -> None:
    path.write_bytes(b"\n".join(events) + b"\n")
    Worker(FileSource(path), store, OPTIONS, VOTER, "test").run(until_end=True)


def shown(url: str, *options: str) -> dict[str, Any]:
    assert main.__module__
    done = CliRunner().invoke(app, ["leaderboard", "--store", url, *options, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.long
def test_the_view_is_the_fit_of_the_votes_in_two_segments(store: Store, url: str, tmp_path: Path) -> None:
    events = [event(k, row) for k, row in enumerate(ROWS)]
    work(store, tmp_path / "one.jsonl", events[:500])
    jobs.refresh_board(url)
    work(store, tmp_path / "two.jsonl", events[500:])
    jobs.refresh_board(url)
    found = shown(url, "--view", "style")
    by_model = {row["model"]: row for row in found["rows"]}
    expected = EXPECTED["style"]
    ratings = [by_model[model]["rating"] for model in EXPECTED["models"]]
    assert ratings == pytest.approx(1000 + np.array(expected["theta"]) * POINTS, abs=0.0051)
    assert [c["coefficient"] for c in found["coefficients"]] == pytest.approx(expected["coefficients"], abs=1e-6)
    assert [c["feature"] for c in found["coefficients"]] == list(FEATURES)
    plain = {row["model"]: row["rating"] for row in shown(url, "--view", "defended")["rows"]}
    assert [plain[model] for model in EXPECTED["models"]] == pytest.approx(
        1000 + np.array(EXPECTED["theta"]) * POINTS, abs=0.0051
    )
    checked = jobs.verify_ledger(url)
    assert checked["snapshots"] == 2
    with configuration.override(OPTIONS.model_copy(update={"compute": "processes://2"})):
        assert jobs.verify_ledger(url) == checked


@pytest.mark.long
def test_excluded_votes_are_not_in_it(store: Store, url: str, tmp_path: Path) -> None:
    events = [event(k, row) for k, row in enumerate(ROWS)]
    for name, some in (("one", events[:700]), ("two", events[700:])):
        work(store, tmp_path / f"{name}.jsonl", some)
        jobs.refresh_board(url)
    with store.write() as connection:
        label = format_pseudonym(store.pseudonym("voter-1"))
        exclusion_list.add_entry(connection, "exclude", "voter", label, "test", "tester", 1)
    jobs.refresh_board(url)
    kept = [row for row in ROWS if row["voter"] != "voter-1"]
    models, a, b, outcome = encode_battles(*([row[name] for row in kept] for name in ("model_a", "model_b", "winner")))
    of_a, of_b = ([np.array([int(row[f"{name}_{s}"]) for row in kept]) for name in FEATURES] for s in "ab")
    fitted = fit_style(models, a, b, outcome, style_contrast(of_a, of_b, FEATURES), features=FEATURES)
    found = shown(url, "--view", "style")
    assert [c["coefficient"] for c in found["coefficients"]] == pytest.approx(fitted.coefficients, abs=1e-6)
    assert sum(row["votes"] for row in found["rows"]) == 2 * len(kept)
    jobs.verify_ledger(url)


@pytest.mark.long
def test_votes_that_the_method_leaves_out_are_not_in_it(store: Store, url: str, tmp_path: Path) -> None:
    refused = [json.loads(event(k, row)) | {"refusal": k % 5 == 2} for k, row in enumerate(ROWS)]
    work(store, tmp_path / "votes.jsonl", [json.dumps(one).encode() for one in refused])
    jobs.refresh_board(url)
    kept = [row for k, row in enumerate(ROWS) if k % 5 != 2]
    found = shown(url, "--view", "style")
    assert sum(row["votes"] for row in found["rows"]) == 2 * len(kept)
    with configuration.override(OPTIONS.model_copy(update={"method": "none"})):
        jobs.refresh_board(url)
    assert sum(row["votes"] for row in shown(url, "--view", "style")["rows"]) == 2 * len(ROWS)
    jobs.verify_ledger(url)


@pytest.mark.long
def test_votes_without_style_leave_the_other_views_and_say_so(store: Store, url: str, tmp_path: Path) -> None:
    work(store, tmp_path / "votes.jsonl", [event(k, row, style=False) for k, row in enumerate(ROWS)])
    jobs.refresh_board(url)
    with pytest.raises(Usage, match="no counted vote has style counts of both answers"):
        shown(url, "--view", "style")
    assert len(shown(url, "--view", "raw")["rows"]) == 6
    jobs.verify_ledger(url)


@pytest.mark.long
def test_a_style_that_decides_every_vote_stops_no_other_view(store: Store, url: str, tmp_path: Path) -> None:
    decided = [
        {**row, "winner": "model_a" if int(row["tokens_a"]) > int(row["tokens_b"]) else "model_b"}
        for row in ROWS
        if row["tokens_a"] != row["tokens_b"]
    ]
    work(store, tmp_path / "votes.jsonl", [event(k, row) for k, row in enumerate(decided)])
    jobs.refresh_board(url)
    with pytest.raises(Usage, match="got none for tokens: the answer with more tokens never loses"):
        shown(url, "--view", "style")
    with store.read() as connection:
        newest = snapshots.latest(connection)
    assert newest is not None
    assert set(newest.body["views"]) == {"raw", "defended"}


@pytest.mark.long
def test_verify_finds_style_counts_that_were_changed(store: Store, url: str, tmp_path: Path) -> None:
    work(store, tmp_path / "votes.jsonl", [event(k, row) for k, row in enumerate(ROWS)])
    jobs.refresh_board(url)
    v = schema.vote.c
    with store.write() as connection:
        raw = connection.scalar(sa.select(v.style).where(v.offset == 3))
        changed = np.frombuffer(bytes(raw), dtype="<i4").copy()
        changed[0] += 1
        connection.execute(sa.update(schema.vote).where(v.offset == 3).values(style=changed.tobytes()))
    with pytest.raises(VerificationFailed, match="leaf 3: expected vote vote 3 as it was sealed"):
        jobs.verify_ledger(url)
    with (
        configuration.override(OPTIONS.model_copy(update={"compute": "processes://2"})),
        pytest.raises(VerificationFailed, match="leaf 3: expected vote vote 3 as it was sealed"),
    ):
        jobs.verify_ledger(url)
