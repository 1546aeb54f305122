"""Registry events that contradict others are stored, have no effect and are shown with their reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.open_store import open_store
from pipeline.store import Store
from pipeline.store.votes import registry_events

KEY = "6b" * 32


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", KEY)
    url = str(tmp_path / "b.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    monkeypatch.setenv("INTEGRITY_STORE", url)
    opened = open_store(url, voter_key=bytes.fromhex(KEY))
    yield opened
    opened.close()


def line(number: int, kind: str, **more: object) -> str:
    at = f"2026-03-0{number}T00:00:00Z"
    return json.dumps({"schema": 1, "event_id": f"e{number}", "at": at, "type": f"model.{kind}", **more}) + "\n"


def test_contradictions_are_listed_until_what_they_rest_on_arrives(store: Store, tmp_path: Path) -> None:
    mine = {"model": "ant", "provider": "acme", "visibility": "private", "license": "open"}
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(line(3, "released", model="ant") + line(4, "retracted", model="ant", reason="withdrawn"))
    second.write_text(line(2, "submitted", **mine) + line(5, "submitted", **(mine | {"provider": "other"})))

    assert registry_events.load_file(store, first) == 2
    assert [(r["origin"], r["reason"]) for r in shown()] == [("e3", "unknown_variant")]
    assert registry_events.load_file(store, second) == 2
    found = shown()
    assert [(r["origin"], r["reason"]) for r in found] == [("e4", "retracted_after_release"), ("e5", "two_owners")]
    assert {(r["source"], r["partition"]) for r in found} == {("registry", 0)}
    assert "expected ant of acme, got a submission by other" in found[1]["detail"]


def shown() -> list[dict]:
    result = CliRunner().invoke(app, ["rejects", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
