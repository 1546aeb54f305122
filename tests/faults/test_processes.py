"""Faults 1 to 8: whatever becomes of a worker's process, no vote is lost and none is counted twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import count

import psycopg
import pytest

from pipeline.devstack.process import free_port
from tests.faults.scene import (
    SETTINGS,
    Scene,
    Watch,
    connected,
    ended,
    killed_at_the_end,
    metrics,
    owners,
    progress,
    rows,
    wait,
    worker_on,
    working,
)

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.postgres]


def faulty(scene: Scene, url: str, at: str, after: int, number: str, **more: str) -> subprocess.Popen[str]:
    words = ["--bootstrap", scene.kafka.bootstrap, "--topic", scene.topic, "--store", url]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.faulty", *words, "--at", at, "--after", str(after), "--signal", number],
        env=os.environ | SETTINGS | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# 1 and 2.


@pytest.mark.long
@pytest.mark.parametrize(
    ("at", "stored"), [("poll", 4), ("commit", 4), ("done", 5)], ids=["polled", "written", "committed"]
)
def test_kill_9_at_any_joint_of_a_batch_loses_and_doubles_nothing(scene: Scene, at: str, stored: int) -> None:
    """The fifth batch is polled, written or committed when the process dies; a commit counts, nothing else does."""
    url, total = scene.database(), len(scene.stream)
    begun = transactions(url)
    with Watch(url, lambda: total) as watch:
        with killed_at_the_end(process := faulty(scene, url, at, 5, "KILL", INTEGRITY_BATCH_VOTES="500")):
            assert process.wait(60) == -signal.SIGKILL, process.communicate()
        # A poll may have been in vain: the worker drops what came before it knew its share.
        assert transactions(url) - begun in ((stored, stored - 1) if at == "poll" else (stored,))
        done = progress(url)
        assert scene.run(url)["read"] == total - done > 0
    scene.expect_kept(url, watch)


def transactions(url: str) -> int:
    """Transactions that wrote the ledger of offsets."""
    return int(rows(url, "SELECT count(DISTINCT xmin::text) FROM batch")[0][0])


# 3 and 4.


@pytest.mark.long
def test_a_worker_frozen_past_session_and_poll_limits_is_fenced_when_it_wakes(scene: Scene) -> None:
    """It wakes with a batch in hand that another worker has stored meanwhile."""
    url, total = scene.database(), len(scene.stream)
    begun = progress(url)
    limits = {"INTEGRITY_BATCH_VOTES": "500", "INTEGRITY_POLL_SECONDS": "3"}
    with killed_at_the_end(frozen := faulty(scene, url, "poll", 5, "STOP", **limits)):
        wait(lambda: state_of(frozen.pid) == "T", what="the worker frozen")
        done, since = progress(url), time.monotonic()
        assert begun < done < total
        with Watch(url, lambda: total) as watch:
            assert scene.run(url)["read"] == total - done
        wait(lambda: time.monotonic() > since + 4)  # beyond both limits, however quick the other one was
        frozen.send_signal(signal.SIGCONT)
        time.sleep(1)
        frozen.send_signal(signal.SIGTERM)
        output = ended(frozen)
    assert output["read"] == done - begun, "expected the late batch to be dropped"
    assert output["fenced"] >= 1
    scene.expect_kept(url, watch)


@pytest.mark.long
def test_a_worker_frozen_in_a_transaction_does_not_block_the_next_owner(scene: Scene) -> None:
    url, total, port = scene.database(), len(scene.stream), free_port()
    large = {"INTEGRITY_BATCH_VOTES": "10000"}  # a transaction long enough to be met in the middle
    begun = progress(url)
    with (
        connected(url) as beside,
        killed_at_the_end(frozen := scene.start(url, "--metrics-port", str(port), **large)),
    ):
        wait(lambda: in_a_batch(beside))
        frozen.send_signal(signal.SIGSTOP)
        wait(lambda: state_of(frozen.pid) == "T", what="the worker frozen")
        done = progress(url)
        with Watch(url, lambda: total) as watch:
            assert scene.run(url)["read"] == total - done > 0
        frozen.send_signal(signal.SIGCONT)
        wait(lambda: metrics(port)["integrity_worker_fenced_total"] >= 1, what="the late batch fenced")
        frozen.send_signal(signal.SIGTERM)
        assert ended(frozen)["read"] == done - begun
    scene.expect_kept(url, watch)


def in_a_batch(beside: psycopg.Connection) -> bool:
    """Whether a worker is between its fence and its commit."""
    query = "SELECT 1 FROM pg_locks WHERE relation = 'vote'::regclass AND mode = 'RowExclusiveLock'"
    return bool(beside.execute(query).fetchall())


def state_of(pid: int) -> str:
    """R runs, S sleeps, T is frozen."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0]


# 5.


@pytest.mark.slow
def test_sigterm_twenty_times_drains_and_exits_0_each_time(scene: Scene) -> None:
    """A rolling deploy: each worker is told to end while the next one is starting."""
    url, total, chance = scene.database(), len(scene.stream), random.Random(5)  # noqa: S311
    begun, read = progress(url), []
    small = {"INTEGRITY_BATCH_VOTES": "60"}
    with Watch(url, lambda: total) as watch, ExitStack() as stack:
        current = None
        for _ in range(20):
            following = scene.start(url, **small)
            stack.enter_context(killed_at_the_end(following))
            if current is not None:
                up(url, current)
                at = progress(url) + chance.randrange(100)
                wait(lambda at=at: progress(url) > at or progress(url) == total, what="the worker at work")
                current.send_signal(signal.SIGTERM)
                read.append(ended(current)["read"])
            current = following
        assert current is not None
        up(url, current)
        wait(lambda: progress(url) > begun + sum(read) or progress(url) == total)
        current.send_signal(signal.SIGTERM)
        read.append(ended(current)["read"])
        assert progress(url) == begun + sum(read), "expected every batch that was read to be stored, and no other"
        assert sum(r > 0 for r in read) >= 10, f"expected most of them to be met at work, got {read}"
        scene.run(url)
    scene.expect_kept(url, watch)


def up(url: str, worker: subprocess.Popen[str]) -> None:
    """Wait until a worker has a share: whoever is asked to end while it starts ends by the signal alone."""
    wait(lambda: str(worker.pid) in owners(url), what="a share for the worker")


# 6 and 7.


@pytest.mark.slow
def test_a_storm_of_rebalances_loses_nothing_and_work_goes_on(scene: Scene) -> None:
    """Somebody joins or leaves about every second; the group has one steady member."""
    url, total, chance = scene.database(), len(scene.stream), random.Random(6)  # noqa: S311
    rebalances = 0
    with Watch(url, lambda: total) as watch, worker_on(scene, url, batch_votes=40) as steady, working(steady):
        for _ in count():
            if progress(url) == total:
                break
            with worker_on(scene, url, batch_votes=40) as guest, working(guest):
                before = steady.source.generation()
                wait(lambda: guest.source.assigned_partitions() or progress(url) == total, what="a share for the guest")
                time.sleep(chance.uniform(0, 1))
            wait(lambda b=before: steady.source.generation() > b or progress(url) == total)
            rebalances += 1
        wait(lambda: progress(url) == total)
    assert rebalances >= 5, f"expected a storm, got {rebalances} rebalances"
    scene.expect_kept(url, watch)


@pytest.mark.long
def test_of_more_workers_than_partitions_the_idle_ones_are_healthy_and_take_over(scene: Scene) -> None:
    url, total = scene.database(), len(scene.stream)
    with Watch(url, lambda: total) as watch, ExitStack() as stack:
        owner = scene.start(url, INTEGRITY_BATCH_VOTES="50")
        stack.enter_context(killed_at_the_end(owner))
        begun = progress(url)
        wait(lambda: progress(url) > begun + 300)
        idle = [stack.enter_context(worker_on(scene, url, progress_seconds=4)) for _ in range(5)]
        for one in idle:
            stack.enter_context(working(one))
        wait(lambda: sum(not one.source.assigned_partitions() for one in idle) >= 2, what="workers without a partition")
        without = [one for one in idle if not one.source.assigned_partitions()]
        since = time.monotonic()
        # A worker that takes idleness for a standstill is unhealthy for good after progress_seconds.
        wait(
            lambda: time.monotonic() > since + 8 and all(one.healthy()[0] for one in without),
            what="workers that are healthy after twice the time without a partition",
        )
        owner.kill()
        wait(lambda: progress(url) == total, what="the others to take over")
    scene.run(url)
    scene.expect_kept(url, watch)
