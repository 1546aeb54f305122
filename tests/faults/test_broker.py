"""Faults 9 to 13: a broker that is away is waited for, and a log that lost votes is never read on in silence."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.devstack.monitoring import PrometheusServer
from pipeline.devstack.process import free_port
from tests.conftest import started
from tests.faults.scene import (
    GROUPS,
    FaultStream,
    Scene,
    Watch,
    alerts_of,
    ended,
    killed_at_the_end,
    metrics,
    owners,
    plain_votes,
    progress,
    wait,
    worker_on,
    working,
)

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.postgres]

RUNBOOK = "deploy/runbooks/offset-gap.md"


@pytest.fixture
def own(make_kafka: Callable[..., KafkaServer]) -> KafkaServer:
    """A broker to be hurt."""
    return make_kafka(heap="256m", overrides=GROUPS)


def plain(own: KafkaServer, database_server: PostgresServer, folder: Path) -> Scene:
    """One partition, 200 votes that are read and 400 that are not."""
    scene = Scene(own, database_server, folder, FaultStream(plain_votes(0, 200), plain_votes(200, 600)), partitions=1)
    scene.publish(scene.stream.after)
    return scene


# 9 and 10.


@pytest.mark.long
def test_a_worker_whose_broker_is_away_is_not_healthy_and_is_again_when_it_is_back(
    own: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    """Nothing to read looks like idleness; only a broker that answers proves it."""
    scene = plain(own, database_server, tmp_path)
    with worker_on(scene, scene.database(), progress_seconds=1.5) as worker, working(worker):
        wait(lambda: worker.tally.read == 400)
        idle = time.monotonic() + 3
        while time.monotonic() < idle:
            assert worker.healthy()[0]
            time.sleep(0.1)
        own.pause()
        try:
            wait(lambda: not worker.healthy()[0], 15, "a worker that is not healthy")
            away = time.monotonic() + 12  # it asks again and again, and gives up after seconds
            while time.monotonic() < away:
                assert not worker.healthy()[0], "expected a broker that does not answer to prove nothing"
                time.sleep(0.1)
        finally:
            own.resume()
        wait(lambda: worker.healthy()[0], 30, "a healthy worker")


@pytest.mark.long
def test_a_broker_killed_under_publisher_and_worker_is_waited_for(
    own: KafkaServer,
    database_server: PostgresServer,
    stream: FaultStream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the publisher has an acknowledgement for is in the store once; it and the worker live through the kill."""
    monkeypatch.setattr("pipeline.stream.kafka_publisher._IN_FLIGHT", 2_000)
    scene = Scene(own, database_server, tmp_path, stream)
    url, kills = scene.database(), []

    def kill(_: int) -> None:
        """While the publisher has sent more than is acknowledged."""
        if not kills:
            own.kill()
            kills.append(threading.Timer(2, own.start))  # both find it gone
            kills[0].start()

    with killed_at_the_end(worker := scene.start(url)), Watch(url, lambda: len(stream)) as watch:
        wait(lambda: str(worker.pid) in owners(url))
        scene.publish(stream.after, progress=kill)
        kills[0].join()
        assert scene.acknowledged.total() == len(stream), "expected everything to be acknowledged at last"
        wait(lambda: progress(url) == len(stream), what="the end")
        worker.send_signal(signal.SIGTERM)
        ended(worker)
    scene.expect_kept(url, watch, announced=scene.announced())


# 11.


def halted(worker: Any, url: str, before: int) -> dict[str, Any]:
    """The worker ends with exit 3 and an open alert that names the page, and has not moved."""
    output = ended(worker, code=3)
    assert output["error"] == "OffsetGap"
    assert progress(url) == before, "expected the offset to stay: a reset in silence would lose votes"
    expect_alert(url, output)
    return output


def expect_alert(url: str, output: dict[str, Any]) -> None:
    """One open alert says what the worker said, and names the page that says what to do."""
    [alert] = alerts_of(url)
    assert (alert["detector"], alert["direction"], alert["severity"]) == ("worker_halted", "offset_gap", "critical")
    assert alert["evidence"]["runbook"] == RUNBOOK
    assert Path(RUNBOOK).is_file()
    assert alert["evidence"]["what"] == output["message"]


def cut(broker: KafkaServer, topic: str, share: float) -> None:
    """Kill the broker and take the end of a partition's log away, as a disk does that lies about what it wrote."""
    broker.kill()
    [segment] = (broker.directory / "data" / f"{topic}-0").glob("*.log")
    with segment.open("r+b") as file:
        file.truncate(int(segment.stat().st_size * share))
    broker.start()


@pytest.mark.long
def test_a_log_truncated_under_a_worker_halts_it_with_an_alert_and_again_when_it_is_started_again(
    own: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    scene = plain(own, database_server, tmp_path)
    url = scene.database()
    with killed_at_the_end(worker := scene.start(url)):
        wait(lambda: progress(url) == 600)
        cut(own, scene.topic, 0.7)
        output = halted(worker, url, 600)
    found = re.search(r"partition 0: the log ends at (\d+), but (\d+) records beyond it were read", output["message"])
    assert found, output["message"]
    assert int(found[1]) + int(found[2]) == 600
    halted(scene.start(url, "--until-end"), url, 600)


# 12.


@pytest.mark.long
def test_retention_that_passed_a_frozen_worker_halts_it_with_the_size_of_the_gap(
    own: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    scene = plain(own, database_server, tmp_path)
    url = scene.database()
    with killed_at_the_end(worker := scene.start(url)):
        wait(lambda: progress(url) == 600)
        worker.send_signal(signal.SIGSTOP)
        scene.publish(plain_votes(600, 620))  # these may answer a fetch that is under way
        scene.publish(plain_votes(620, 900))
        admin = KafkaAdminClient(bootstrap_servers=own.bootstrap)
        admin.delete_records({TopicPartition(scene.topic, 0): 850})
        admin.close()
        worker.send_signal(signal.SIGCONT)
        output = ended(worker, code=3)
    at = progress(url)
    assert at in (600, 620)
    assert f"partition 0: offsets {at} to 849 ({850 - at} records) were deleted by retention" in output["message"]
    expect_alert(url, output)


@pytest.mark.long
def test_a_log_truncated_and_filled_again_beyond_our_offset_is_a_gap_too(
    own: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    """Our offset is there again, and what stands before it are other votes, which nobody would ever read."""
    scene = plain(own, database_server, tmp_path)
    url = scene.database()
    assert scene.run(url)["read"] == 400
    cut(own, scene.topic, 0.7)
    scene.publish(plain_votes(1_000, 1_700))
    output = halted(scene.start(url, "--until-end"), url, 600)
    assert "partition 0" in output["message"]
    assert "truncated" in output["message"]


# 13.


@contextmanager
def member(scene: Scene, group: str) -> Iterator[KafkaConsumer]:
    """A member of a group that lives, heartbeats and all, and is patient for five minutes."""
    consumer = KafkaConsumer(
        bootstrap_servers=scene.kafka.bootstrap,
        group_id=group,
        session_timeout_ms=30_000,
        heartbeat_interval_ms=1_000,
        max_poll_interval_ms=300_000,
        enable_auto_commit=False,
    )
    consumer.topics()
    consumer.subscribe([scene.topic])
    try:
        yield consumer
    finally:
        consumer.close(autocommit=False)


def state_of_group(scene: Scene, group: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=scene.kafka.bootstrap)
    try:
        return str(next(iter(admin.describe_groups([group]).values()))["group_state"])
    finally:
        admin.close()


def firing(port: int, name: str, instance: str) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=10) as answer:
        alerts = json.load(answer)["data"]["alerts"]
    return any(
        a["state"] == "firing" and a["labels"]["alertname"] == name and a["labels"].get("instance") == instance
        for a in alerts
    )


@pytest.mark.slow
@pytest.mark.prometheus
def test_a_stuck_group_is_told_within_a_minute_and_another_group_reads_on(
    broker: KafkaServer, database_server: PostgresServer, tmp_path: Path
) -> None:
    """One member answers and never joins again: the coordinator waits for it, and everybody else with it."""
    scene = Scene(broker, database_server, tmp_path, FaultStream(plain_votes(0, 200), []), partitions=2)
    url, port, group = scene.database(), free_port(), f"stuck-{scene.topic}"
    targets = {"exporter:9464": free_port(), "worker-1:9465": port, "worker-2:9465": free_port()}
    targets["alertmanager:9093"] = free_port()
    prometheus = started(PrometheusServer(tmp_path / "prometheus", targets=targets))
    worker = scene.start(url, "--metrics-port", str(port), INTEGRITY_GROUP=group, INTEGRITY_PROGRESS_SECONDS="20")
    instance = f"127.0.0.1:{port}"
    with prometheus, killed_at_the_end(worker):
        wait(lambda: state_of_group(scene, group) == "Stable")
        idle = time.monotonic() + 20
        while time.monotonic() < idle:
            silent = time.time() - metrics(port)["integrity_worker_last_progress_timestamp_seconds"]
            assert silent < 15, f"expected idleness to be proved, got a silence of {silent:.0f} s"
            time.sleep(1)
        assert not firing(prometheus.port, "WorkerStalled", instance)
        with member(scene, group) as frozen:
            wait(lambda: frozen.poll(timeout_ms=200) is not None and frozen.assignment(), what="the member's share")
            with member(scene, group) as newcomer:
                newcomer.poll(timeout_ms=500)  # it wants to join, and from now on `frozen` says nothing
                wait(lambda: state_of_group(scene, group) == "PreparingRebalance", what="the group stuck")
                stuck = time.monotonic()
                scene.publish(plain_votes(200, 400))
                wait(lambda: firing(prometheus.port, "WorkerStalled", instance), what="the alert")
                seconds = time.monotonic() - stuck
                assert state_of_group(scene, group) == "PreparingRebalance"
                assert progress(url) == 200, "expected nobody to read"
                assert not healthy(port)
                # What the runbook says.
                worker.send_signal(signal.SIGTERM)
                worker.wait(60)
                assert ended(scene.start(url, "--until-end", INTEGRITY_GROUP=f"{group}-2"))["read"] == 200
    assert seconds <= 65, f"expected the alert within a minute, got it after {seconds:.0f} s"
    assert progress(url) == 400


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False
