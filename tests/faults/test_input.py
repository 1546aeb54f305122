"""Faults 26, 27, 30 and 31: one id at two workers, votes out of order, partitions without votes, tomorrow's schema.

Elsewhere, over real services too: invalid records (24, 25) in tests/integration/test_invalid_records.py; duplicates
that one worker reads (26) and votes from the future (28) in tests/integration/test_worker.py.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.stream.kafka_publisher import create_producer
from pipeline.stream.window_monitor import Monitor
from tests.faults.held import board_of, read
from tests.faults.promises import Case, expect_kept
from tests.faults.scene import KEY, FaultStream, Scene, connected, plain_votes, refresh, rows, wait, worker_on, working

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.postgres]

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def plain(broker: KafkaServer, database_server: PostgresServer, tmp_path: Path) -> Scene:
    """Four partitions and the votes of one day by forty voters, rated."""
    return Scene(broker, database_server, tmp_path, FaultStream(plain_votes(0, 600), []))


def vote(name: str, cast_at: datetime, **other: Any) -> bytes:
    return json.dumps(
        {
            "schema": 1,
            "vote_id": name,
            "voter_id": "one",
            "cast_at": cast_at.isoformat(),
            "model_a": "m1",
            "model_b": "m2",
            "winner": "tie",
            **other,
        }
    ).encode()


def fates(url: str) -> dict[str, str]:
    names = ("accepted", "late", "quarantined")
    return {vote_id: names[fate] for vote_id, fate in rows(url, "SELECT vote_id, fate FROM vote")}


def expect_recounted(scene: Scene, url: str) -> None:
    refresh(url)
    expect_kept(Case(scene.log(), url, KEY, scene.acknowledged))


# 26.


@pytest.mark.long
def test_an_id_that_two_workers_bring_at_one_moment_is_counted_once(
    broker: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    """Both have asked the store and found nothing when they write: the key has the last word, and the loser asks again.

    A lock holds both up between the two; which of them comes first is nobody's choice.
    """
    scene = Scene(broker, database_server, tmp_path, FaultStream(plain_votes(0, 200), []), partitions=2)
    url, met = scene.database(), collisions(database_server)
    with (
        connected(url) as beside,
        connected(url) as watcher,
        worker_on(scene, url) as one,
        worker_on(scene, url) as two,
        working(one),
        working(two),
    ):
        wait(lambda: len(one.source.assigned_partitions()) == len(two.source.assigned_partitions()) == 1)
        for first in (200, 300, 400):
            with beside.transaction():
                beside.execute("LOCK TABLE vote IN SHARE MODE")
                twice(scene, plain_votes(first, first + 100))
                wait(lambda: waiting_for_votes(watcher) == 2, what="both about to write")
            wait(lambda first=first: one.tally.read + two.tally.read == 2 * (first - 100), what="both to have written")
    assert rows(url, "SELECT count(*), count(DISTINCT vote_id) FROM vote") == [(500, 500)]
    assert rows(url, "SELECT count(*) FROM duplicate WHERE same_body") == [(300,)]
    expect_recounted(scene, url)
    assert collisions(database_server) > met, "expected one to have been refused an id at least once"


def collisions(server: PostgresServer) -> int:
    """How often the database refused an id that was there."""
    return server.log.read_text(errors="replace").count('violates unique constraint "pk_vote_key"')


def twice(scene: Scene, lines: list[bytes]) -> None:
    """The same votes on both partitions, as two publishers do that do not agree on the key."""
    client = create_producer(scene.kafka.bootstrap)
    sent = [client.send(scene.topic, value=line, partition=number) for line in lines for number in range(2)]
    for future in sent:
        future.get(timeout=60)
    client.close()
    scene.acknowledged.update(json.loads(line)["vote_id"] for line in lines for _ in range(2))


def waiting_for_votes(watcher: psycopg.Connection) -> int:
    """Transactions that wait for the table of votes."""
    query = "SELECT count(*) FROM pg_locks WHERE relation = 'vote'::regclass AND NOT granted"
    return int(watcher.execute(query).fetchall()[0][0])


# 27.


@pytest.mark.long
def test_a_vote_is_late_from_one_hour_and_one_tick_behind_the_newest_of_its_partition(plain: Scene) -> None:
    """All by one voter, so on one partition; the newest before them was cast at noon."""
    plain.publish(
        [
            vote("noon", NOON),
            vote("an hour before", NOON - HOUR),
            vote("a tick earlier", NOON - HOUR - TICK),
            vote("an hour after", NOON + HOUR),  # and noon is the limit
            vote("noon again", NOON),
            vote("a tick before noon", NOON - TICK),
            vote("the day before", NOON - timedelta(days=1)),
        ]
    )
    url = plain.database()
    plain.run(url)
    late = {name for name, fate in fates(url).items() if fate == "late"}
    assert late == {"a tick earlier", "a tick before noon", "the day before"}
    expect_recounted(plain, url)


@pytest.mark.long
def test_votes_out_of_order_within_the_hour_are_accepted_and_older_ones_count_as_late(
    plain: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late votes count in both views; where the batches are cut changes no fate."""
    monkeypatch.setenv("INTEGRITY_AUTO_VOTER", "0")  # one voter of 3,000 votes over two models is a suspect
    chance = random.Random(27)  # noqa: S311
    # In the order of their arrival; each was cast up to 55 minutes (or, every tenth, 61 to 200) before that.
    delays = [chance.uniform(61, 200) if n % 10 == 9 else chance.uniform(0, 55) for n in range(3_000)]
    arrivals = [NOON + timedelta(seconds=20 * n) for n in range(3_000)]
    votes = [
        vote(f"s{n}", arrival - timedelta(minutes=delay), winner=chance.choice(["model_a", "model_b"]))
        for n, (arrival, delay) in enumerate(zip(arrivals, delays, strict=True))
    ]
    plain.publish(votes)
    url, small = plain.database(), plain.database()
    plain.run(url)
    plain.run(small, INTEGRITY_BATCH_VOTES="37")
    assert fates(url) == fates(small)
    found = Counter(fates(url).values())
    # The newest vote of the partition trails its arrival by some minutes: most of every tenth are beyond the hour.
    assert 200 < found["late"] <= 300
    assert found["accepted"] == 3_600 - found["late"]
    assert all(fate == "accepted" for name, fate in fates(url).items() if name[0] == "s" and int(name[1:]) % 10 != 9)
    expect_recounted(plain, url)
    expect_recounted(plain, small)
    battles = {
        view: sum(row[3] for (its, _), row in board_of(url, KEY).items() if its == view) / 2
        for view in ("raw", "defended")
    }
    assert battles == {"raw": 3_600, "defended": 3_600}


# 30.


@pytest.mark.long
def test_partitions_without_votes_hold_nobody_up(
    broker: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    """Three partitions of four never had a vote: the worker is healthy and ends at the end; windows close."""
    lines = [
        vote(f"v{n}", NOON + timedelta(minutes=n), model_b=f"m{2 + n % 2}", winner=("model_a", "model_b")[n % 4 // 2])
        for n in range(300)
    ]
    lines += [
        vote(
            f"w{n}", NOON + timedelta(minutes=300 + n), model_a="m2", model_b="m3", winner=("model_a", "model_b")[n % 2]
        )
        for n in range(20)
    ]
    scene = Scene(broker, database_server, tmp_path, FaultStream(lines, []))
    url = scene.database()
    assert sorted(next_offset for (next_offset,) in rows(url, "SELECT next_offset FROM partition")) == [0, 0, 0, 320]
    with worker_on(scene, url, progress_seconds=2) as worker, working(worker):
        wait(lambda: len(worker.source.assigned_partitions()) == 4)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert worker.healthy()[0], "expected proven idleness"
            time.sleep(0.1)
    store = open_store(url, voter_key=KEY)
    closed = Monitor(store, Settings(), "test").run(until_end=True)
    store.close()
    windows = len(read(url, KEY).windows)
    assert windows - 14 < closed < windows, "expected the windows of all but the last hour and more to be closed"


# 31.


@pytest.mark.long
def test_a_field_of_tomorrow_is_accepted_and_a_schema_of_tomorrow_is_rejected_with_its_number(plain: Scene) -> None:
    plain.publish(
        [
            vote("a new field", NOON, confidence=0.75, nested={"new": [1, {"deep": None}]}),
            vote("the next schema", NOON, schema=2),
            vote("no schema that we know", NOON, schema="1"),
            vote("today's", NOON),
        ]
    )
    url = plain.database()
    plain.run(url)
    found = fates(url)
    assert {"a new field", "today's"} <= found.keys()
    assert not {"the next schema", "no schema that we know"} & found.keys()
    rejects = rows(url, "SELECT reason, detail FROM reject")
    assert [reason for reason, _ in rejects] == ["unknown_schema", "wrong_type"]
    assert "2" in rejects[0][1]
