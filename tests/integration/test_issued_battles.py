"""Issued battles: read from their topic or refused with a reason, counted once, and tested instead of votes."""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.detectors import SamplingSkew
from pipeline.devstack import KafkaServer
from pipeline.events.chunk import Chunk
from pipeline.events.decode import decode_battles
from pipeline.open_store import open_store
from pipeline.registry import Registry
from pipeline.scoring.detector_contracts import WindowState
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.window_counter import count_votes
from pipeline.scoring.window_processor import (
    EvaluatedWindow,
    FalseAlarmLimits,
    IssuedByWindow,
    WindowNames,
    run_window_detectors,
    windows_between,
)
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.votes import issued_battles, registry_events
from pipeline.stream.battle_reader import BattleReader
from pipeline.stream.kafka_publisher import create_producer, create_topics
from pipeline.stream.registry_reader import keep_registry_current
from pipeline.stream.source import RegistryTopic
from tests.streams.independent import BoardSpec, Votes, make_board
from tests.streams.window_run import declared_registry, model_names, to_window_votes

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "b.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    with closing(open_store(url, voter_key=bytes(32))) as opened:
        yield opened


def battle(number: int, minutes: float = 0, **fields: Any) -> bytes:
    at = (START + timedelta(minutes=minutes)).isoformat()
    event = {"type": "battle.issued", "battle_id": f"b{number}", "at": at, "model_a": "alder", "model_b": "birch"}
    return json.dumps(event | fields).encode()


def append(store: Store, first: int, *values: bytes) -> list[dict[str, Any]] | None:
    offsets = np.arange(first, first + len(values))
    times, origins = np.zeros(len(values), dtype=np.int64), [f"topic#{n}" for n in offsets]
    chunk = Chunk(0, offsets, times, list(values), origins, next_offset=first + len(values))
    _, positions, rejects = decode_battles(chunk.values)
    with store.write() as connection:
        return issued_battles.append_chunk(connection, "topic", chunk, (positions, rejects))


def test_battles_are_counted_once_in_their_windows(store: Store) -> None:
    assert append(store, 0, battle(1), battle(2), battle(1), battle(3, 7)) == []
    assert append(store, 2, battle(9)) is None  # another reader has stored these offsets
    assert append(store, 4, battle(2), battle(4, category="code"), battle(5, model_b="cedar")) == []
    with store.read() as connection:
        assert issued_battles.next_offset(connection, "topic") == 7
        start = issued_battles.first_start(connection)
        assert start == int(START.timestamp() * 1e6)
        found = issued_battles.read_range(connection, start, start + 600_000_000)
    assert [one.battles for one in found.values()] == [4, 1]
    assert found[start].appearances == {"alder": 4, "birch": 3, "cedar": 1}
    assert sum(found[start].chosen.values()) == 4


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "malformed"),
        (battle(1, at="yesterday"), "bad_time"),
        (battle(1, at="1999-01-01T00:00:00Z"), "bad_time"),
        (battle(1, model_b="alder"), "self_battle"),
        (battle(1, schema=2), "unknown_schema"),
        (battle(1).replace(b'"battle_id"', b'"name"'), "missing_field"),
        (battle(1)[:-1] + b', "battle_id": "b2"}', "duplicate_key"),
    ],
)
def test_a_record_that_is_no_battle_is_a_reject_with_a_reason(store: Store, value: bytes, reason: str) -> None:
    rejects = append(store, 0, battle(1), value, battle(2))
    assert rejects is not None
    assert [(one["offset"], one["origin"]) for one in rejects] == [(1, "topic#1")]
    with store.read() as connection:
        assert [one["reason"] for one in registry_events.list_rejects(connection)] == [rejects[0]["reason"]]
        (counts,) = issued_battles.read_range(connection, 0, 2**62).values()
    assert counts.battles == 2
    assert rejects[0]["reason"] == reason


def test_a_topic_is_read_to_its_end_and_a_missing_one_is_empty(kafka_server: KafkaServer, store: Store) -> None:
    tag = uuid.uuid4().hex[:8]
    names = Settings(topic_votes=f"votes.{tag}", topic_battles=f"battles.{tag}")
    create_topics(kafka_server.bootstrap, names, names.topic_votes, 1)
    client = create_producer(kafka_server.bootstrap)
    for value in (battle(1), b"no battle", battle(2)):
        client.send(names.topic_battles, value=value, key=b"k", partition=0).get(timeout=30)
    client.close()

    def reader(topic: str) -> BattleReader:
        connect = partial(RegistryTopic, kafka_server.bootstrap, topic)
        return BattleReader(connect, store, votes_source="kafka:votes", rejected_topic=names.topic_rejected)

    halted: list[bool] = []
    for topic in (names.topic_battles, f"missing.{tag}"):
        with keep_registry_current(reader(topic), until_end=True, halt=lambda: halted.append(True)):
            pass
    assert halted == []
    with store.read() as connection:
        (counts,) = issued_battles.read_range(connection, 0, 2**62).values()
        assert counts.battles == 2
        assert [one["offset"] for one in registry_events.list_rejects(connection)] == [1]


def alerts(spec: BoardSpec, votes: Votes, issued: IssuedByWindow | None, registry: Registry) -> list[AlertSignal]:
    parts = sorted(count_votes(to_window_votes(votes), None), key=lambda one: one.start)
    names = WindowNames({i + 1: name for i, name in enumerate(model_names(spec))}, {})
    found: list[AlertSignal] = []

    def collect(seen: EvaluatedWindow) -> None:
        found.extend(one for one in seen.signals if isinstance(one, AlertSignal))

    states: dict[str, WindowState] = {}
    windows = windows_between(parts, parts[0].start, parts[-1].start, None, names, registry, issued)
    run_window_detectors(windows, states, registry, [SamplingSkew()], FalseAlarmLimits(), collect)
    return found


@pytest.mark.long
def test_issued_battles_are_tested_instead_of_votes(store: Store) -> None:
    """Half of the battles with a model are abandoned: votes are skewed, battles are not, and what is tested decides."""
    spec = BoardSpec(days=2, votes_a_day=6_000, models=12, one_category=0.0)
    board = make_board(spec)
    votes, registry = board.votes, declared_registry(spec)
    events = [
        battle(i, model_a=f"m{a:03d}", model_b=f"m{b:03d}", at=(START + timedelta(microseconds=int(t))).isoformat())
        for i, (a, b, t) in enumerate(
            zip(votes.model_a.tolist(), votes.model_b.tolist(), (votes.at - spec.start).tolist(), strict=True)
        )
    ]
    append(store, 0, *events)
    with store.read() as connection:
        first = issued_battles.first_start(connection)
        assert first is not None
        issued = IssuedByWindow(first, issued_battles.read_range(connection, 0, 2**62))
    on = (votes.model_a == 3) | (votes.model_b == 3)
    voted = votes.take(~on | (np.arange(len(votes)) % 2 == 0))
    assert ("m003", "less often than declared") in [
        (o.subject, o.direction) for o in alerts(spec, voted, None, registry)
    ]
    assert alerts(spec, voted, issued, registry) == []
