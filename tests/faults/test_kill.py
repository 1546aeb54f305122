"""Whatever dies, every acknowledged vote is stored exactly once, and nothing that follows from it changes.

Each test takes a stream with repeats, late votes and planted attackers, breaks something while a worker is at
work, lets it end, and holds the store against an undisturbed run of the same topic into another database,
and against the votes themselves. Not shown by kill -9: power loss.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline import jobs
from pipeline.detectors import VOTER
from pipeline.local import KafkaServer, PostgresServer
from pipeline.local.process import free_port
from pipeline.settings import Settings
from pipeline.simulate import Honest, TargetOnly, plant, truth
from pipeline.store import Store, status
from pipeline.store.names import Names
from pipeline.stream.publisher import create_topics, publish
from pipeline.stream.source import KafkaSource
from pipeline.stream.worker import Worker

pytestmark = pytest.mark.faults

INTEGRITY = Path(sys.executable).with_name("integrity")
KEY = "5a" * 32
# Short, so that a dead worker's partitions are somebody else's soon; brokers refuse less than 6 s by default.
SESSION = 2
GROUPS = {"group.min.session.timeout.ms": "1000"}
SETTINGS = {
    "INTEGRITY_VOTER_KEY": KEY,
    "INTEGRITY_SESSION_SECONDS": str(SESSION),
    "INTEGRITY_ANCHOR": "",
    "INTEGRITY_BATCH_VOTES": "200",
}
MODELS = 10
BEFORE = 6_000
KILLS = 5


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class Stream:
    """Votes as lines: honest ones, then all the rest; and what each id must be counted as, once."""

    models: tuple[str, ...]
    before: list[bytes]
    after: list[bytes]

    def ids(self) -> Counter[str]:
        return Counter(json.loads(line)["vote_id"] for line in [*self.before, *self.after])


@pytest.fixture(scope="module")
def stream() -> Stream:
    chance = random.Random(20260301)  # noqa: S311
    board = truth(MODELS)
    attack = TargetOnly(target=board.models[4], voters=6, votes_each=150, sampling=0.6, from_day=2)
    planted = plant(Honest(votes=28_500, seed=77, models=MODELS, days=8, voters=7_000), [attack])
    lines = list(planted.to_bytes())
    assert not planted.is_attack[:BEFORE].any()
    after = lines[BEFORE:]
    for at in chance.sample(range(2_000, len(after)), 200):  # late: out of the line, and back hours later
        after.append(after[at - 2_000])
        after[at - 2_000] = after[at]
    for _ in range(len(lines) // 50):  # 2% come twice
        after.insert(chance.randrange(len(after)), chance.choice(after))
    return Stream(planted.models, lines[:BEFORE], after)


@dataclass
class Board:
    """A topic with the first part of the stream in it, and databases that have read and rated that part."""

    kafka: KafkaServer
    postgres: PostgresServer
    stream: Stream
    folder: Path

    def __post_init__(self) -> None:
        self.topic = f"votes.{uuid.uuid4().hex[:10]}"
        self.source = f"{self.kafka.url}/{self.topic}"
        create_topics(self.kafka.bootstrap, Settings(), self.topic, 4)
        self.publish(self.stream.before)

    def publish(self, lines: list[bytes]) -> None:
        path = self.folder / f"{uuid.uuid4().hex}.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        publish(path, self.kafka.bootstrap, self.topic, Settings())

    def database(self) -> str:
        """Models are named first, so that two stores can be compared to the byte."""
        url = self.postgres.create_database(f"fault_{uuid.uuid4().hex[:8]}")
        store = Store.open(url, voter_key=bytes.fromhex(KEY))
        Names(store).numbers("model", self.stream.models)
        store.close()
        self.quiet(url)
        jobs.publish(url, jobs.rate(url, jobs.seal(url)))
        return url

    def start(self, url: str, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [INTEGRITY, "work", "--source", self.source, "--store", url, "--json", *words],
            env=os.environ | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, url: str) -> dict[str, Any]:
        """A worker of its own, to the end; it must end well."""
        return ended(self.start(url, "--until-end"))

    def quiet(self, url: str) -> None:
        """A worker in this process whom nothing disturbs, in batches as large as can be."""
        store = Store.open(url, voter_key=bytes.fromhex(KEY), worker=True)
        source = KafkaSource(self.kafka.bootstrap, self.topic, f"quiet-{store.store_id}", session_seconds=SESSION)
        try:
            Worker(source, store, Settings(), VOTER, "quiet").run(until_end=True)
        finally:
            source.close()
            store.close()


def ended(process: subprocess.Popen[str], seconds: float = 60) -> dict[str, Any]:
    try:
        printed, said = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == 0, said[-4000:]
    result: dict[str, Any] = json.loads(printed)
    return result


@contextmanager
def stopped_at_the_end(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()


def wait(holds: Callable[[], Any], seconds: float = 45) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "expected it within the bound"
        time.sleep(0.01)
    return found


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return sorted(connection.execute(query).fetchall(), key=repr)


def progress(url: str) -> int:
    """Offsets that are done."""
    return int(rows(url, "SELECT coalesce(sum(next_offset), 0) FROM partition")[0][0])


CONTENTS = (
    'SELECT p.number, v."offset", vote_id, voter, cast_at, appended_at, model_a, model_b, outcome, fate'
    " FROM vote v JOIN partition p USING (partition_no)",
    "SELECT p.number, detector, voter, state FROM voter_state JOIN partition p USING (partition_no)",
    'SELECT p.number, start, accepted, late, counts FROM "window" JOIN partition p USING (partition_no)',
    'SELECT alert_id, p.number, "offset", severity, subject, direction, level, e_value, evidence'
    " FROM alert JOIN partition p USING (partition_no)",
    "SELECT alert_id, action, reason FROM alert_event",
    'SELECT p.number, "offset", first_offset, same_body FROM duplicate JOIN partition p USING (partition_no)',
    "SELECT number, next_offset, event_time FROM partition",
    "SELECT p.number, from_offset, sequence FROM in_force JOIN partition p USING (partition_no)",
)


def expect_whole(url: str, stream: Stream, undisturbed: str) -> None:
    """Every id once (C1), a recount and an undisturbed run agree (C2, C7), the ledger is complete (C3)."""
    store = Store.open(url, voter_key=bytes.fromhex(KEY))
    with store.read() as connection:
        assert status.incomplete(connection) == []
    store.close()
    ids = stream.ids()
    stored = Counter(vote_id for (vote_id,) in rows(url, "SELECT vote_id FROM vote"))
    assert stored == Counter(set(ids))
    assert rows(url, "SELECT count(*) FROM duplicate") == [(sum(ids.values()) - len(ids),)]
    assert pairs(url) == recount(stream)
    assert rows(url, 'SELECT sum(accepted), sum(late) FROM "window"') == rows(
        url, "SELECT count(*) FILTER (WHERE fate = 0), count(*) FILTER (WHERE fate = 1) FROM vote"
    )
    for query in CONTENTS:
        here, there = rows(url, query), rows(undisturbed, query)
        different = [pair for pair in zip(here, there, strict=True) if pair[0] != pair[1]]
        assert not different, (query, different[0])
    assert len(rows(url, "SELECT 1 FROM alert WHERE severity = 'critical'")) >= 5
    assert rows(url, "SELECT count(*) FROM vote WHERE fate = 1")[0][0] >= 50


def pairs(url: str) -> Counter[tuple[str, str, str]]:
    query = (
        "SELECT a.name, b.name, outcome, count(*) FROM vote"
        " JOIN model a ON a.model_no = model_a JOIN model b ON b.model_no = model_b GROUP BY 1, 2, 3"
    )
    outcomes = ("model_a", "model_b", "tie", "both_bad")
    return Counter({(a, b, outcomes[code]): n for a, b, code, n in rows(url, query)})


def recount(stream: Stream) -> Counter[tuple[str, str, str]]:
    """By pair and outcome, of each id the first."""
    first: dict[str, dict[str, str]] = {}
    for line in [*stream.before, *stream.after]:
        vote = json.loads(line)
        first.setdefault(vote["vote_id"], vote)
    return Counter((v["model_a"], v["model_b"], v["winner"]) for v in first.values())


@pytest.fixture
def kafka(make_kafka: Callable[..., KafkaServer]) -> KafkaServer:
    return make_kafka(heap="256m", overrides=GROUPS)


@pytest.fixture
def postgres(make_postgres: Callable[..., PostgresServer]) -> PostgresServer:
    return make_postgres()


def test_kill_9_at_any_moment_loses_and_doubles_nothing_and_the_alerts_are_those_of_a_quiet_run(
    kafka: KafkaServer, postgres: PostgresServer, stream: Stream, tmp_path: Path
) -> None:
    chance = random.Random(9)  # noqa: S311
    board = Board(kafka, postgres, stream, tmp_path)
    url, quiet = board.database(), board.database()
    board.publish(stream.after)
    total = len(stream.before) + len(stream.after)
    for kill in range(KILLS):
        begun = progress(url)
        with stopped_at_the_end(board.start(url, "--until-end")) as process:
            share = chance.uniform(0.05, 0.9) / (KILLS - kill)
            wait(lambda goal=begun + share * (total - begun): progress(url) > goal)
            time.sleep(chance.uniform(0, 0.05))  # anywhere within a batch
            process.send_signal(signal.SIGKILL)
            assert process.wait(5) == -signal.SIGKILL, "expected to be killed in mid-run, got an end"
        assert begun < progress(url) < total
    board.run(url)
    assert progress(url) == total
    board.quiet(quiet)
    expect_whole(url, stream, quiet)


def test_a_database_and_a_broker_that_crash_are_waited_for_and_nothing_is_lost(
    kafka: KafkaServer, postgres: PostgresServer, stream: Stream, tmp_path: Path
) -> None:
    """PostgreSQL is restarted as after a crash, the broker killed with -9; one worker lives through both."""
    board = Board(kafka, postgres, stream, tmp_path)
    url, quiet = board.database(), board.database()
    half = len(stream.after) // 2
    total = len(stream.before) + len(stream.after)
    with stopped_at_the_end(board.start(url)) as process:
        board.publish(stream.after[:half])
        wait(lambda: progress(url) > BEFORE + 1_000)
        postgres.restart("immediate")
        done = progress(url)
        assert done < BEFORE + half, "expected a restart in mid-run, got one at the end"
        wait(lambda: progress(url) > done + 1_000)
        kafka.kill()
        kafka.start()
        board.publish(stream.after[half:])
        wait(lambda: progress(url) == total or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        ended(process)
    board.quiet(quiet)
    expect_whole(url, stream, quiet)


def test_a_worker_frozen_in_a_transaction_does_not_block_the_next_owner_and_its_late_batch_is_fenced(
    kafka: KafkaServer, postgres: PostgresServer, stream: Stream, tmp_path: Path
) -> None:
    board = Board(kafka, postgres, stream, tmp_path)
    url, quiet = board.database(), board.database()
    board.publish(stream.after)
    total, port = len(stream.before) + len(stream.after), free_port()
    large = {"INTEGRITY_BATCH_VOTES": "10000"}  # a transaction long enough to be met in the middle
    with (
        psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as watch,
        stopped_at_the_end(board.start(url, "--metrics-port", str(port), **large)) as frozen,
    ):
        wait(lambda: in_a_batch(watch))
        frozen.send_signal(signal.SIGSTOP)
        begun = progress(url)
        other = board.run(url)
        assert progress(url) == total, "expected the other worker to have stored the rest"
        assert other["read"] == total - begun > 0
        frozen.send_signal(signal.SIGCONT)
        wait(lambda: fenced(port) >= 1)
        time.sleep(1)
        frozen.send_signal(signal.SIGTERM)
        assert ended(frozen)["read"] == begun - BEFORE
    board.quiet(quiet)
    expect_whole(url, stream, quiet)


def test_a_worker_whose_broker_is_away_is_not_healthy_and_is_again_when_it_is_back(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    """Nothing to read looks like idleness; only a broker that answers proves it."""
    create_topics(kafka.bootstrap, Settings(), "votes", 1)
    store = Store.open(str(tmp_path / "store.db"), voter_key=bytes.fromhex(KEY))
    source = KafkaSource(kafka.bootstrap, "votes", "g", session_seconds=SESSION)
    worker = Worker(source, store, Settings(progress_seconds=1.5), VOTER, "idle")
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        wait(source.partitions)
        time.sleep(2)
        assert worker.healthy()[0]
        kafka.pause()
        wait(lambda: not worker.healthy()[0], 10)
        kafka.resume()
        wait(lambda: worker.healthy()[0], 20)
    finally:
        kafka.resume()
        worker.stop()
        thread.join(20)
        source.close()
        store.close()
    assert not thread.is_alive()


def in_a_batch(watch: psycopg.Connection) -> bool:
    """Whether a worker is between its fence and its commit."""
    query = "SELECT 1 FROM pg_locks WHERE relation = 'vote'::regclass AND mode = 'RowExclusiveLock'"
    return bool(watch.execute(query).fetchall())


def fenced(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = re.search(r"(?m)^integrity_worker_fenced_total (\S+)", answer.read().decode())
    return float(found[1]) if found else 0.0
