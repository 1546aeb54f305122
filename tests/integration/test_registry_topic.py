"""The registry topic of a real Kafka: each event is stored once, invalid ones with their reason."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.devstack import KafkaServer
from pipeline.errors import BrokerUnavailable, OffsetGap
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import outbox
from pipeline.store.votes import registry_events
from pipeline.stream.kafka_publisher import create_producer, create_topics
from pipeline.stream.registry_reader import RegistryReader, keep_registry_current
from pipeline.stream.source import RegistryTopic

KEY = bytes.fromhex("6b" * 32)


@dataclass
class Board:
    """Topics of the test's own, and stores that read them."""

    kafka: KafkaServer
    names: Settings

    def send(self, *records: bytes | None) -> None:
        client = create_producer(self.kafka.bootstrap)
        for raw in records:
            client.send(self.names.topic_registry, value=raw, key=b"k", partition=0).get(timeout=30)
        client.close()

    def reader(self, store: Store) -> RegistryReader:
        connect = partial(RegistryTopic, self.kafka.bootstrap, self.names.topic_registry)
        return RegistryReader(connect, store, votes_source="kafka:votes", rejected_topic=self.names.topic_rejected)


@pytest.fixture
def board(kafka_server: KafkaServer) -> Board:
    tag = uuid.uuid4().hex[:8]
    names = Settings(
        topic_votes=f"votes.{tag}", topic_registry=f"registry.{tag}", topic_alerts=f"alerts.{tag}",
        topic_rejected=f"rejected.{tag}",
    )  # fmt: skip
    create_topics(kafka_server.bootstrap, names, names.topic_votes, 2)
    return Board(kafka_server, names)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "b.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    opened = open_store(url, voter_key=KEY)
    yield opened
    opened.close()


def event(number: int, kind: str, model: str = "ant", **more: Any) -> bytes:
    at = f"2026-03-0{number % 9 + 1}T00:00:00Z"
    one = {"schema": 1, "event_id": f"e{number}", "at": at, "type": f"model.{kind}", "model": model, **more}
    return json.dumps(one).encode()


def submitted(number: int, model: str = "ant", provider: str = "acme") -> bytes:
    return event(number, "submitted", model, provider=provider, visibility="private", license="open")


def known(store: Store) -> list[str]:
    with store.read() as connection:
        return [one.event_id for one in registry_events.read_since(connection, 0)[0]]


def rejects(store: Store) -> list[tuple[int, str]]:
    with store.read() as connection:
        return [(one["offset"], one["reason"]) for one in registry_events.list_rejects(connection)]


def reported(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        source = connection.exec_driver_sql("SELECT source_no FROM source WHERE name = 'kafka:votes'").scalar() or 0
        return [json.loads(value) for _, _, _, value in outbox.read_oldest(connection, source, 100)]


def test_each_event_is_taken_once_and_what_is_none_is_a_reject_with_its_reason(board: Board, store: Store) -> None:
    nul = submitted(8).replace(b'"ant"', b'"a\\u0000t"')
    other = submitted(1, provider="another body with the same id")
    board.send(submitted(1), b"{", None, submitted(1), nul, other, b'{"schema": 2, "type": "model.vanished"}')
    with closing(board.reader(store)) as reader:
        assert reader.catch_up() == 7
        assert known(store) == ["e1"]
        found = [(1, "malformed"), (2, "empty"), (4, "hidden"), (5, "event_id_taken"), (6, "unknown_schema")]
        assert [place for place, _ in rejects(store)] == [place for place, _ in found]
        assert [reason for place, reason in rejects(store) if place != 4] == [r for place, r in found if place != 4]
        assert reader.catch_up() == 0
        assert [(one["offset"], one["reason"]) for one in reported(store)] == rejects(store)
    with closing(board.reader(store)) as again:  # as after a restart
        board.send(submitted(2, "bee"))
        assert again.catch_up() == 1
    assert known(store) == ["e1", "e2"]


def test_a_contradiction_is_a_reject_until_what_it_rests_on_arrives(board: Board, store: Store) -> None:
    with closing(board.reader(store)) as reader:
        board.send(event(4, "released"), event(5, "retracted", reason="second thoughts"))
        reader.catch_up()
        assert [reason for _, reason in rejects(store)] == ["unknown_variant"]
        board.send(submitted(3), submitted(6, provider="other"))
        reader.catch_up()
    assert [reason for _, reason in rejects(store)] == ["retracted_after_release", "two_owners"]
    assert [one["reason"] for one in reported(store)] == ["unknown_variant", "retracted_after_release", "two_owners"]


@pytest.mark.long
def test_the_end_of_a_transaction_is_no_record(board: Board, store: Store) -> None:
    client = KafkaProducer(bootstrap_servers=board.kafka.bootstrap, transactional_id=board.names.topic_registry)
    client.init_transactions()
    client.begin_transaction()
    client.send(board.names.topic_registry, value=submitted(1), partition=0)
    client.commit_transaction()
    client.close()
    with closing(board.reader(store)) as reader:
        assert reader.catch_up() == 1
        assert reader.catch_up() == 0
        board.send(submitted(2, "bee"))
        assert reader.catch_up() == 1
    assert known(store) == ["e1", "e2"]


def test_two_readers_take_every_event_once(board: Board, store: Store) -> None:
    board.send(*(submitted(n, f"m{n}") for n in range(1, 6)))
    with closing(board.reader(store)) as one, closing(board.reader(store)) as other:
        assert one.read_chunk(5) == 5
        assert other.catch_up() == 0
        board.send(submitted(6, "m6"), b"{")
        read = 0
        while read < 2:
            read = one.catch_up() + other.catch_up() + read
        assert read == 2
    assert known(store) == [f"e{n}" for n in range(1, 7)]
    assert rejects(store) == [(6, "malformed")]
    assert len(reported(store)) == 1


def test_events_that_are_gone_before_they_were_read_are_named(board: Board, store: Store) -> None:
    board.send(submitted(1), submitted(2, "bee"), submitted(3, "cow"))
    forget(board, 2)
    with closing(board.reader(store)) as reader, pytest.raises(OffsetGap, match="offsets 0 to 1"):
        reader.catch_up()


def test_a_worker_stops_with_the_reason_when_registry_events_are_gone(board: Board, store: Store) -> None:
    board.send(submitted(1), submitted(2, "bee"))
    forget(board, 1)
    stopped = threading.Event()
    with (
        pytest.raises(OffsetGap, match="offsets 0 to 0"),
        keep_registry_current(board.reader(store), until_end=False, halt=stopped.set),
    ):
        assert stopped.wait(20)


def test_events_that_come_while_a_worker_works_are_taken(board: Board, store: Store) -> None:
    with keep_registry_current(board.reader(store), until_end=False, halt=lambda: None):
        board.send(submitted(1))
        deadline = time.monotonic() + 20
        while known(store) != ["e1"] and time.monotonic() < deadline:
            time.sleep(0.1)
    assert known(store) == ["e1"]


def forget(board: Board, before: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=board.kafka.bootstrap)
    admin.delete_records({TopicPartition(board.names.topic_registry, 0): before})
    admin.close()


def test_a_topic_of_several_partitions_is_no_registry(board: Board) -> None:
    with pytest.raises(BrokerUnavailable, match="expected one partition, got 2"):
        RegistryTopic(board.kafka.bootstrap, board.names.topic_votes)


@pytest.mark.long
def test_what_is_published_is_in_the_store_before_the_votes_and_rejects_reach_their_topic(
    board: Board, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store.engine.url.render_as_string(hide_password=False)
    for name in ("topic_votes", "topic_registry", "topic_alerts", "topic_rejected"):
        monkeypatch.setenv(f"INTEGRITY_{name.upper()}", getattr(board.names, name))
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", KEY.hex())
    both = tmp_path / "both.jsonl"
    vote = {"schema": 1, "vote_id": "v1", "voter_id": "me", "cast_at": "2026-03-01T00:00:00Z", "model_a": "ant",
            "model_b": "bee", "winner": "tie"}  # fmt: skip
    records = [submitted(1), json.dumps(vote).encode(), event(2, "released", "nobody")]
    both.write_bytes(b"".join(raw + b"\n" for raw in records))
    kafka = f"kafka://{board.kafka.bootstrap}"
    run("publish", str(both), "--to", kafka)
    report = run("work", "--source", kafka, "--store", url, "--until-end")
    assert report["accepted"] == 1
    assert known(store) == ["e1", "e2"]
    assert [(one["origin"], one["reason"]) for one in run("rejects", "--store", url)] == [("e2", "unknown_variant")]
    assert [one["reason"] for one in arrived(board)] == ["unknown_variant"]


def run(*words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def arrived(board: Board) -> list[dict[str, Any]]:
    place = TopicPartition(board.names.topic_rejected, 0)
    consumer = KafkaConsumer(bootstrap_servers=board.kafka.bootstrap, group_id=None, auto_offset_reset="earliest")
    consumer.assign([place])
    end, found = consumer.end_offsets([place])[place], []
    while len(found) < end:
        found += [json.loads(record.value) for record in consumer.poll(timeout_ms=1000).get(place, [])]
    consumer.close()
    return found
