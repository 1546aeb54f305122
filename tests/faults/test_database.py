"""Faults 18 to 20: a database that crashes, hangs up or is held by somebody else costs time and nothing else."""

from __future__ import annotations

import random
import signal
import time

import psycopg
import pytest

from pipeline.devstack.process import free_port
from tests.faults.proxy import Proxy, When
from tests.faults.scene import Scene, Watch, connected, ended, killed_at_the_end, metrics, progress, wait

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.postgres]


# 18.


@pytest.mark.long
def test_a_database_that_crashes_three_times_under_two_workers_is_waited_for(scene: Scene) -> None:
    """Each time every connection drops, and the server recovers from its log."""
    url, total = scene.database(), len(scene.stream)
    begun = progress(url)
    workers = [scene.start(url, INTEGRITY_BATCH_VOTES="100") for _ in range(2)]
    with killed_at_the_end(*workers), Watch(url, lambda: total) as watch:
        for crash in range(3):
            goal = begun + (crash + 1) * (total - begun) // 5
            wait(lambda goal=goal: progress(url) > goal, 200, "progress between two crashes")
            scene.postgres.restart("immediate")
        assert progress(url) < total, "expected the crashes in mid-run"
        wait(lambda: progress(url) == total, what="the end")
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        assert sum(ended(worker)["read"] for worker in workers) <= total - begun
    scene.run(url)
    scene.expect_kept(url, watch)


# 19.


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_around_a_commit_stores_the_batch_once(scene: Scene, when: When) -> None:
    """The worker cannot know whether its batch is stored; it asks, and neither repeats nor skips it."""
    url, total, port = scene.database(), len(scene.stream), free_port()
    begun, cuts = progress(url), 5
    with Proxy(scene.postgres.port, when) as proxy:
        through = url.replace(f":{scene.postgres.port}/", f":{proxy.port}/")
        worker = scene.start(through, "--metrics-port", str(port), INTEGRITY_BATCH_VOTES="200")
        with killed_at_the_end(worker), Watch(url, lambda: total) as watch:
            for cut in range(cuts):
                at = progress(url) + 400
                wait(lambda at=at: progress(url) > at)
                proxy.arm()
                wait(lambda cut=cut: proxy.cuts > cut, what="a COMMIT to cut")
            assert progress(url) < total, "expected the cuts in mid-run"
            wait(lambda: progress(url) == total, what="the end")
            fenced = metrics(port)["integrity_worker_fenced_total"]
            worker.send_signal(signal.SIGTERM)
            read = ended(worker)["read"]
    if when == "before":
        assert read == total - begun
    else:  # a batch that turns out to be stored already is dropped, like one that somebody else has stored
        assert fenced >= 1
        assert read < total - begun
    scene.expect_kept(url, watch)


@pytest.mark.long
def test_connections_cut_at_random_are_made_again(scene: Scene) -> None:
    url, total, chance = scene.database(), len(scene.stream), random.Random(19)  # noqa: S311
    with Proxy(scene.postgres.port) as proxy:
        through = url.replace(f":{scene.postgres.port}/", f":{proxy.port}/")
        worker = scene.start(through, INTEGRITY_BATCH_VOTES="100")
        with killed_at_the_end(worker), Watch(url, lambda: total) as watch:
            for _ in range(12):
                at = progress(url) + 200
                wait(lambda at=at: progress(url) > at)
                time.sleep(chance.uniform(0, 0.05))
                proxy.cut()
            assert progress(url) < total, "expected the cuts in mid-run"
            wait(lambda: progress(url) == total, what="the end")
            worker.send_signal(signal.SIGTERM)
            ended(worker)
    scene.expect_kept(url, watch)


# 20.


@pytest.mark.long
def test_a_table_locked_by_somebody_else_is_waited_for_in_bounded_tries(scene: Scene) -> None:
    """The worker lets go of its own locks each time, so a partition's next owner would not wait for it."""
    url, total = scene.database(), len(scene.stream)
    with (
        connected(url) as beside,
        connected(url) as watcher,
        killed_at_the_end(worker := scene.start(url)),
        Watch(url, lambda: total) as watch,
    ):
        wait(lambda: progress(url) > len(scene.stream.before) + 400)
        with beside.transaction():
            beside.execute("LOCK TABLE vote IN ACCESS EXCLUSIVE MODE")
            stuck, longest = progress(url), 0.0
            end = time.monotonic() + 6
            while time.monotonic() < end:
                longest = max(longest, longest_transaction(watcher, beside))
                time.sleep(0.05)
            assert progress(url) == stuck < total
        assert 0.5 < longest < 3, f"expected tries of about a second, got one of {longest:.1f} s"
        wait(lambda: progress(url) == total, what="the end")
        worker.send_signal(signal.SIGTERM)
        ended(worker)
    scene.expect_kept(url, watch)


def longest_transaction(watcher: psycopg.Connection, beside: psycopg.Connection) -> float:
    """Seconds for which any transaction but those two has been open."""
    query = (
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> ALL(%s)"
    )
    return float(watcher.execute(query, [[watcher.info.backend_pid, beside.info.backend_pid]]).fetchall()[0][0])


@pytest.mark.long
def test_a_deadlock_rolls_the_batch_back_and_it_is_written_again(scene: Scene) -> None:
    """Somebody holds the ledger and wants our partition, while we hold the partition and want the ledger."""
    url, total = scene.database(), len(scene.stream)
    with (
        connected(url, options="-c deadlock_timeout=60s") as beside,
        connected(url) as watcher,
        killed_at_the_end(worker := scene.start(url)),
        Watch(url, lambda: total) as watch,
    ):
        wait(lambda: progress(url) > len(scene.stream.before) + 400)
        for _ in range(3):
            run_into(beside, watcher)
        assert progress(url) < total
        wait(lambda: progress(url) == total, what="the end")
        # A backend tells of what it broke once a second at most, when a transaction of its own ends.
        wait(lambda: broken(watcher) >= 1, 30, "the worker having been the victim of a deadlock")
        worker.send_signal(signal.SIGTERM)
        ended(worker)
    scene.expect_kept(url, watch)


def run_into(beside: psycopg.Connection, watcher: psycopg.Connection) -> None:
    """Run into a deadlock with whoever writes a batch."""
    with beside.transaction():
        beside.execute("LOCK TABLE batch IN ACCESS EXCLUSIVE MODE")
        waiting = "SELECT 1 FROM pg_locks WHERE relation = 'batch'::regclass AND NOT granted"
        wait(lambda: watcher.execute(waiting).fetchall(), what="the worker wanting the ledger")
        beside.execute("SELECT 1 FROM partition FOR UPDATE")


def broken(watcher: psycopg.Connection) -> int:
    """How many deadlocks the database says it has broken."""
    query = "SELECT pg_stat_force_next_flush(), deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return int(watcher.execute(query).fetchall()[0][1])


@pytest.mark.slow
def test_a_lock_that_never_ends_ends_the_worker_within_two_minutes_and_names_the_store(scene: Scene) -> None:
    """Bounded: its supervisor starts it again, and somebody is told; nothing of the batch in hand is stored."""
    url = scene.database()
    with connected(url) as beside, killed_at_the_end(worker := scene.start(url)):
        wait(lambda: progress(url) > len(scene.stream.before))
        with beside.transaction():
            beside.execute("LOCK TABLE vote IN ACCESS EXCLUSIVE MODE")
            done = progress(url)
            output = ended(worker, 120, code=3)
            assert progress(url) == done
    assert output["error"] == "StoreUnavailable"
    assert url.rpartition("/")[2] in output["message"]
    scene.run(url)
    scene.expect_kept(url)


# Backpressure.


@pytest.mark.long
def test_a_store_slower_than_the_poll_limit_costs_the_worker_no_membership(scene: Scene) -> None:
    """Kafka takes a member's partitions away that does not poll; waiting for the store is not silence."""
    url, total = scene.database(), len(scene.stream)
    limits = {"INTEGRITY_POLL_SECONDS": "5", "INTEGRITY_BATCH_VOTES": "200"}
    with (
        connected(url) as beside,
        killed_at_the_end(worker := scene.start(url, **limits)),
        Watch(url, lambda: total) as watch,
    ):
        wait(lambda: progress(url) > len(scene.stream.before) + 400)
        member = members(scene, url)
        assert len(member) == 1
        with beside.transaction():
            beside.execute("LOCK TABLE vote IN ACCESS EXCLUSIVE MODE")
            end = time.monotonic() + 12
            while time.monotonic() < end:
                assert members(scene, url) == member, "expected the worker to stay in its group"
                time.sleep(0.5)
        wait(lambda: progress(url) == total, what="the end")
        assert members(scene, url) == member
        worker.send_signal(signal.SIGTERM)
        ended(worker)
    scene.expect_kept(url, watch)


def members(scene: Scene, url: str) -> set[str]:
    """The ids of the members of a store's consumer group."""
    from kafka import KafkaAdminClient

    with connected(url) as connection:
        [(store_id,)] = connection.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchall()
    admin = KafkaAdminClient(bootstrap_servers=scene.kafka.bootstrap)
    try:
        groups = admin.describe_groups([f"integrity-{store_id}"])
    finally:
        admin.close()
    return {member["member_id"] for group in groups.values() for member in group["members"]}
