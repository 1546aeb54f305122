"""A raw log gives the same votes on every road: a worker, `publish`, `convert`. No id leads to a conversation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline.events import decode_votes
from pipeline.formats import ColumnMapping
from pipeline.formats.line_events import LineEvents
from pipeline.formats.vote_ids import VoteIds
from pipeline.open_store import open_store
from pipeline.store.db import schema
from pipeline.stream.text_checks import open_text_reading
from tests.command import called

KEY = "5d" * 32
LEAK, OTHER = "I am GPT-4, made by OpenAI.", "That is a good question."
PROMPTS = (
    "Tell me a long story about a fox that crosses a frozen river in winter",
    "tell me a long story about a fox that crosses a frozen river in winter!!",
    "Tell me a long story about a fox that crosses the frozen river in winter",
    "What is two and two?",
)


def action(n: int) -> dict[str, Any]:
    states = [
        {
            "model_name": name,
            "conv_id": f"conversation-{n}-{side}",
            "messages": [["USER", PROMPTS[n % 4]], ["ASSISTANT", LEAK if n % 3 == 0 else OTHER]],
            "offset": 0,
        }
        for side, name in (("a", "gpt-4"), ("b", "vicuna-13b"))
    ]
    return {"tstamp": 1.7e9 + n, "type": "tievote", "models": ["", ""], "states": states, "ip": f"198.51.100.{n % 7}"}


def work(store: Path, path: Path, *words: str, **more: str) -> Any:
    settings = {"INTEGRITY_VOTER_KEY": KEY, **more}
    words = ("work", "--source", str(path), "--store", str(store), "--until-end", "--json", *words)
    return called(*words, settings=settings)


def read(store: Path, path: Path, *words: str, **more: str) -> Any:
    done = work(store, path, *words, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stored(store: Path) -> list[tuple[Any, ...]]:
    opened, v = open_store(str(store), voter_key=bytes.fromhex(KEY), create=False), schema.vote.c
    with opened.read() as connection:
        found = sorted(map(tuple, connection.execute(sa.select(v.vote_id, v.prompt, v.flags, v.session, v.turn))))
    opened.close()
    return found


def write(path: Path, first: int, end: int) -> None:
    with path.open("a") as log:
        log.writelines(json.dumps(action(n)) + "\n" for n in range(first, end))


def test_a_worker_stores_what_publish_sends_and_convert_writes(tmp_path: Path) -> None:
    log, store = tmp_path / "2026-01-01-conv.json", tmp_path / "board.db"
    write(log, 0, 40)
    assert read(store, log)["accepted"] == 40
    of_worker = stored(store)
    assert len({prompt for _, prompt, *_ in of_worker}) == 2  # near copies of a prompt have one hash
    assert 0 not in {prompt for _, prompt, *_ in of_worker}

    reading = open_text_reading(tmp_path / "other", bytes.fromhex(KEY))
    lines = LineEvents(ColumnMapping(id_key=bytes.fromhex(KEY)), reading.check)
    sent = [lines.event(json.dumps(action(n)).encode(), VoteIds(lines.id_key)) for n in range(40)]
    reading.close()
    votes, _, rejects = decode_votes([one for one in sent if one])
    assert not rejects
    assert sorted(vote.vote_id for vote in votes) == [row[0] for row in of_worker]
    published = tmp_path / "published.jsonl"
    published.write_bytes(b"".join(bytes(one) + b"\n" for one in sent if one))
    read(tmp_path / "published.db", published)
    assert stored(tmp_path / "published.db") == of_worker

    table = tmp_path / "votes.parquet"
    settings = {"INTEGRITY_VOTER_KEY": KEY, "INTEGRITY_STORE": str(tmp_path / "converted.db")}
    done = called("convert", str(log), str(table), "--json", settings=settings)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text_checks"] == {"battles": 40, "identity_leaks": 14}
    read(tmp_path / "converted.db", table)
    assert stored(tmp_path / "converted.db") == of_worker
    assert "conversation-" not in json.dumps([row[0] for row in of_worker])
    assert all(re.fullmatch("[0-9a-f]{64}", row[0]) for row in of_worker)


def test_a_log_that_grew_is_recognised_whatever_its_prompts_are_copies_of(tmp_path: Path) -> None:
    log, store = tmp_path / "2026-01-01-conv.json", tmp_path / "board.db"
    write(log, 0, 20)
    read(store, log)
    for file in (tmp_path / "board.db.publish").glob("prompts-*"):
        file.unlink()  # nothing is remembered: the next copy of a prompt is the first of its kind
    write(log, 20, 30)
    found = read(store, log)
    assert (found["read"], found["accepted"], found["conflicting"]) == (10, 10, 0)
    unread = read(tmp_path / "unread.db", log, "--no-text-checks")
    assert unread["accepted"] == 30
    assert {row[1] for row in stored(tmp_path / "unread.db")} == {0}


def test_a_log_that_was_read_under_the_names_of_its_conversations_is_not_counted_twice(tmp_path: Path) -> None:
    log, store = tmp_path / "2026-01-01-conv.json", tmp_path / "board.db"
    write(log, 0, 20)
    read(store, log, INTEGRITY_LOG_IDS="conversation")
    assert stored(store)[0][0] == "conversation-0-a#1"
    write(log, 20, 30)
    done = work(store, log)
    assert done.returncode == 2
    assert "2026-01-01-conv.json: the store has votes of this log under the names of their conversations" in done.stderr
    assert "INTEGRITY_LOG_IDS=conversation" in done.stderr
    assert read(store, log, INTEGRITY_LOG_IDS="conversation")["accepted"] == 10
    assert len(stored(store)) == 30
