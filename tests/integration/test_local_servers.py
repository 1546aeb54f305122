"""The local servers are real: they start, die, come back, and keep what they acknowledged."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.devstack.process import LOOPBACK, LocalServer, free_port
from pipeline.errors import Unavailable


def native(url: str) -> str:
    """The same URL as psycopg itself takes it."""
    return url.replace("+psycopg", "")


def make_topic(bootstrap: str, topic: str) -> None:
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        admin.wait_for_topics([topic])


def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Returns once the broker has acknowledged every value."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        futures = [producer.send(topic, value, partition=0) for value in values]
        for future in futures:
            future.get(timeout=30)
    finally:
        producer.close()


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, group_id=None
    )
    try:
        consumer.assign([TopicPartition(topic, 0)])
        values: list[bytes] = []
        deadline = time.monotonic() + 30
        while len(values) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                values += [record.value for record in records]
        return values
    finally:
        consumer.close()


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def answers(server: KafkaServer) -> bool:
    """Whether the broker reacts at all: it hangs up on an empty request."""
    with socket.create_connection((LOOPBACK, server.port)) as wire:
        wire.settimeout(1)
        wire.sendall(bytes(4))
        try:
            return wire.recv(1) == b""
        except TimeoutError:
            return False


def test_the_session_broker_serves_a_topic(kafka_server: KafkaServer) -> None:
    make_topic(kafka_server.bootstrap, "local-servers")
    produce(kafka_server.bootstrap, "local-servers", [b"one", b"two"])
    assert consume(kafka_server.bootstrap, "local-servers", 2) == [b"one", b"two"]


def test_the_broker_makes_no_topic_by_itself(kafka_server: KafkaServer, kafka_url: str) -> None:
    assert kafka_url == f"kafka://{kafka_server.bootstrap}"
    consumer = KafkaConsumer(bootstrap_servers=kafka_server.bootstrap, group_id=None)
    assert not consumer.partitions_for_topic("no-such-topic")  # asks for its metadata
    consumer.close()
    with KafkaAdminClient(bootstrap_servers=kafka_server.bootstrap) as admin:
        assert "no-such-topic" not in admin.list_topics()


@pytest.mark.long
def test_an_acknowledged_message_survives_kill_9_of_the_broker(
    make_kafka: Callable[..., KafkaServer],
) -> None:
    server = make_kafka()
    make_topic(server.bootstrap, "votes")
    values = [b"%d" % number for number in range(500)]
    produce(server.bootstrap, "votes", values)
    first = server.pid
    server.kill()
    assert server.pid is None
    server.start()
    assert server.pid != first
    assert consume(server.bootstrap, "votes", 500) == values


@pytest.mark.long
def test_a_frozen_broker_goes_on_and_a_stopped_one_is_gone(make_kafka: Callable[..., KafkaServer]) -> None:
    server = make_kafka(heap="384m", overrides={"message.max.bytes": "20000000"})
    make_topic(server.bootstrap, "votes")
    assert answers(server)
    server.pause()
    assert not answers(server)
    server.resume()
    produce(server.bootstrap, "votes", [b"after the pause"])
    server.pause()
    pid = server.pid
    assert pid is not None
    server.stop()  # wakes it first, or the stop would wait for nothing
    assert not is_alive(pid)
    assert "message.max.bytes=20000000" in (server.directory / "server.properties").read_text()


def test_missing_jars_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_KAFKA_LIBS", str(tmp_path / "nowhere"))
    with pytest.raises(Unavailable, match=r"nowhere.*run `make kafka`"):
        KafkaServer(tmp_path / "kafka").start()
    assert not (tmp_path / "kafka").exists()


def test_missing_java_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kafka_2.13-0.jar").touch()
    monkeypatch.setenv("INTEGRITY_KAFKA_LIBS", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match=r"java.*run `make kafka`"):
        KafkaServer(tmp_path / "kafka").start()


@pytest.mark.long
@pytest.mark.usefixtures("kafka_server")
def test_a_broker_with_settings_that_contradict_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="node id 7 must be included"):
        KafkaServer(tmp_path, overrides={"node.id": "7"}).start()


@pytest.mark.usefixtures("kafka_server")
def test_a_broker_that_cannot_start_quotes_its_log(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=99\n")
    with pytest.raises(Unavailable, match=r"the process ended(.|\n)*meta\.properties"):
        KafkaServer(tmp_path).start()


def test_every_test_has_an_empty_database(postgres_url: str) -> None:
    assert postgres_url.startswith("postgresql+psycopg://postgres@127.0.0.1:")
    with psycopg.connect(native(postgres_url)) as connection:
        assert connection.info.server_version >= 180000
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


def write_row(url: str) -> None:
    with psycopg.connect(native(url)) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (42)")


def read_row(url: str) -> object:
    with psycopg.connect(native(url)) as connection:
        return connection.execute("SELECT number FROM kept").fetchone()


@pytest.mark.long
def test_a_committed_row_survives_an_immediate_restart(make_postgres: Callable[..., PostgresServer]) -> None:
    server = make_postgres()
    url = server.create_database("board")
    write_row(url)
    with psycopg.connect(native(url)) as idle:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert idle.execute(f"SHOW {setting}").fetchone() == ("on",)
        assert idle.execute("SHOW timezone").fetchone() == ("UTC",)
        idle.commit()
        server.restart(mode="immediate")
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
    assert read_row(url) == (42,)


@pytest.mark.long
def test_a_committed_row_survives_kill_9_of_every_process(
    make_postgres: Callable[..., PostgresServer],
) -> None:
    server = make_postgres(settings={"shared_buffers": "32MB"})
    url = server.create_database("board")
    write_row(url)
    with psycopg.connect(native(url)) as client:
        backend = client.info.backend_pid
        server.kill()
        server.start()
        assert not is_alive(backend)
    assert read_row(url) == (42,)


@pytest.mark.long
def test_a_frozen_database_answers_nobody(make_postgres: Callable[..., PostgresServer]) -> None:
    server = make_postgres()
    with psycopg.connect(native(server.url), autocommit=True) as client:
        client.execute("SELECT 1")
        server.pause()
        with socket.socket(fileno=os.dup(client.fileno())) as wire:
            client.pgconn.send_query(b"SELECT 2")
            client.pgconn.flush()
            wire.settimeout(0.5)
            with pytest.raises(TimeoutError):
                wire.recv(1, socket.MSG_PEEK)
        server.resume()
        assert client.pgconn.get_result() is not None
        assert client.pgconn.get_result() is None  # the answer is complete


class Stubborn(LocalServer):
    """A process that answers at once and ignores SIGTERM."""

    name = "stubborn"
    start_seconds = 1.0
    stop_seconds = 0.2
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"

    def check(self) -> None: ...

    def _prepare(self) -> None: ...

    def _command(self) -> list[str]:
        return ["/bin/sh", "-c", self.script]

    def _is_ready(self) -> bool:
        return "ready" in self.log_tail()


class Silent(Stubborn):
    """A process that never answers."""

    script = "echo trying; while :; do sleep 0.05; done"


def test_a_process_that_ignores_the_stop_is_killed(tmp_path: Path) -> None:
    with Stubborn(tmp_path) as server:
        assert server.start() is server  # a second start changes nothing
        pid = server.pid
        assert pid is not None
        server.stop(signal.SIGTERM)
        assert not is_alive(pid)
        server.stop()
        server.kill()


def test_a_server_without_an_answer_is_killed_in_time(tmp_path: Path) -> None:
    server = Silent(tmp_path)
    with pytest.raises(Unavailable, match=r"within 1 s, got no answer.*\ntrying"):
        server.start()
    assert server.pid is None


def test_a_port_in_use_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        other = free_port()
        monkeypatch.setattr("pipeline.devstack.process._PORTS", (port, other, free := free_port()))
        monkeypatch.setattr("pipeline.devstack.process._given_out", {other})
        assert free_port() == free
