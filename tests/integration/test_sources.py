"""The laws of a source (`pipeline.stream.source.event_source`), over the file and over a real Kafka."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from pipeline.devstack import KafkaServer
from pipeline.devstack.process import free_port
from pipeline.errors import BrokerUnavailable, OffsetGap, Unavailable
from pipeline.events.chunk import Chunk
from pipeline.settings import Settings
from pipeline.stream.kafka_publisher import create_producer, create_topics, publish
from pipeline.stream.source import FileSource, KafkaSource, Source

Record = tuple[int, int, bytes | None]  # partition, offset, value


def line(n: int) -> bytes:
    vote = {"schema": 1, "vote_id": f"v{n}", "voter_id": f"voter {n % 30}", "cast_at": "2026-03-01T00:00:00Z",
            "model_a": "m1", "model_b": "m2", "winner": "tie", "category": "x" * 150}  # fmt: skip
    return json.dumps(vote).encode()


@dataclass
class Log:
    """A file, or a topic of two partitions, and the sources that were opened on it."""

    folder: Path
    opened: ExitStack
    bootstrap: str = ""
    name: str = field(default_factory=lambda: f"log{uuid.uuid4().hex[:10]}")

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.jsonl"

    def append(self, first: int, end: int) -> None:
        if not self.bootstrap:
            with self.path.open("ab") as file:
                file.writelines(line(n) + b"\n" for n in range(first, end))
            return
        create_topics(self.bootstrap, Settings(), self.name, 2)
        part = self.folder / f"{first}.jsonl"
        part.write_bytes(b"".join(line(n) + b"\n" for n in range(first, end)))
        publish(part, self.bootstrap, self.name, Settings())

    def source(self, group: str = "") -> Source:
        if not self.bootstrap:
            source: Source = FileSource(self.path)
        else:
            source = KafkaSource(self.bootstrap, self.name, group or f"g{uuid.uuid4().hex}", session_seconds=6)
        self.opened.callback(source.close)
        return source


@pytest.fixture(params=["file", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    with ExitStack() as opened:
        bootstrap = "" if request.param == "file" else request.getfixturevalue("kafka_server").bootstrap
        yield Log(tmp_path, opened, bootstrap)


@pytest.fixture
def topic(kafka_server: KafkaServer, tmp_path: Path) -> Iterator[Log]:
    with ExitStack() as opened:
        yield Log(tmp_path, opened, kafka_server.bootstrap)


def joined(source: Source, partitions: int) -> Source:
    """The source, once it may read so many partitions."""
    deadline = time.monotonic() + 90  # a broker on a busy machine takes its time to hand over
    while len(source.assigned_partitions()) != partitions:
        assert time.monotonic() < deadline
        assert source.poll(100, 0.1) == [], "expected nothing before seek"
    return source


def take(source: Source, count: int, limit: int = 100) -> list[Chunk]:
    """Chunks with so many records, and then no more."""
    chunks: list[Chunk] = []
    deadline = time.monotonic() + 30
    while sum(len(c.values) for c in chunks) < count and time.monotonic() < deadline:
        polled = source.poll(limit, 0.2)
        assert sum(len(c.values) for c in polled) <= limit
        chunks += polled
    assert source.poll(limit, 0.3) == []
    return chunks


def records(chunks: list[Chunk]) -> list[Record]:
    """In the order of partition and offset."""
    found: list[Record] = []
    for chunk in chunks:
        found += [(chunk.partition, o, v) for o, v in zip(chunk.offsets.tolist(), chunk.values, strict=True)]
    return sorted(found, key=lambda r: r[:2])


def whole(log: Log, count: int) -> list[Record]:
    source = joined(log.source(), 2 if log.bootstrap else 1)
    source.seek(dict.fromkeys(source.assigned_partitions(), 0))
    return records(take(source, count))


# Laws of every source.


def test_a_source_gives_every_record_once_with_growing_offsets_and_the_next_one_to_read(log: Log) -> None:
    log.append(0, 500)
    source = joined(log.source(), 2 if log.bootstrap else 1)
    assert source.all_partitions() == source.assigned_partitions()
    source.seek(dict.fromkeys(source.assigned_partitions(), 0))
    chunks = take(source, 500, limit=70)
    ends: dict[int, int] = {}
    for chunk in chunks:
        offsets = chunk.offsets.tolist()
        assert ends.get(chunk.partition, 0) <= offsets[0]
        assert offsets == sorted(set(offsets))
        assert chunk.next_offset > offsets[-1]
        assert len(offsets) == len(chunk.values) == len(chunk.origins) == len(chunk.appended_at)
        ends[chunk.partition] = chunk.next_offset
    assert sorted(v for _, _, v in records(chunks)) == sorted(line(n) for n in range(500))  # type: ignore[type-var]
    assert dict(source.positions()) == ends


def test_reading_from_an_offset_gives_the_same_records_every_time(log: Log) -> None:
    log.append(0, 300)
    everything = whole(log, 300)
    source = joined(log.source(), 2 if log.bootstrap else 1)
    start = dict.fromkeys(source.assigned_partitions(), 60)
    expected = [r for r in everything if r[1] >= 60]
    for limit in (1_000, 17):
        source.seek(start)
        assert records(take(source, len(expected), limit)) == expected


def test_nothing_is_read_before_seek(log: Log) -> None:
    log.append(0, 20)
    source = log.source()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert source.poll(100, 0.1) == []
        if not log.bootstrap:
            break


def test_what_is_appended_later_is_read_on_from_where_the_last_reader_stopped(log: Log) -> None:
    log.append(0, 400)
    source = joined(log.source("readers"), 2 if log.bootstrap else 1)
    source.seek(dict.fromkeys(source.assigned_partitions(), 0))
    first = records(take(source, 400))
    stopped = dict(source.positions())
    source.report_committed(stopped)
    source.close()
    log.append(400, 450)
    again = joined(log.source("readers"), 2 if log.bootstrap else 1)
    assert again.name == source.name
    again.seek(stopped)
    second = records(take(again, 50))
    assert sorted([*first, *second], key=lambda r: r[:2]) == whole(log, 450)


def test_the_same_log_has_the_same_name_and_another_log_another(log: Log, tmp_path: Path) -> None:
    log.append(0, 10)
    one, same = log.source(), log.source()
    other = Log(tmp_path, log.opened, log.bootstrap)
    other.append(0, 10)  # the same records, somewhere else
    assert one.name == same.name
    assert (other.source().name == one.name) == (not log.bootstrap)  # all files are one source


# The file.


def test_a_file_is_one_partition_that_is_never_reassigned_and_names_its_records(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_bytes(line(0) + b"\n")
    source = FileSource(path)
    source.seek({0: 0})
    [chunk] = source.poll(10, 0)
    assert (chunk.of_file, list(chunk.origins)) == (True, ["votes.jsonl#0"])
    assert (source.assigned_partitions(), source.generation()) == ([0], 1)
    source.seek({0: 7})  # beyond the end: nothing, and no error
    assert source.poll(10, 0) == []


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="expected a battle file"):
        FileSource(tmp_path / "none.jsonl")


# Kafka.


def test_append_time_is_the_brokers_and_the_origin_is_the_row_that_was_published(topic: Log) -> None:
    before = time.time_ns() // 1000 - 1_000_000
    topic.append(0, 10)
    source = joined(topic.source(), 2)
    source.seek({0: 0, 1: 0})
    chunks = take(source, 10)
    after = time.time_ns() // 1000 + 1_000_000
    assert all(before <= at <= after for chunk in chunks for at in chunk.appended_at.tolist())
    rows = {v: o for c in chunks for v, o in zip(c.values, c.origins, strict=True)}
    assert rows == {line(n): f"0.jsonl#{n}" for n in range(10)}


def test_a_producers_own_time_does_not_count_and_a_record_without_value_or_headers_is_read(topic: Log) -> None:
    create_topics(topic.bootstrap, Settings(), topic.name, 1)
    client = create_producer(topic.bootstrap)
    client.send(topic.name, value=None, key=b"k", timestamp_ms=1).get(timeout=30)
    client.send(topic.name, value=b"", headers=[("ce_origin", b"a\x00\xff")], timestamp_ms=1).get(timeout=30)
    client.close()
    source = joined(topic.source(), 1)
    source.seek({0: 0})
    chunks = take(source, 2)
    assert [value for c in chunks for value in c.values] == [None, b""]
    assert [origin for c in chunks for origin in c.origins] == [None, r"a\0" + "\ufffd"]
    assert all(at > 1_600_000_000 * 1_000_000 for c in chunks for at in c.appended_at.tolist())


def test_a_rebalance_raises_the_generation_and_each_member_has_its_share(topic: Log) -> None:
    topic.append(0, 50)
    one = joined(topic.source("shared"), 2)
    before = one.generation()
    two = topic.source("shared")
    deadline = time.monotonic() + 30
    while not (len(one.assigned_partitions()) == len(two.assigned_partitions()) == 1) and time.monotonic() < deadline:
        one.poll(10, 0.1)
        two.poll(10, 0.1)
    assert sorted(one.assigned_partitions() + two.assigned_partitions()) == [0, 1]
    assert one.all_partitions() == two.all_partitions() == [0, 1]
    assert one.generation() > before
    one.seek({0: 0, 1: 0})  # what is not its own is passed over
    assert {c.partition for c in _some(one)} == set(one.assigned_partitions())


def _some(source: Source) -> list[Chunk]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if chunks := source.poll(100, 0.2):
            return chunks
    return []


def deleted(topic: Log, until: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=topic.bootstrap)
    admin.delete_records({TopicPartition(topic.name, 0): until})
    admin.close()


def test_records_deleted_by_retention_are_a_gap_and_the_bounds_show_it(topic: Log) -> None:
    create_topics(topic.bootstrap, Settings(), topic.name, 1)
    topic.append(0, 40)
    deleted(topic, 25)
    source = joined(topic.source(), 1)
    assert source.offset_bounds([0]) == {0: (25, 40)}
    source.seek({0: 10})
    with pytest.raises(OffsetGap):
        take(source, 30)


def test_an_offset_beyond_the_end_of_the_log_is_a_gap(topic: Log) -> None:
    create_topics(topic.bootstrap, Settings(), topic.name, 1)
    topic.append(0, 5)
    source = joined(topic.source(), 1)
    source.seek({0: 500})
    with pytest.raises(OffsetGap):
        take(source, 1)


def test_the_offset_committed_to_the_group_is_ignored_even_if_it_is_gone_from_the_log(topic: Log) -> None:
    """The store is ahead of the last commit to Kafka, and retention has passed that commit but not the store."""
    create_topics(topic.bootstrap, Settings(), topic.name, 1)
    topic.append(0, 40)
    source = joined(topic.source("behind"), 1)
    source.seek({0: 0})
    take(source, 40)
    source.report_committed({0: 5})
    source.poll(1, 0.3)
    source.close()
    deleted(topic, 20)
    again = joined(topic.source("behind"), 1)
    again.seek({0: 30})
    assert [offset for _, offset, _ in records(take(again, 10))] == list(range(30, 40))


@pytest.mark.parametrize("what", ["broker", "topic"])
def test_no_broker_and_no_topic_are_unavailable_and_the_message_names_it(
    what: str, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick: Callable[..., KafkaAdminClient] = lambda **o: KafkaAdminClient(**(o | {"bootstrap_timeout_ms": 1_500}))  # noqa: E731
    monkeypatch.setattr("pipeline.stream.source.kafka_client.KafkaAdminClient", quick)
    bootstrap = f"127.0.0.1:{free_port()}" if what == "broker" else kafka_server.bootstrap
    message = "no Kafka broker answers" if what == "broker" else "has no topic 'no.such.topic'"
    with pytest.raises(BrokerUnavailable, match=message):
        KafkaSource(bootstrap, "no.such.topic", "g")


@pytest.mark.long
def test_a_replaced_log_is_recognised_by_append_times_even_if_clocks_went_back(topic: Log) -> None:
    """A topic whose producers say the time: they grow in no order, so an earlier record may have a later time."""
    admin = KafkaAdminClient(bootstrap_servers=topic.bootstrap)
    admin.create_topics({topic.name: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    times = [5_000, 9_000, 3_000, 9_000, 4_000, 7_000]
    client = create_producer(topic.bootstrap)
    for at in times:
        client.send(topic.name, value=b"x", timestamp_ms=1_700_000_000_000 + at).get(timeout=30)
    client.close()
    source = joined(topic.source(), 1)
    source.seek({0: 0})
    [*chunks] = take(source, len(times))
    read = [(int(o), int(t)) for c in chunks for o, t in zip(c.offsets, c.appended_at, strict=True)]
    assert [source.replaced_partitions({0: place}) for place in read] == [[]] * len(times)
    assert [source.replaced_partitions({0: (offset, at + 1_000_000)}) for offset, at in read] == [[0]] * len(times)
    with pytest.raises(BrokerUnavailable, match="did not return the records that were read"):
        source.replaced_partitions({0: (len(times), read[0][1])})  # not written yet; the worker checks the end first
    assert source.known_ends() == {0: len(times)}
