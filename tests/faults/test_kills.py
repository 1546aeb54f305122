"""Fault 1 at length: ten times kill -9 at random, two workers, a hundred thousand votes."""

from __future__ import annotations

import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.local import KafkaServer, PostgresServer
from tests.faults.scene import Scene, Watch, ended, killed_at_the_end, make_stream, progress, rows, wait

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.kafka, pytest.mark.postgres]

VOTES, BEFORE, KILLS = 100_000, 20_000, 10


def test_ten_kills_of_two_workers_lose_and_double_nothing_and_every_alert_fires_once(
    broker: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    chance = random.Random(10)  # noqa: S311
    scene = Scene(broker, database_server, tmp_path, make_stream(VOTES, BEFORE, seed=31))
    scene.publish(scene.stream.after)
    url, total, unwritten = scene.database(), len(scene.stream), 0
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
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            ended(worker)
    assert unwritten >= 3, f"expected kills with voter states that are in memory alone, got {unwritten}"
    scene.run(url)
    scene.expect_kept(url, watch, announced=scene.announced())
