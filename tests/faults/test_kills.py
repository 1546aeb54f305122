"""Fault 1 at length: ten times kill -9 at random, two workers, a hundred thousand votes; and a store that stands."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from pipeline.devstack import KafkaServer, PostgresServer
from tests.faults.scene import (
    SETTINGS,
    Scene,
    Watch,
    connected,
    ended,
    killed_at_the_end,
    make_stream,
    owners,
    progress,
    rows,
    wait,
)

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.kafka, pytest.mark.postgres]

VOTES, BEFORE, KILLS = 100_000, 20_000, 10


@pytest.fixture(scope="module")
def scene(
    broker: KafkaServer, database_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A topic of its own; no test appends to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        made = Scene(broker, database_server, tmp_path_factory.mktemp("kills"), make_stream(VOTES, BEFORE, seed=31))
        made.publish(made.stream.after)
        yield made


def test_ten_kills_of_two_workers_lose_and_double_nothing_and_every_alert_fires_once(scene: Scene) -> None:
    chance = random.Random(10)  # noqa: S311
    url, total, unwritten, reported = scene.database(), len(scene.stream), 0, len(scene.announced())
    with Watch(url, lambda: total) as watch, ExitStack() as stack:
        workers = [scene.start(url, INTEGRITY_BATCH_VOTES="400") for _ in range(2)]
        stack.enter_context(killed_at_the_end(*workers))
        for kill in range(KILLS):
            begun = progress(url)
            goal = begun + chance.uniform(0.2, 0.9) * (total - begun) / (KILLS - kill)
            wait(lambda goal=goal: progress(url) > goal, what="progress between two kills")
            time.sleep(chance.uniform(0, 0.05))  # anywhere within a batch
            victim = workers.pop(chance.randrange(2))
            victim.send_signal(signal.SIGKILL)
            assert victim.wait(5) == -signal.SIGKILL, "expected to be killed in mid-run, got an end"
            unwritten += bool(rows(url, "SELECT 1 FROM partition WHERE state_offset < next_offset"))
            workers.append(scene.start(url, INTEGRITY_BATCH_VOTES="400"))
            stack.enter_context(killed_at_the_end(workers[-1]))
        assert progress(url) < total, "expected all kills in mid-run"
        wait(lambda: progress(url) == total, 120, "the end")
        # The newest may still be starting: whoever is asked to end before it is up ends by the signal alone.
        wait(lambda: owners(url) == {str(worker.pid) for worker in workers}, what="a partition for both")
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            ended(worker)
    assert unwritten >= 3, f"expected kills with voter states that are in memory alone, got {unwritten}"
    scene.run(url)
    scene.expect_kept(url, watch, announced=scene.announced(since=reported))


def test_a_store_that_stands_holds_the_worker_up_and_its_memory_still(scene: Scene) -> None:
    """Eighty thousand votes wait, of which a batch is being written and one is ready; no more is read."""
    url, total = scene.database(), len(scene.stream)
    with (
        connected(url) as beside,
        killed_at_the_end(worker := scene.start(url, INTEGRITY_BATCH_VOTES="500")),
        Watch(url, lambda: total) as watch,
    ):
        begun = progress(url)
        wait(lambda: progress(url) > begun + 5_000)
        with beside.transaction():
            beside.execute("LOCK TABLE vote IN ACCESS EXCLUSIVE MODE")
            settled = time.monotonic() + 8  # fetches that were under way have come in
            wait(lambda: time.monotonic() > settled)
            before, done = resident(worker.pid), progress(url)
            standing = time.monotonic() + 15
            wait(lambda: time.monotonic() > standing)
            grown = resident(worker.pid) - before
            assert progress(url) == done < total - 20_000
        assert grown < 4_000_000, f"expected the memory to stand still, it grew by {grown:,} bytes"
        wait(lambda: progress(url) == total, what="the end")
        worker.send_signal(signal.SIGTERM)
        ended(worker)
    scene.expect_kept(url, watch)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(psutil.Process(pid).memory_info().rss)
