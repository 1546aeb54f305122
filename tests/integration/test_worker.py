"""The laws of the worker, over every source and every store where they hold.

Two stores can be compared to the byte only where a model has the same number in both: numbers are given out
in the order of the batches. `prepared` names all models first.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from pipeline import jobs
from pipeline.detectors import VOTER
from pipeline.devstack import KafkaServer
from pipeline.errors import BadRecord, OffsetGap
from pipeline.lab.simulate import HonestSpec, TargetOnly, real_pair_rates, simulate_stream
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, alert_queries, outbox
from pipeline.store.read import store_figures
from pipeline.store.votes import partitions, registry_events
from pipeline.store.votes.dictionary import NameDictionary
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.kafka_publisher import create_topics, publish
from pipeline.stream.outbox_sender import Send
from pipeline.stream.source import FileSource, KafkaSource, Source
from pipeline.stream.worker import Worker
from pipeline.vocabulary.outcomes import OUTCOMES

INTEGRITY = Path(sys.executable).with_name("integrity")
KEY = bytes.fromhex("5a" * 32)
SESSION = 6.0
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", KEY.hex())
    monkeypatch.setenv("INTEGRITY_SESSION_SECONDS", str(SESSION))
    monkeypatch.setenv("INTEGRITY_ANCHOR", "")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("postgres_store"))


@dataclass
class Log:
    """A log that votes are appended to, and the source that reads it: a file, or a topic of its own."""

    folder: Path
    bootstrap: str = ""
    partitions: int = 4
    topic: str = field(default_factory=lambda: f"votes.{uuid.uuid4().hex[:10]}")

    def append(self, lines: Sequence[bytes]) -> None:
        part = self.folder / f"part{uuid.uuid4().hex[:6]}.jsonl"
        part.write_bytes(b"".join(line + b"\n" for line in lines))
        if self.bootstrap:
            create_topics(self.bootstrap, Settings(), self.topic, self.partitions)
            publish(part, self.bootstrap, self.topic, Settings())
        else:
            with (self.folder / "votes.jsonl").open("ab") as file:
                file.write(part.read_bytes())

    def source(self, store: Store) -> Source:
        if not self.bootstrap:
            return FileSource(self.folder / "votes.jsonl")
        return KafkaSource(self.bootstrap, self.topic, f"integrity-{store.store_id}", session_seconds=SESSION)


@pytest.fixture(params=["file", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    if request.param == "file":
        return Log(tmp_path)
    return Log(tmp_path, request.getfixturevalue("kafka_server").bootstrap)


@pytest.fixture
def topic(kafka_server: KafkaServer, tmp_path: Path) -> Log:
    return Log(tmp_path, kafka_server.bootstrap)


@contextmanager
def worker(log: Log, url: str, send: Send | None = None, **options: Any) -> Iterator[Worker]:
    store = open_store(url, voter_key=KEY, worker=True)
    source = log.source(store)
    try:
        yield Worker(source, store, Settings(session_seconds=SESSION, **options), VOTER, "test", send=send)
    finally:
        source.close()
        store.close()


def work(log: Log, url: str, **options: Any) -> IngestTally:
    """One worker, to the end that there is now."""
    with worker(log, url, **options) as it:
        return it.run(until_end=True)


@contextmanager
def working(it: Worker) -> Iterator[Worker]:
    """A worker in a thread; it is stopped at the end, and must have ended well."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            it.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        it.stop()
        thread.join(20)
    assert not thread.is_alive()
    assert not failed


def wait(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "expected it within the bound"
        time.sleep(0.05)


def refresh(url: str) -> None:
    """A refresh without its check, which takes seconds to import."""
    jobs.publish(url, jobs.rate(url, jobs.seal(url)))


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    store = open_store(url, voter_key=KEY)
    try:
        with store.read() as connection:
            return sorted(
                (
                    tuple(bytes(c) if isinstance(c, memoryview) else c for c in row)
                    for row in connection.execute(sa.text(query))
                ),
                key=repr,
            )
    finally:
        store.close()


TABLES = {
    "votes": 'SELECT p.number, v."offset", vote_id, voter, cast_at, appended_at, a.name, b.name, outcome, fate, prompt,'
    " voter_since, style, (SELECT text FROM term WHERE term_no = language),"
    " (SELECT text FROM term WHERE term_no = category), (SELECT text FROM term WHERE term_no = network),"
    " flags, turn, session, (SELECT text FROM term WHERE term_no = categories)"
    " FROM vote v JOIN partition p USING (partition_no)"
    " JOIN model a ON a.model_no = v.model_a JOIN model b ON b.model_no = v.model_b",
    "states": "SELECT p.number, voter, state FROM voter_state JOIN partition p USING (partition_no)",
    "windows": 'SELECT p.number, start, accepted, late, counts FROM "window" JOIN partition p USING (partition_no)',
    "alerts": 'SELECT alert_id, p.number, "offset", severity, subject, direction, opened_at, level, e_value, evidence'
    " FROM alert JOIN partition p USING (partition_no)",
    "alert history": "SELECT alert_id, action, name, reason FROM alert_event",
    "duplicates": 'SELECT p.number, "offset", first_offset, same_body'
    " FROM duplicate JOIN partition p USING (partition_no)",
    "rejects": 'SELECT p.number, "offset", reason, sha256 FROM reject JOIN partition p USING (partition_no)',
    "in force": "SELECT p.number, from_offset, sequence FROM in_force JOIN partition p USING (partition_no)",
    "partitions": "SELECT number, next_offset, event_time FROM partition",
}


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that must not depend on how the votes were cut into batches."""
    return {name: rows(url, query) for name, query in TABLES.items()}


def expect_same(one: dict[str, list[tuple[Any, ...]]], other: dict[str, list[tuple[Any, ...]]]) -> None:
    for name, expected in one.items():
        assert len(expected) == len(other[name]), name
        different = [pair for pair in zip(expected, other[name], strict=True) if pair[0] != pair[1]]
        assert not different, (name, different[0])


def expect_complete(url: str) -> None:
    store = open_store(url, voter_key=KEY)
    with store.read() as connection:
        assert store_figures.find_gaps(connection) == []
    store.close()


def vote(n: int, **other: Any) -> dict[str, Any]:
    """Two seconds apart, over three models; nobody cares who wins."""
    pairs = (("m1", "m2"), ("m2", "m3"), ("m3", "m1"))
    a, b = pairs[n % 3]
    return {
        "schema": 1,
        "vote_id": f"v{n}",
        "voter_id": f"voter-{n % 40}",
        "cast_at": (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=2 * n)).isoformat(),
        "model_a": a,
        "model_b": b,
        "winner": OUTCOMES[hashlib.sha256(b"%d" % n).digest()[0] % 4],
        **other,
    }


def encoded(votes: Sequence[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(v).encode() for v in votes]


@dataclass(frozen=True)
class Attacked:
    """Honest votes, then honest and bought ones."""

    models: tuple[str, ...]
    before: list[bytes]
    after: list[bytes]


@pytest.fixture(scope="session")
def attacked() -> Attacked:
    spec = HonestSpec(votes=4_000, seed=11, models=8, days=4, voters=900)
    board = real_pair_rates(8)
    target = board.models[5]
    stream = simulate_stream(spec, [TargetOnly(target=target, voters=3, votes_each=120, sampling=0.7, from_day=2.5)])
    lines = list(stream.to_bytes())
    cut = int((~stream.is_attack).cumsum().searchsorted(2_400))
    return Attacked(stream.models, lines[:cut], lines[cut:])


def prepared(log: Log, url: str, attacked: Attacked) -> None:
    """A store with numbers for all models, the first part and a snapshot of it."""
    store = open_store(url, voter_key=KEY)
    NameDictionary(store).numbers("model", attacked.models)
    store.close()
    if not (log.folder / "begun").exists():
        (log.folder / "begun").touch()
        log.append(attacked.before)
    work(log, url)
    refresh(url)


# Fates.


@pytest.mark.long
def test_every_record_has_exactly_one_fate_and_its_place(log: Log, url: str) -> None:
    good = [vote(n) for n in range(3_000, 3_060)]
    good[50].pop("voter_id")
    late = vote(1, voter_id=good[59]["voter_id"])  # with the newest voter, so on its partition
    lines = [
        *encoded(good),
        *encoded([late]),
        *encoded(good[:5]),
        b"no json",
        json.dumps(vote(9, model_a="m1", model_b="m1")).encode(),
        json.dumps(vote(10, winner="nobody")).encode(),
    ]
    log.append(lines)
    tally = work(log, url)
    counts = (tally.read, tally.accepted, tally.late, tally.duplicate, tally.rejected, tally.quarantined)
    # A file is read in the order of time, so none of its votes comes late.
    late_votes = 1 if log.bootstrap else 0
    assert counts == (69, 61 - late_votes, late_votes, 5, 3, 0)
    assert tally.reasons == {"malformed": 1, "self_battle": 1, "unknown_outcome": 1}
    expect_complete(url)
    assert rows(url, "SELECT vote_id FROM vote WHERE fate = 1") == [("v1",)] * late_votes
    found = sorted(rows(url, "SELECT reason, origin FROM reject"))
    assert [reason for reason, _ in found] == ["malformed", "self_battle", "unknown_outcome"]
    assert all((origin or "").endswith(f"#{row}") for (_, origin), row in zip(found, (66, 67, 68), strict=True))
    assert work(log, url).read == 0


def test_a_vote_from_the_future_is_quarantined_and_makes_no_other_vote_late(topic: Log, postgres_store: str) -> None:
    soon = datetime.now(UTC)
    votes = [vote(n, cast_at=(soon - timedelta(seconds=300 - n)).isoformat(), voter_id="one") for n in range(100)]
    votes[40]["cast_at"] = "2099-01-01T00:00:00Z"
    votes[41]["cast_at"] = (soon + timedelta(minutes=3)).isoformat()  # a clock that is a little fast
    topic.append(encoded(votes))
    tally = work(topic, postgres_store)
    assert (tally.accepted, tally.quarantined, tally.late) == (99, 1, 0)
    assert rows(postgres_store, "SELECT vote_id FROM vote WHERE fate = 2") == [("v40",)]
    assert sum(row[0] for row in rows(postgres_store, 'SELECT accepted FROM "window"')) == 99
    [(event_time,)] = rows(postgres_store, "SELECT max(event_time) FROM partition")
    assert event_time < (datetime.now(UTC) + timedelta(minutes=1)).timestamp() * 1e6


def test_the_first_of_two_votes_with_one_id_counts_and_the_difference_is_an_alert(log: Log, url: str) -> None:
    votes = [vote(n, voter_id="one") for n in range(10)]
    first = votes[3]["winner"]
    other = next(outcome for outcome in OUTCOMES if outcome != first)
    log.append(encoded([*votes, {**votes[3], "winner": other}, votes[4]]))
    assert work(log, url, batch_votes=4).duplicate == 2
    store = open_store(url, voter_key=KEY)
    with store.read() as connection:
        [alert] = alert_queries.list_alerts(connection)
    assert (alert["detector"], alert["e_value"]) == ("duplicate_votes", None)
    assert alert["evidence"]["vote_id"] == "v3"
    [(number,)] = rows(url, "SELECT DISTINCT number FROM vote JOIN partition USING (partition_no)")
    if log.bootstrap:
        assert alert["evidence"]["counted"] == {"partition": number, "offset": 3}
        assert alert["evidence"]["ignored"] == {"partition": number, "offset": 10}
    else:  # the repeat has the same time, so it follows at once
        assert alert["evidence"]["counted"] == {"partition": number, "offset": 3, "record": "votes.jsonl#3"}
        assert alert["evidence"]["ignored"] == {"partition": number, "offset": 4, "record": "votes.jsonl#10"}
    store.close()
    assert rows(url, "SELECT outcome FROM vote WHERE vote_id = 'v3'") == [(OUTCOMES.index(first),)]
    expect_complete(url)


@pytest.mark.long
def test_the_same_file_by_kafka_then_as_a_file_then_published_again_is_counted_once(
    topic: Log, postgres_store: str
) -> None:
    """Ids that are missing are derived from the record and its number among identical ones."""
    battle = {"model_a": "m1", "model_b": "m2", "winner": "model_a", "judge": "j1", "tstamp": 1_700_000_000.25}
    records = [battle, battle, {**battle, "winner": "tie (bothbad)"}, battle] * 5
    path = topic.folder / "battles.json"
    path.write_text(json.dumps(records))
    create_topics(topic.bootstrap, Settings(), topic.topic, 4)
    publish(path, topic.bootstrap, topic.topic, Settings())
    assert work(topic, postgres_store).accepted == 20
    with worker(topic, postgres_store) as it:
        it.source.close()
        file = Worker(FileSource(path), it.store, it.settings, VOTER, "file")
        tally = file.run(until_end=True)
    assert (tally.read, tally.accepted, tally.duplicate) == (20, 0, 20)
    publish(path, topic.bootstrap, topic.topic, Settings())
    tally = work(topic, postgres_store)
    assert (tally.read, tally.accepted, tally.duplicate, tally.alerts) == (20, 0, 20, 0)


# The same events give the same tables.


@pytest.mark.long
def test_the_size_of_a_batch_changes_nothing_to_the_byte_in_either_store(
    tmp_path: Path, postgres_store: str, attacked: Attacked
) -> None:
    log = Log(tmp_path)
    stores = {size: str(tmp_path / f"{size}.db") for size in (5_000, 100, 7)}
    for at in (*stores.values(), postgres_store):
        prepared(log, at, attacked)
    log.append(attacked.after)
    found = {}
    for size, at in stores.items():
        assert work(log, at, batch_votes=size).read == len(attacked.after)
        found[size] = contents(at)
    work(log, postgres_store, batch_votes=333)
    assert len(found[5_000]["alerts"]) >= 3
    assert "critical" in {row[3] for row in found[5_000]["alerts"]}
    expect_same(found[5_000], found[100])
    expect_same(found[5_000], found[7])
    expect_same(found[5_000], contents(postgres_store))


@pytest.mark.long
def test_two_workers_leave_the_tables_and_alerts_of_one(
    topic: Log, postgres_store: str, tmp_path: Path, attacked: Attacked
) -> None:
    alone = str(tmp_path / "alone.db")
    for at in (postgres_store, alone):
        prepared(topic, at, attacked)
    with worker(topic, postgres_store, batch_votes=50) as one, worker(topic, postgres_store, batch_votes=50) as two:
        with working(one), working(two):
            wait(lambda: len(one.source.assigned_partitions()) == len(two.source.assigned_partitions()) == 2)
            topic.append(attacked.after)
            wait(lambda: one.tally.read + two.tally.read == len(attacked.after))
        assert min(one.tally.read, two.tally.read) > 0
    work(topic, alone)
    found, expected = contents(postgres_store), contents(alone)
    assert len(expected["alerts"]) >= 3
    expect_same(expected, found)
    expect_complete(postgres_store)


@pytest.mark.long
def test_a_new_owner_goes_on_with_the_evidence_of_the_one_before(
    tmp_path: Path, postgres_store: str, attacked: Attacked
) -> None:
    """Another process for every batch: what it knows is in the store."""
    log, other = Log(tmp_path), str(tmp_path / "other.db")
    for at in (postgres_store, other):
        prepared(log, at, attacked)
    first = attacked.after[: len(attacked.after) // 2]
    log.append(first)
    work(log, postgres_store)
    log.append(attacked.after[len(first) :])
    work(log, postgres_store)
    work(log, other)
    expect_same(contents(other), contents(postgres_store))


# Evidence.


@pytest.mark.long
def test_votes_before_the_first_snapshot_are_evidence_against_nobody_ever(
    log: Log, postgres_store: str, attacked: Attacked
) -> None:
    log.append([*attacked.before, *attacked.after])
    tally = work(log, postgres_store)
    assert tally.alerts == 0
    assert rows(postgres_store, "SELECT 1 FROM voter_state") == rows(postgres_store, "SELECT 1 FROM in_force") == []
    ends = dict(rows(postgres_store, "SELECT number, next_offset FROM partition"))
    refresh(postgres_store)
    # The next vote of an attacker is judged, and finds no evidence from before.
    again = [json.loads(line) for line in attacked.after[-50:]]
    log.append(encoded([{**v, "vote_id": f"again{i}"} for i, v in enumerate(again)]))
    assert work(log, postgres_store).alerts == 0
    in_force = rows(postgres_store, TABLES["in force"])
    assert in_force
    assert in_force == [(number, ends[number], 1) for number, _, _ in in_force]


@pytest.mark.long
def test_each_snapshot_is_in_force_from_the_first_batch_that_uses_it(tmp_path: Path, url: str) -> None:
    log = Log(tmp_path)
    for part in range(3):
        # 64 KiB are a file's identity: the first part has more.
        log.append(encoded([vote(n) for n in range(part * 600, (part + 1) * 600)]))
        work(log, url)
        refresh(url)
    assert set(rows(url, TABLES["in force"])) == {(0, 600, 1), (0, 1_200, 2)}


# Processes.


@pytest.mark.long
def test_sigterm_ends_the_batch_in_hand_and_exits_0_with_complete_offsets(topic: Log, postgres_store: str) -> None:
    topic.append(encoded([vote(n) for n in range(15_000)]))
    process = subprocess.Popen(
        [
            INTEGRITY,
            "work",
            "--source",
            f"kafka://{topic.bootstrap}/{topic.topic}",
            "--store",
            postgres_store,
            "--json",
        ],
        env=os.environ | {"INTEGRITY_BATCH_VOTES": "100"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait(lambda: stored(postgres_store) > 500)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    tally = json.loads(printed)
    assert 500 < tally["read"] < 15_000
    assert stored(postgres_store) == tally["accepted"]
    expect_complete(postgres_store)
    assert work(topic, postgres_store).accepted == 15_000 - tally["accepted"]


def stored(url: str) -> int:
    try:
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            return int(connection.scalar(sa.text("SELECT count(*) FROM vote")) or 0)
    except sa.exc.ProgrammingError:
        return 0  # no tables yet
    finally:
        engine.dispose()


@pytest.mark.long
def test_an_idle_worker_is_healthy_and_shows_its_last_progress(topic: Log, postgres_store: str) -> None:
    topic.append(encoded([vote(n) for n in range(50)]))
    with worker(topic, postgres_store, progress_seconds=1.5) as it, working(it):
        wait(lambda: it.tally.read == 50)
        time.sleep(3)
        healthy, text = it.healthy()
    assert healthy
    assert text.startswith("last progress")


@pytest.mark.long
def test_until_end_ends_when_all_is_stored_by_whichever_worker(kafka_server: KafkaServer, tmp_path: Path) -> None:
    """One partition: of two members of the group one has nothing to read."""
    log, url = Log(tmp_path, kafka_server.bootstrap, partitions=1), str(tmp_path / "store.db")
    log.append(encoded([vote(0)]))
    with worker(log, url, batch_votes=20) as owner, working(owner):
        wait(lambda: owner.tally.read == 1)
        log.append(encoded([vote(n) for n in range(1, 500)]))
        second = work(log, url)
        wait(lambda: owner.tally.read + second.read == 500)
    expect_complete(url)
    assert rows(url, "SELECT next_offset FROM partition") == [(500,)]


def test_alerts_and_rejects_reach_their_topics_and_leave_the_outbox(
    kafka_server: KafkaServer, tmp_path: Path, url: str
) -> None:
    log = Log(tmp_path, kafka_server.bootstrap)
    names = {"topic_alerts": f"{log.topic}.alerts", "topic_rejected": f"{log.topic}.rejected"}
    create_topics(log.bootstrap, Settings(**names), log.topic, 4)
    votes = [vote(n) for n in range(40)]
    log.append([*encoded([*votes, {**votes[7], "model_a": "m9"}]), b"{}", *[b"?" * (i + 1) for i in range(60)]])
    producer = KafkaProducer(bootstrap_servers=log.bootstrap, acks="all")

    def send(messages: Sequence[tuple[str, bytes, bytes]]) -> None:
        for name, key, value in messages:
            producer.send(name, value, key).get(timeout=30)

    with worker(log, url, send, **names) as it:
        it.run(until_end=True)
        with it.store.read() as connection:
            assert outbox.read_oldest(connection, 1, 10) == []
    producer.close()
    [reported] = consume(log.bootstrap, names["topic_alerts"], 1)
    assert (reported["id"],) in rows(url, "SELECT alert_id FROM alert")
    assert (reported["detector"], reported["subject"]["kind"]) == ("duplicate_votes", "voter")
    rejected = consume(log.bootstrap, names["topic_rejected"], 61)
    expected = rows(url, 'SELECT number, "offset", reason FROM reject JOIN partition USING (partition_no)')
    assert sorted((r["partition"], r["offset"], r["reason"]) for r in rejected) == sorted(expected)
    assert Counter(r["reason"] for r in rejected) == {"malformed": 60, "missing_field": 1}


def consume(bootstrap: str, topic: str, count: int) -> list[dict[str, Any]]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=300).values():
                found += [json.loads(record.value) for record in records]
        return found
    finally:
        consumer.close()


# Gaps, and the registry.


def test_a_gap_halts_the_worker_and_every_halt_leaves_an_open_alert(topic: Log, postgres_store: str) -> None:
    topic.partitions = 1
    topic.append(encoded([vote(n) for n in range(20)]))
    work(topic, postgres_store)
    topic.append(encoded([vote(n) for n in range(20, 60)]))
    admin = KafkaAdminClient(bootstrap_servers=topic.bootstrap)
    admin.delete_records({TopicPartition(topic.topic, 0): 45})
    admin.close()
    for _ in range(2):  # a person who resolves the alert and changes nothing meets it again
        with pytest.raises(OffsetGap, match=r"offsets 20 to 44 \(25 records\)"):
            work(topic, postgres_store)
        store = open_store(postgres_store, voter_key=KEY)
        with store.read() as connection:
            [alert] = alert_queries.list_alerts(connection, "open")
        assert (alert["detector"], alert["direction"]) == ("worker_halted", "offset_gap")
        assert alert["severity"] == "critical"
        with store.write() as connection:
            alert_lifecycle.change_state(connection, alert["id"], "resolve", "ann", "seen", 1)
        store.close()


def test_a_recreated_log_is_a_gap_and_not_a_beginning(topic: Log, postgres_store: str) -> None:
    topic.partitions = 1
    topic.append(encoded([vote(n) for n in range(30)]))
    work(topic, postgres_store)
    admin = KafkaAdminClient(bootstrap_servers=topic.bootstrap)
    admin.delete_topics([topic.topic])
    wait(lambda: topic.topic not in admin.list_topics())
    admin.close()
    topic.append(encoded([vote(n) for n in range(5)]))
    with pytest.raises(OffsetGap, match="truncated or recreated"):
        work(topic, postgres_store)
    assert stored(postgres_store) == 30


def test_a_registry_file_is_kept_once_and_a_bad_line_is_named_and_keeps_nothing(tmp_path: Path, url: str) -> None:
    event = {"schema": 1, "event_id": "e1", "at": "2026-03-01T00:00:00Z", "type": "model.submitted", "model": "m1",
             "provider": "p", "visibility": "public", "license": "open"}  # fmt: skip
    good, bad = tmp_path / "registry.jsonl", tmp_path / "bad.jsonl"
    lines = [json.dumps({**event, "event_id": f"e{n}"}) for n in range(3)]
    good.write_text("\n".join(lines) + "\n")
    bad.write_text("\n".join([json.dumps({**event, "event_id": "new"}), *lines, '{"type": "model.vanished"}']))
    store = open_store(url, voter_key=KEY)
    assert [registry_events.load_file(store, good), registry_events.load_file(store, good)] == [3, 0]
    with pytest.raises(BadRecord) as raised:
        registry_events.load_file(store, bad)
    assert (raised.value.source, raised.value.position) == ("bad.jsonl", 4)
    store.close()
    assert rows(url, "SELECT event_id FROM registry_event") == [("e0",), ("e1",), ("e2",)]


def test_a_worker_that_lost_its_partition_drops_the_batch(tmp_path: Path, url: str) -> None:
    """Another claim between the poll and the write: nothing of the batch is stored twice."""
    log = Log(tmp_path)
    log.append(encoded([vote(n) for n in range(100)]))
    with worker(log, url, batch_votes=30) as it:

        def steal(tally: IngestTally) -> None:
            if tally.read == 30:
                with it.store.write() as connection:
                    partitions.claim(connection, 1, 0, 0, "thief", 0)

        it.progress = steal
        tally = it.run(until_end=True)
        assert it.metrics.registry.get_sample_value("integrity_worker_fenced_total") == 1
    assert (tally.read, tally.accepted) == (100, 100)
    expect_complete(url)
