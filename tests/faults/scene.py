"""What fault tests share: a topic with attackers in it, stores that have rated its first part, workers as processes.

A scene's first part is read and rated once; every test begins with a copy of that database, so that the second
part is judged from its first vote on. The undisturbed worker's tables are made once a topic.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread, local
from typing import Any

import psycopg
from kafka import KafkaConsumer, TopicPartition

from pipeline import jobs
from pipeline.detectors import VOTER
from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.lab.simulate import HonestSpec, TargetOnly, real_pair_rates, simulate_stream
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store.alerting import alert_queries
from pipeline.stream.kafka_publisher import create_topics, publish
from pipeline.stream.source import KafkaSource
from pipeline.stream.worker import Worker
from pipeline.vocabulary.outcomes import OUTCOMES
from tests.copies import copy_files
from tests.faults.held import Held, read
from tests.faults.log import Log, read_log
from tests.faults.promises import Case, expect_kept, same_board
from tests.faults.recount import ACCEPTED, LATE

INTEGRITY = Path(sys.executable).with_name("integrity")
KEY = bytes.fromhex("5a" * 32)
# Short, so that a dead worker's partitions are somebody else's soon; brokers refuse less than 6 s by default.
SESSION = 2
GROUPS = {"group.min.session.timeout.ms": "1000"}
SETTINGS = {
    "INTEGRITY_VOTER_KEY": KEY.hex(),
    "INTEGRITY_SESSION_SECONDS": str(SESSION),
    "INTEGRITY_ANCHOR": "",
    "INTEGRITY_BATCH_VOTES": "200",
}


@dataclass(frozen=True)
class FaultStream:
    """Votes as lines: honest ones, then all the rest.

    Attributes:
        before, after: the lines, repeats included.
    """

    before: list[bytes]
    after: list[bytes]

    def __len__(self) -> int:
        """Lines."""
        return len(self.before) + len(self.after)


def make_stream(votes: int, before: int, seed: int, late: int = 200) -> FaultStream:
    """A stream with six attackers from day two on, some late votes, and 2% that come twice."""
    chance = random.Random(seed)  # noqa: S311
    board = real_pair_rates(10)
    attack = TargetOnly(target=board.models[4], voters=6, votes_each=150, sampling=0.6, from_day=2)
    planted = simulate_stream(HonestSpec(votes=votes - 900, seed=seed, models=10, days=8, voters=votes // 4), [attack])
    lines = list(planted.to_bytes())
    assert not planted.is_attack[:before].any()
    after = lines[before:]
    for at in sorted(chance.sample(range(len(after) - 2_000), late), reverse=True):
        after.insert(at + 2_000, after.pop(at))  # hours later
    # A repeat comes after its first: an early copy of a late line would move the watermark by days.
    repeats: dict[int, list[bytes]] = {}
    for _ in range(len(lines) // 50):
        at = chance.randrange(len(after))
        repeats.setdefault(chance.randrange(at, len(after)), []).append(after[at])
    mixed = [line for at, one in enumerate(after) for line in [one, *repeats.get(at, ())]]
    return FaultStream(lines[:before], mixed)


@dataclass
class Scene:
    """A topic of its own on a broker, and databases of its own on a server.

    Attributes:
        announced: acknowledged votes by id; every record of a file that was published.
    """

    kafka: KafkaServer
    postgres: PostgresServer
    folder: Path
    stream: FaultStream
    partitions: int = 4
    acknowledged: Counter[str] = field(default_factory=Counter)
    topic: str = field(default_factory=lambda: f"votes.{uuid.uuid4().hex[:10]}")
    _undisturbed: Held | None = None
    _log: Log = field(default_factory=lambda: Log({}, {}))

    def __post_init__(self) -> None:
        """Publish the first part, read it into the template of all databases, and rate it."""
        self.topics = {name: f"{self.topic}.{name}" for name in ("alerts", "rejected")}
        self.settings = Settings(topic_alerts=self.topics["alerts"], topic_rejected=self.topics["rejected"])
        create_topics(self.kafka.bootstrap, self.settings, self.topic, self.partitions)
        self.publish(self.stream.before)
        self.template = self.postgres.create_database(f"scene_{uuid.uuid4().hex[:8]}")
        self.quiet(self.template)
        refresh(self.template)

    @property
    def source(self) -> str:
        """As the command takes it."""
        return f"{self.kafka.url}/{self.topic}"

    def publish(self, lines: list[bytes], progress: Callable[[int], None] = lambda _: None) -> None:
        """Publish lines; they are acknowledged when this returns."""
        path = self.folder / f"{uuid.uuid4().hex}.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        publish(path, self.kafka.bootstrap, self.topic, self.settings, progress=progress)
        self.acknowledged.update(json.loads(line)["vote_id"] for line in lines)

    def database(self) -> str:
        """A copy of the template with an id, and so a consumer group, of its own."""
        name = f"fault_{uuid.uuid4().hex[:8]}"
        template = self.template.rpartition("/")[2]
        with connected(self.postgres.url) as connection:
            connection.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
            # Else a crash sets the copy's sequences back (PostgreSQL 18): it holds that the next 32 numbers are logged,
            # and they were, in the database that it is a copy of. New terms would get numbers that are taken.
            connection.execute("CHECKPOINT")
        url = self.template.removesuffix(template) + name
        with connected(url) as connection:
            connection.execute("UPDATE meta SET value = %s WHERE name = 'store_id'", [secrets.token_hex(8)])
        copy_files(self.template, url, KEY)
        return url

    def start(
        self, url: str, *words: str, command: Sequence[str | Path] = (INTEGRITY,), **more: str
    ) -> subprocess.Popen[str]:
        """A worker as a process; `more` goes into its environment."""
        names = {f"INTEGRITY_TOPIC_{name.upper()}": topic for name, topic in self.topics.items()}
        return subprocess.Popen(
            [*command, "work", "--source", self.source, "--store", url, "--json", *words],
            env=os.environ | SETTINGS | names | {"PYTHONFAULTHANDLER": "1"} | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, url: str, **more: str) -> dict[str, Any]:
        """A worker of its own, to the end; it must end well."""
        return ended(self.start(url, "--until-end", **more))

    def quiet(self, url: str) -> None:
        """A worker in this process whom nothing disturbs, in batches ten times as large as the others'."""
        with worker_on(self, url, batch_votes=2_000) as worker:
            worker.run(until_end=True)

    def undisturbed(self) -> Held:
        """What one worker that nothing disturbed makes of the topic."""
        if self._undisturbed is None:
            self.quiet_url = self.database()
            self.quiet(self.quiet_url)
            self._undisturbed = read(self.quiet_url, KEY)
            refresh(self.quiet_url)
        return self._undisturbed

    def log(self) -> Log:
        """What the broker holds now; read again when more was published."""
        if len(self._log.records) != self.acknowledged.total():
            self._log = read_log(self.kafka.bootstrap, self.topic)
        return self._log

    def expect_kept(self, url: str, watch: Watch | None = None, **more: Any) -> None:
        """All promises hold for a store whose last worker came to the end of the topic and ended well.

        One more refresh is made first. Voter states are written behind: after a kill they are whole again when
        somebody has claimed the partition.
        """
        log, quiet = self.log(), self.undisturbed()
        refresh(url)
        case = Case(log, url, KEY, self.acknowledged, quiet, watch.pauses() if watch else (), **more)
        expect_kept(case)
        fates = Counter(row[6] for row in quiet.votes.values())
        assert self.alerts(quiet) >= 5, "expected attackers to be at stake"
        assert fates[LATE] >= 50, "expected late votes to be at stake"
        assert fates[ACCEPTED] > 0.9 * len(quiet.votes)
        assert same_board(url, self.quiet_url, KEY) == []

    @staticmethod
    def alerts(held: Held) -> int:
        """Critical alerts."""
        return sum(row[2] == "critical" for row in held.tables["alerts"].values())

    def announced(self, since: int = 0) -> list[str]:
        """The ids in the alerts topic, one a message, without the first `since` of them."""
        found = messages(self.kafka.bootstrap, self.topics["alerts"])
        return [json.loads(value)["id"] for value in found[since:]]


@contextmanager
def worker_on(scene: Scene, url: str, **options: Any) -> Iterator[Worker]:
    """A worker in this process, as the command makes it; without a broker to send alerts to."""
    store = open_store(url, voter_key=KEY, worker=True)
    settings = Settings(**({"session_seconds": SESSION} | options))
    source = KafkaSource(
        scene.kafka.bootstrap,
        scene.topic,
        f"integrity-{store.store_id}",
        session_seconds=settings.session_seconds,
        poll_seconds=settings.poll_seconds,
    )
    try:
        yield Worker(source, store, settings, VOTER, f"in-process-{uuid.uuid4().hex[:4]}")
    finally:
        source.close()
        store.close()


@contextmanager
def working(worker: Worker) -> Iterator[Worker]:
    """A worker in a thread; it is stopped at the end, and must have ended well."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(60)
    assert not thread.is_alive()
    assert not failed, failed


class Watch:
    """Looks at a store's progress, and remembers the longest time that work waited without any.

    The clock runs while the store is behind `goal` offsets, faults included: that is what a person would see.
    """

    def __init__(self, url: str, goal: Callable[[], int]) -> None:
        self._url, self._goal = url, goal
        self._ended, self._pauses = Event(), [(0.0, "nothing")]
        self._thread = Thread(target=self._look, daemon=True)

    def pauses(self) -> list[tuple[float, str]]:
        """Seconds without progress, and at how many offsets."""
        return [max(self._pauses)]

    def __enter__(self) -> Watch:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join(30)

    def _look(self) -> None:
        done, since = -1, time.monotonic()
        while not self._ended.wait(0.1):
            try:
                now = progress(self._url)
            except psycopg.Error:
                now = done  # a database that is away is no progress
            if now != done or now >= self._goal():
                done, since = now, time.monotonic()
            self._pauses.append((time.monotonic() - since, f"at {done} of {self._goal()} offsets"))
            self._pauses = [max(self._pauses)]
        forget_connection()


def refresh(url: str) -> None:
    """A refresh without its check, which takes seconds to import."""
    jobs.publish(url, jobs.rate(url, jobs.seal(url)))


@contextmanager
def killed_at_the_end(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever happens, none of them outlives the test; of one that failed, the report has what they said and did."""
    try:
        yield
    except BaseException:
        for process in processes:
            _tell(process)
        raise
    finally:
        for process in processes:
            process.kill()
            with suppress(ValueError):  # its output was read already
                process.communicate()


def _tell(process: subprocess.Popen[str]) -> None:
    """Print how a process ended or, of one that runs, where each of its threads is, and the last that it said."""
    code = process.poll()
    process.send_signal(signal.SIGABRT)  # the fault handler prints the stacks
    with suppress(ValueError, subprocess.TimeoutExpired):
        _, output = process.communicate(timeout=5)
        print(f"process {process.pid}, {'running' if code is None else f'exit {code}'}: {output[-6000:]}")  # noqa: T201


def ended(process: subprocess.Popen[str], seconds: float = 120, code: int = 0) -> dict[str, Any]:
    """What a process says that ends by itself."""
    try:
        printed, output = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == code, f"expected exit {code}, got {process.returncode}: {output[-4000:]}"
    result: dict[str, Any] = json.loads(printed)
    return result


def wait(holds: Callable[[], Any], seconds: float = 120, what: str = "it") -> Any:
    """What holds, as soon as it does."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"expected {what} within {seconds} s"
        time.sleep(0.02)
    return found


def connected(url: str, **options: Any) -> psycopg.Connection:
    """A plain connection beside the store's own."""
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True, connect_timeout=5, **options)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query, sorted."""
    with connected(url) as connection:
        return sorted(connection.execute(query).fetchall(), key=repr)


_kept = local()


def progress(url: str) -> int:
    """Offsets that are done; asked many times a second, over a connection that the thread keeps."""
    try:
        return _progress(url)
    except psycopg.OperationalError:  # it broke, as when the server was restarted since
        forget_connection()
        return _progress(url)


def _progress(url: str) -> int:
    if getattr(_kept, "url", None) != url:
        forget_connection()
        _kept.connection, _kept.url = connected(url), url
    found = _kept.connection.execute("SELECT coalesce(sum(next_offset), 0) FROM partition").fetchall()
    return int(found[0][0])


def forget_connection() -> None:
    """Close the connection that this thread keeps."""
    if getattr(_kept, "url", None) is not None:
        _kept.url = None
        _kept.connection.close()


def owners(url: str) -> set[str]:
    """The processes that have claimed a partition."""
    return {owner.rpartition(":")[2] for (owner,) in rows(url, "SELECT owner FROM partition")}


def messages(bootstrap: str, topic: str) -> list[bytes]:
    """Every value of a topic of one partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    part = TopicPartition(topic, 0)
    try:
        consumer.assign([part])
        consumer.seek_to_beginning(part)
        end, found = consumer.end_offsets([part])[part], []
        while consumer.position(part) < end:
            found += [one.value for polled in consumer.poll(timeout_ms=1_000).values() for one in polled]
        return found
    finally:
        consumer.close()


def metrics(port: int) -> dict[str, float]:
    """What a worker says of itself: series → value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = re.findall(r"(?m)^([a-z_]+(?:\{.*\})?) (\S+)$", answer.read().decode())
    return {name: float(value) for name, value in found}


def alerts_of(url: str) -> list[Mapping[str, Any]]:
    """Open alerts of a store."""
    store = open_store(url, voter_key=KEY)
    try:
        with store.read() as connection:
            return list(alert_queries.list_alerts(connection, "open"))
    finally:
        store.close()


def plain_votes(first: int, end: int) -> list[bytes]:
    """Votes two seconds apart over three models, by forty voters; nobody cares who wins."""
    pairs = (("m1", "m2"), ("m2", "m3"), ("m3", "m1"))
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    return [
        json.dumps(
            {
                "schema": 1,
                "vote_id": f"v{n}",
                "voter_id": f"voter-{n % 40}",
                "cast_at": (begin + timedelta(seconds=2 * n)).isoformat(),
                "model_a": pairs[n % 3][0],
                "model_b": pairs[n % 3][1],
                "winner": OUTCOMES[sha256(b"%d" % n).digest()[0] % 4],
            }
        ).encode()
        for n in range(first, end)
    ]
