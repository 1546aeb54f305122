"""Votes whose id is known: the first counts, and a repeat with other content raises an alert."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from pipeline.detectors import VOTER
from pipeline.events import Vote
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store.db import schema
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker

STYLE = {"tokens": 5, "headers": 1, "lists": 2, "bold": 3, "emoji": 4}
BARE = {
    "schema": 1,
    "vote_id": "v-1",
    "cast_at": "2024-07-01T12:00:00Z",
    "model_a": "ant",
    "model_b": "bee",
    "winner": "model_a",
}
FULL = {
    **BARE,
    "voter_id": "alice",
    "language": "de",
    "category": "maths",
    "prompt_hash": "p1",
    "network": "n1",
    "voter_since": "2024-06-30T12:00:00Z",
    "style_a": STYLE,
    "style_b": {**STYLE, "tokens": 6},
    "anonymous": True,
    "refusal": False,
    "deduplicated": False,
    "identity_leak": True,
    "turn": 1,
    "session": "s",
    "categories": ["code", "hard"],
}
DIFFERENT = {
    "cast_at": "2024-07-01T12:00:00.000001Z",
    "model_a": "cat",
    "model_b": "cat",
    "winner": "tie",
    "voter_id": "bob",
    "language": "fr",
    "category": "code",
    "prompt_hash": "p2",
    "network": "n2",
    "voter_since": "2024-06-30T12:00:00.000001Z",
    "style_a": {**STYLE, "lists": 7},
    "style_b": {**STYLE, "tokens": 7},
    "anonymous": False,
    "refusal": True,
    "deduplicated": True,
    "identity_leak": False,
    "turn": 2,
    "session": "t",
    "categories": ["code"],
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("postgres_store"))


def repeats(url: str, records: list[dict[str, Any]], folder: Path, batch: int) -> tuple[list[bool], int, list[bytes]]:
    """Whether each repeat was found to say the same; votes stored; what the alerts say."""
    file = folder / "votes.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    options = Settings(voter_key="11" * 32, batch_votes=batch)
    store = open_store(url, voter_key=options.key, worker=True)
    Worker(FileSource(file), store, options, VOTER, "test").run(until_end=True)
    with store.read() as connection:
        d = schema.duplicate.c
        same = connection.scalars(sa.select(d.same_body).order_by(d.offset)).all()
        stored = connection.scalar(sa.select(sa.func.count()).select_from(schema.vote))
        output = connection.scalars(sa.select(schema.alert.c.evidence)).all()
    store.close()
    return list(same), int(stored or 0), list(output)


def test_every_field_of_a_vote_is_in_the_table_of_differences() -> None:
    assert {f.name for f in msgspec.structs.fields(Vote)} == {*DIFFERENT, "schema", "vote_id"}


@pytest.mark.long
@pytest.mark.parametrize("batch", [1, 1000])
def test_a_repeat_that_differs_in_any_field_is_no_duplicate(url: str, tmp_path: Path, batch: int) -> None:
    changed = [FULL | {name: value} for name, value in DIFFERENT.items()]
    changed += [{k: v for k, v in FULL.items() if k != name} for name in DIFFERENT if name not in BARE]
    same, stored, alerts = repeats(url, [FULL, *changed], tmp_path, batch)
    assert stored == 1
    assert same == [False] * len(changed)
    # Of one voter there is one alert, of votes without a voter another.
    assert 2 <= len(alerts) <= len(changed)
    assert all("alice" not in alert for alert in alerts)


@pytest.mark.long
@pytest.mark.parametrize("batch", [1, 1000])
@pytest.mark.parametrize("record", [BARE, FULL], ids=["bare", "full"])
def test_a_repeat_with_the_same_content_is_a_duplicate_however_it_was_written(
    url: str, tmp_path: Path, batch: int, record: dict[str, Any]
) -> None:
    rewritten = {**dict(reversed(record.items())), "unknown": 1}
    same, stored, alerts = repeats(url, [record, record, rewritten], tmp_path, batch)
    assert (same, stored, alerts) == ([True, True], 1, [])


@pytest.mark.parametrize("lacking", [("prompt_hash", "identity_leak"), ("identity_leak",)])
def test_a_repeat_with_what_its_text_says_is_a_duplicate(url: str, tmp_path: Path, lacking: tuple[str, ...]) -> None:
    """`publish` reads the text of a file, and `work` reads the same file without it."""
    stored_first = {name: value for name, value in FULL.items() if name not in lacking}
    same, stored, alerts = repeats(url, [stored_first, FULL], tmp_path, 1)
    assert (same, stored, alerts) == ([True], 1, [])
