"""Invalid records are stored with a reason and do not affect other votes, over a real Kafka and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pipeline.detectors import VOTER
from pipeline.devstack import KafkaServer
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store.read import store_figures
from pipeline.stream.kafka_publisher import create_producer, create_topics
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from tests.command import called

KEY = "5a" * 32
GOOD = 2_000
NOW = datetime.now(UTC)


def vote(n: int, **other: Any) -> dict[str, Any]:
    a, b = (("m1", "m2"), ("m2", "m3"), ("m3", "m1"))[n % 3]
    return {
        "schema": 1,
        "vote_id": f"v{n}",
        "voter_id": f"clear-voter-{n % 200:03}",
        "cast_at": (NOW - timedelta(seconds=GOOD - n)).isoformat(),
        "model_a": a,
        "model_b": b,
        "winner": ("model_a", "model_b", "tie", "both_bad")[hashlib.sha256(b"%d" % n).digest()[0] % 4],
        **other,
    }


def text(n: int, **other: Any) -> str:
    return json.dumps(vote(n, **other), ensure_ascii=False)


def with_raw(n: int, name: str, raw: str) -> bytes:
    """A vote with one more field, as it is written."""
    return f'{text(n)[:-1]}, "{name}": {raw}}}'.encode()


# What is sent → why it is no vote.
POISON: dict[str, tuple[bytes | None, str]] = {
    "no value": (None, "empty"),
    "no bytes": (b"", "empty"),
    "bytes": (bytes(range(256)), "bad_utf8"),
    "bad UTF-8 in the voter": (text(1).encode().replace(b"clear-voter", b"clear-voter\xff"), "bad_utf8"),
    "10 MB": (with_raw(2, "category", '"' + "x" * 10_000_000 + '"'), "too_large"),
    "100,000 brackets": (b"[" * 100_000, "too_large"),
    "20,000 brackets": (b"[" * 20_000, "too_deep"),
    "10,000 objects": (b'{"a":' * 10_000, "too_deep"),
    "20,000 brackets in an unknown field": (with_raw(3, "more", "[" * 20_000 + "]" * 20_000), "too_deep"),
    "30 levels in an unknown field": (with_raw(3, "more", "[" * 30 + "]" * 30), "too_deep"),
    "NaN": (with_raw(4, "style_a", '{"tokens": NaN}'), "malformed"),
    "NaN in an unknown field": (with_raw(4, "more", "NaN"), "malformed"),
    "NaN behind another outcome": (text(4, winner="draw", more=float("nan")).encode(), "malformed"),
    "infinity": (with_raw(4, "style_a", '{"tokens": 1e999}'), "malformed"),
    "infinity in an unknown field": (with_raw(4, "more", "1e999"), "malformed"),
    "infinity behind another outcome": (
        with_raw(4, "more", "[-1e999]").replace(b'"winner": "', b'"winner": "no '),
        "malformed",
    ),
    "a key twice": (with_raw(5, "winner", '"model_a"'), "duplicate_key"),
    "a number as model": (text(6, model_a=7).encode(), "wrong_type"),
    "a list": (b"[1, 2]", "wrong_type"),
    "null": (b"null", "wrong_type"),
    "two documents": (text(7).encode() * 2, "malformed"),
    "no winner": (json.dumps({k: v for k, v in vote(8).items() if k != "winner"}).encode(), "missing_field"),
    "another outcome": (text(9, winner="draw").encode(), "unknown_outcome"),
    "a time that is none": (text(10, cast_at="yesterday").encode(), "bad_time"),
    "a time without a zone": (text(10, cast_at="2026-01-01T00:00:00").encode(), "bad_time"),
    "another major schema": (text(11, schema=2).encode(), "unknown_schema"),
    "a model against itself": (text(12, model_a="m1", model_b="m1").encode(), "self_battle"),
    "text that reads backwards": (text(13, model_a="m\u202e1").encode(), "text"),
    "text in another normal form": (text(14, model_a="e\u0301").encode(), "text"),
    "NUL": (json.dumps(vote(15, model_a="m\x00")).encode(), "text"),
    "half a pair of surrogates": (text(16).replace('"m', '"\\ud800m').encode(), "malformed"),
}


@pytest.fixture
def topic(kafka_server: KafkaServer) -> str:
    name = f"votes.{uuid.uuid4().hex[:10]}"
    create_topics(kafka_server.bootstrap, settings(name), name, 4)
    return name


def settings(name: str) -> Settings:
    return Settings(topic_alerts=f"{name}.alerts", topic_rejected=f"{name}.rejected")


def send(bootstrap: str, topic: str, values: Sequence[bytes | None]) -> list[tuple[int, int]]:
    """Send values to the four partitions in turn; where each one stands."""
    client = create_producer(bootstrap)
    headers = [("ce_origin", b"a\x00file#1")]  # a header may hold anything
    futures = [client.send(topic, value=v, key=b"key", headers=headers, partition=i % 4) for i, v in enumerate(values)]
    places = [future.get(timeout=60) for future in futures]
    client.close()
    return [(place.partition, place.offset) for place in places]


def integrity(topic: str, *words: str, code: int = 0, **more: str) -> Any:
    names = {"INTEGRITY_TOPIC_ALERTS": f"{topic}.alerts", "INTEGRITY_TOPIC_REJECTED": f"{topic}.rejected"}
    variables = names | {"INTEGRITY_VOTER_KEY": KEY, "INTEGRITY_SESSION_SECONDS": "6"} | more
    done = called(*words, "--json", settings=variables)
    assert done.returncode == code, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


@pytest.fixture
def database(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def places_with(connection: psycopg.Connection, secret: bytes) -> list[str]:
    """Every column of every table that holds these bytes."""
    columns = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'bytea')"
    ).fetchall()
    assert len(columns) > 30
    found = []
    for table, column, kind in columns:
        cell = sql.Identifier(column)
        raw = cell if kind == "bytea" else sql.SQL("convert_to({}, 'UTF8')").format(cell)
        query = sql.SQL("SELECT count(*) FROM {} WHERE position(%s::bytea IN {}) > 0")
        [count] = connection.execute(query.format(sql.Identifier(table), raw), [secret]).fetchone() or [0]
        if count:
            found.append(f"{table}.{column}")
    return found


@pytest.mark.long
def test_poison_is_kept_with_place_reason_and_digest_and_every_good_vote_counts(
    kafka_server: KafkaServer, topic: str, postgres_url: str, database: psycopg.Connection
) -> None:
    values: list[bytes | None] = [json.dumps(vote(n)).encode() for n in range(GOOD)]
    future = text(0, vote_id="future", cast_at=(NOW + timedelta(days=400)).isoformat()).encode()
    names = [*POISON, "future"]
    for at, name in zip(sorted(random.Random(4).sample(range(GOOD), len(names))), names, strict=True):  # noqa: S311
        values.insert(at, future if name == "future" else POISON[name][0])
    places = dict(zip(send(kafka_server.bootstrap, topic, values), values, strict=True))

    source = f"{kafka_server.url}/{topic}"
    done = integrity(topic, "work", "--source", source, "--store", postgres_url, "--until-end")
    counts = {name: done[name] for name in ("read", "accepted", "rejected", "quarantined", "late", "duplicate")}
    assert counts == {
        "read": GOOD + len(names), "accepted": GOOD, "rejected": len(POISON), "quarantined": 1, "late": 0,
        "duplicate": 0,
    }  # fmt: skip
    rows = database.execute(
        'SELECT p.number, r."offset", reason, sha256, sample, origin'
        " FROM reject r JOIN partition p USING (partition_no)"
    ).fetchall()
    reasons = {hashlib.sha256(value or b"").digest(): reason for value, reason in POISON.values()}
    for number, offset, reason, digest, sample, origin in rows:
        sent = places[number, offset]
        assert digest == hashlib.sha256(sent or b"").digest()
        expected = reasons[digest] if sent else "empty"
        assert (reason, origin) == (expected, r"a\0file#1"), (sent or b"")[:300]
        assert len(sample) <= 64 * 1024
    stored = database.execute("SELECT vote_id, fate FROM vote").fetchall()
    assert {vote_id for vote_id, fate in stored if fate == 0} == {f"v{n}" for n in range(GOOD)}
    assert [vote_id for vote_id, fate in stored if fate] == ["future"]
    with open_store(postgres_url, voter_key=bytes.fromhex(KEY)).read() as connection:
        assert store_figures.find_gaps(connection) == []
    assert places_with(database, b"clear-voter") == []


@pytest.mark.long
@pytest.mark.parametrize(
    "written",
    [
        '"voter_id": "SECRET"',
        '"voter_id" :\n\t"SECRET"',
        '"voter_id": "SECRET", "voter_id": "SECRET"',
        '"voter_id": "SECRET\\"SECRET"',
        '"more": {"voter_id": "SECRET"}',
        '"voter_id": "SECRET',
        '"voter_id": "SECRET\\u200b"',
        '"voter\\u005fid": "SECRET"',
        '"voter_id": ["SECRET"]',
        '"voter_id": {"name": "SECRET"}',
    ],
)
def test_a_reject_never_contains_its_voter_however_it_is_written(
    written: str, postgres_url: str, tmp_path: Path
) -> None:
    rest = json.dumps({k: v for k, v in vote(1, model_a="m1", model_b="m1").items() if k != "voter_id"})
    path = tmp_path / "votes.jsonl"
    path.write_text(f"{{{written}, {rest[1:]}\n".replace("\n\t", " ") + text(2) + "\n")
    store = open_store(postgres_url, voter_key=bytes.fromhex(KEY))
    tally = Worker(FileSource(path), store, Settings(), VOTER, "test").run(until_end=True)
    store.close()
    assert (tally.accepted, tally.rejected) == (1, 1)
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        assert places_with(connection, b"SECRET") == []


@pytest.mark.long
def test_a_topic_of_poison_stops_the_worker_before_it_is_drained_and_leaves_an_alert(
    kafka_server: KafkaServer, topic: str, postgres_url: str, database: psycopg.Connection
) -> None:
    send(kafka_server.bootstrap, topic, [f"deploy {n} went wrong".encode() for n in range(2_000)])
    words = ("work", "--source", f"{kafka_server.url}/{topic}", "--store", postgres_url, "--until-end")
    ended = integrity(topic, *words, code=3, INTEGRITY_BATCH_VOTES="300")
    assert ended["error"] == "TooManyRejects"
    assert "records in a row are no votes" in ended["message"]
    [(rejected,)] = database.execute("SELECT count(*) FROM reject").fetchall()
    assert 200 <= rejected <= 300
    assert database.execute("SELECT sum(next_offset) FROM partition").fetchall() == [(rejected,)]

    [alert] = integrity(topic, "alerts", "--store", postgres_url)
    reported = (alert["detector"], alert["direction"], alert["severity"], alert["state"])
    assert reported == ("worker_halted", "too_many_rejects", "critical", "open")
    assert alert["evidence"]["runbook"] == "deploy/runbooks/too-many-rejects.md"
    assert integrity(topic, "alerts", "--check", "--store", postgres_url, code=1) == [alert]
