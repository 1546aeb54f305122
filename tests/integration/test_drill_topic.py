"""A drill sends its votes only to a topic that workers of the test store have read."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.detectors import VOTER
from pipeline.devstack import KafkaServer
from pipeline.errors import Usage
from pipeline.lab.drill.store_topic import expect_read
from pipeline.open_store import existing_store, open_store
from pipeline.settings import Settings
from pipeline.store.boards import drill_mark
from pipeline.store.db import schema
from pipeline.stream.kafka_publisher import create_topics, publish
from pipeline.stream.source import KafkaSource
from pipeline.stream.source.kafka_client import end_offsets
from pipeline.stream.worker import Worker
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, event, using
from tests.integration.test_incidents import SETTINGS

pytestmark = pytest.mark.kafka


def topic_of(server: KafkaServer, folder: Path, votes: int) -> str:
    """A new topic of one partition with votes."""
    name, file = f"drill{uuid.uuid4().hex[:10]}", folder / "votes.jsonl"
    create_topics(server.bootstrap, Settings(), name, 1)
    file.write_text("".join(json.dumps(event(n)) + "\n" for n in range(votes)), encoding="utf-8")
    publish(file, server.bootstrap, name, Settings())
    return name


@pytest.fixture
def board(kafka_server: KafkaServer, tmp_path: Path) -> Iterator[tuple[Board, str]]:
    """A test store with a snapshot, whose worker has read a topic; and the topic."""
    with using(OPTIONS):
        made = Board(str(tmp_path / "board.db"), tmp_path)
        with closing(open_store(made.url)) as store, store.write() as connection:
            drill_mark.mark_as_test(connection)
        made.vote(300)
        made.refresh()
        topic = topic_of(kafka_server, tmp_path, 40)
        with (
            closing(open_store(made.url, voter_key=OPTIONS.key, worker=True)) as store,
            closing(KafkaSource(kafka_server.bootstrap, topic, f"g-{topic}", session_seconds=6)) as source,
        ):
            Worker(source, store, OPTIONS, VOTER, "test").run(until_end=True)
        yield made, topic


def refusal(board: Board, to: str) -> str:
    with existing_store(board.url) as store, pytest.raises(Usage) as refused:
        expect_read(store, to)
    return str(refused.value)


def renamed(board: Board, old: str, new: str) -> None:
    with existing_store(board.url) as store, store.write() as connection:
        name = schema.source.c.name
        connection.execute(sa.update(schema.source).values(name=sa.func.replace(name, old, new)))


def test_votes_of_a_drill_go_to_no_topic_but_the_one_that_the_test_store_has_read(
    board: tuple[Board, str], kafka_server: KafkaServer, tmp_path: Path
) -> None:
    made, topic = board
    other = topic_of(kafka_server, tmp_path, 3)
    done = called("drill", "--to", f"{kafka_server.url}/{other}", "--yes", "--store", made.url, settings=SETTINGS)
    assert done.returncode == 2
    assert f"/{topic})" in done.stderr
    assert f"got {kafka_server.bootstrap}/{other}" in done.stderr
    assert end_offsets(kafka_server.bootstrap, other) == {0: 3}

    to = f"{kafka_server.url}/{topic}"
    with existing_store(made.url) as store:
        expect_read(store, to)
        with store.read() as connection:
            (source,) = connection.scalars(sa.select(schema.source.c.name).where(schema.source.c.name.like("kafka:%")))
    cluster = str(source).removeprefix("kafka:").removesuffix(f"/{topic}")

    # A topic of that name in another cluster, and one that was made anew.
    renamed(made, cluster, "elsewhere")
    told = refusal(made, to)
    assert f"kafka:elsewhere/{topic}" in told
    assert f"got {source}" in told
    renamed(made, "elsewhere", cluster)
    with existing_store(made.url) as store, store.write() as connection:
        connection.execute(sa.update(schema.partition).values(next_offset=schema.partition.c.next_offset + 10_000))
    assert "it was made anew" in refusal(made, to)
    assert end_offsets(kafka_server.bootstrap, topic) == {0: 40}
