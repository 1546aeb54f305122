"""The services of deploy/compose.yaml rehearsed without an engine.

Ours run in their order, with their own command lines and passwords, against a real Kafka and a real PostgreSQL
that was made by logins.sh and asks for passwords.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.postgres import binary_folder
from pipeline.devstack.process import free_port
from pipeline.devstack.service import http_get
from pipeline.lab.simulate import HonestSpec, simulate_stream

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
INTEGRITY = Path(sys.executable).with_name("integrity")
STAYS_ENDED = DEPLOY / "stays-ended.sh"
# ${NAME:-default}; $$ is a dollar for the container's shell.
VARIABLE = re.compile(r"(?<!\$)\$\{\w+:-([^}]*)\}")


def option(service: str, name: str) -> str:
    command = SERVICES[service]["command"]
    return str(command[command.index(name) + 1])


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """deploy/secrets."""
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run(["sh", str(DEPLOY / "secrets.sh"), str(folder)], check=True)
    return folder


class Rehearsal:
    """The services of ours as processes here, with the addresses of the servers of the test in place of theirs."""

    def __init__(self, secrets: Path, folder: Path, kafka: str, port: int) -> None:
        self._secrets, self._folder, self._port = secrets, folder, port
        self.metrics = {name: free_port() for name in ("worker-1", "exporter")}
        self._words = {
            "kafka://kafka:9092": kafka,
            "integrity": str(INTEGRITY),
            "stays-ended": str(STAYS_ENDED),
            "0.0.0.0": "127.0.0.1",  # noqa: S104
            option("worker-1", "--metrics-port"): str(self.metrics["worker-1"]),
            option("exporter", "--port"): str(self.metrics["exporter"]),
        }
        # The broker is the session's: nobody else must read what we publish.
        topics = ("votes", "registry", "alerts", "rejected")
        self._own = {f"INTEGRITY_TOPIC_{name.upper()}": f"{name}-{uuid.uuid4().hex[:8]}" for name in topics}

    def mounted(self, service: str) -> Path:
        """/run/secrets of a service."""
        folder = self._folder / service
        folder.mkdir(exist_ok=True)
        for one in SERVICES[service].get("secrets", ()):
            source, target = (one["source"], one["target"]) if isinstance(one, dict) else (one, one)
            (folder / target).write_text(self.address((self._secrets / source).read_text()))
        return folder

    def address(self, text: str) -> str:
        return text.replace("@postgres/", f"@127.0.0.1:{self._port}/")

    def reported(self, service: str) -> dict[str, str]:
        given = SERVICES[service].get("environment", {})
        reported = {key: VARIABLE.sub(lambda found: found[1], str(value)) for key, value in given.items()}
        if "PGHOST" in reported:
            reported |= {"PGHOST": "127.0.0.1", "PGPORT": str(self._port)}
        path = f"{binary_folder()}{os.pathsep}{os.environ['PATH']}"
        return os.environ | reported | self._own | {"INTEGRITY_SECRETS_DIR": str(self.mounted(service)), "PATH": path}

    def command(self, service: str) -> list[str]:
        words = [self._words.get(str(word), str(word)) for word in SERVICES[service]["command"]]
        script = words[-1].replace("$$", "$").replace("/run/secrets", str(self.mounted(service)))
        return [*words[:-1], script.replace("/integrity/grants.sql", str(DEPLOY / "postgres" / "grants.sql"))]

    def done(self, service: str, *command: str, **environment: str) -> str:
        """What a service that ends has printed, or another command that is told what the service is told."""
        ended = subprocess.run(
            command or self.command(service),
            env=self.reported(service) | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{service}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
        return ended.stdout

    @contextmanager
    def running(self, service: str) -> Iterator[None]:
        """A service that stays; asked to end afterwards, which it must do with 0."""
        process = subprocess.Popen(
            self.command(service),
            env=self.reported(service),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield
        finally:
            process.terminate()
            reported, _ = process.communicate(timeout=60)
        assert process.returncode == 0, f"{service}: {reported[-3000:]}"

    def metric(self, service: str, name: str) -> float | None:
        """The sum of a metric over its labels; None without an answer."""
        text = (http_get(self.metrics[service], "/metrics") or b"").decode()
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines) if lines else None


@pytest.fixture
def rehearsal(make_postgres: Any, kafka_server: KafkaServer, secrets: Path, tmp_path: Path) -> Rehearsal:
    """A PostgreSQL as its image makes it with logins.sh: whoever comes gives a password or is refused."""
    server = make_postgres()
    rehearsal = Rehearsal(secrets, tmp_path, kafka_server.url, server.port)
    script = tmp_path / "logins.sh"
    script.write_text((DEPLOY / "postgres" / "logins.sh").read_text().replace("/integrity/", f"{DEPLOY}/postgres/"))
    where = {
        "SECRETS": str(rehearsal.mounted("postgres")),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "POSTGRES_USER": "postgres",
    }
    rehearsal.done("postgres", "bash", str(script), **where)
    rules = server.directory / "data" / "pg_hba.conf"
    rules.write_text("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
    return rehearsal


def eventually(what: str, ask: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, f"expected {what} within {seconds:.0f} s"
        time.sleep(0.1)


@pytest.mark.long
def test_the_services_do_their_work_in_their_order(rehearsal, tmp_path):
    votes = tmp_path / "votes.jsonl"
    stream = simulate_stream(HonestSpec(votes=3_000, seed=5, days=2.0, models=8))
    stream.write_jsonl(votes)
    rehearsal.done("migrate")
    for _ in range(2):  # at the second `compose up` it runs again
        rehearsal.done("grants")
    rehearsal.done("topics")
    with rehearsal.running("worker-1"), rehearsal.running("exporter"):
        rehearsal.done("worker-1", *rehearsal.command("topics"), str(votes))
        eventually("every vote", lambda: rehearsal.metric("exporter", "integrity_votes_total") == len(stream))
        assert rehearsal.metric("worker-1", "integrity_worker_votes_total") == len(stream)
        refreshed = json.loads(rehearsal.done("airflow-scheduler", str(INTEGRITY), "refresh", "--json"))
        assert refreshed["log_size"] == len(stream)
        eventually("the snapshot", lambda: rehearsal.metric("exporter", "integrity_snapshot_sequence") is not None)
    done = json.loads(rehearsal.done("monitor", *rehearsal.command("monitor"), "--until-end"))
    assert done["windows_closed"] > 0


def test_a_password_is_asked_for_and_airflow_owns_its_database(rehearsal):
    store = (rehearsal.mounted("worker-1") / "integrity_store").read_text().strip()
    with psycopg.connect(store) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("integrity_ingest",)
    wrong = re.sub(r":\w+@", ":guess@", store)
    assert wrong != store
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(wrong)
    own = (rehearsal.mounted("airflow-migrate") / "airflow_database").read_text().strip().replace("+psycopg2", "")
    with psycopg.connect(own) as connection:
        connection.execute("CREATE TABLE made ()")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(own.rpartition("/")[0] + "/board")
