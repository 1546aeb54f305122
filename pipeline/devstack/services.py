"""Defines the services of the local stack, in the order in which they start."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.devstack.airflow import AirflowServices
from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.monitoring import AlertmanagerServer, PrometheusServer
from pipeline.devstack.postgres import SIZED, PostgresServer
from pipeline.devstack.process import LOOPBACK
from pipeline.devstack.service import Service, http_get
from pipeline.devstack.stack_state import StackState
from pipeline.errors import Unavailable

INTEGRITY = Path(sys.executable).with_name("integrity")
WORKERS = ("worker-1", "worker-2")
# Services with a port; the supervisor takes its orders at one.
PORTS = (
    "kafka", "postgres", *WORKERS, "exporter", "airflow-api", "prometheus", "alertmanager", "page", "page-metrics",
    "supervisor",
)  # fmt: skip


@dataclass(frozen=True)
class StackServices:
    """Defines all services of the stack of one state directory.

    Attributes:
        directory: the state directory.
        state: ports and secrets of the stack.
        scrape: number of seconds between two scrapes of Prometheus.
    """

    directory: Path
    state: StackState
    scrape: int = 15

    @cached_property
    def kafka(self) -> KafkaServer:
        """The Kafka broker from which the workers read votes."""
        return KafkaServer(self.directory / "kafka", port=self.state.ports["kafka"])

    @cached_property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL server, with the databases `board` (the store) and `airflow`."""
        return PostgresServer(self.directory / "postgres", port=self.state.ports["postgres"], settings=SIZED)

    @cached_property
    def prometheus(self) -> PrometheusServer:
        """The Prometheus server, which scrapes exporter, API and both workers, and sends alerts to Alertmanager."""
        ports = self.state.ports
        return PrometheusServer(
            self.directory / "prometheus",
            targets={
                "exporter:9464": ports["exporter"],
                **{f"{name}:9465": ports[name] for name in WORKERS},
                "page:9467": ports["page-metrics"],
                "alertmanager:9093": ports["alertmanager"],
            },
            seconds=self.scrape,
            external_url=f"http://{LOOPBACK}:{ports['page']}",
            port=ports["prometheus"],
        )

    @cached_property
    def alertmanager(self) -> AlertmanagerServer:
        """The Alertmanager, which receives alerts from Prometheus and routes them."""
        return AlertmanagerServer(self.directory / "alertmanager", port=self.state.ports["alertmanager"])

    @cached_property
    def airflow(self) -> AirflowServices:
        """Airflow, which runs the DAGs."""
        return AirflowServices(
            home=self.directory / "airflow",
            database=self._database("airflow"),
            port=self.state.ports["airflow-api"],
            password=self.state.airflow_password,
            secret=self.state.airflow_secret,
            task_environment=self.environment,
        )

    @cached_property
    def environment(self) -> dict[str, str]:
        """Return name → value of the environment variables with which a command uses the store of this stack."""
        return {
            "INTEGRITY_STORE": self._database("board"),
            "INTEGRITY_VOTER_KEY": self.state.voter_key,
            "INTEGRITY_LEDGER": str(self.directory / "ledger"),
            "INTEGRITY_LEDGER_KEY": self.state.ledger_key,
        }

    def _database(self, name: str) -> str:
        return self.postgres.url.removesuffix("postgres") + name

    def check(self) -> None:
        """Raise `Unavailable` if programs are missing. The message lists all of them. No service is started."""
        missing = []
        for each in (self.kafka, self.postgres, self.airflow, self.prometheus, self.alertmanager):
            try:
                each.check()
            except Unavailable as error:
                missing.append(str(error))
        if missing:
            raise Unavailable("\n".join(missing))

    @cached_property
    def backing(self) -> list[Service]:
        """The services of Kafka and PostgreSQL, on which all other services depend."""
        return [Service.from_server(self.kafka, "backing"), Service.from_server(self.postgres, "backing")]

    @cached_property
    def workers(self) -> list[Service]:
        """The services of two workers. The first worker creates the store."""
        # Probed at /metrics, not /healthz: that returns 503 for a worker that makes no progress, which alerts report.
        return [
            self._integrity(
                name, "work", "--source", self.kafka.url, "--json", "--metrics-port", str(self.state.ports[name])
            )
            for name in WORKERS
        ]

    @cached_property
    def observers(self) -> list[Service]:
        """The services monitor, exporter, API with pages, Alertmanager and Prometheus."""
        return [
            self._integrity("monitor", "monitor", "--json"),
            self._integrity("exporter", "exporter", "--port", str(self.state.ports["exporter"])),
            self._integrity(
                "page",
                "serve",
                "--port",
                str(self.state.ports["page"]),
                "--metrics-port",
                str(self.state.ports["page-metrics"]),
                probe="/static/site.css",
            ),
            Service.from_server(self.alertmanager, "pipeline"),
            Service.from_server(self.prometheus, "pipeline"),
        ]

    @cached_property
    def all(self) -> list[Service]:
        """All services, in the order in which they start."""
        return [*self.backing, *self.workers, *self.observers, *self.airflow.services()]

    def _integrity(self, name: str, *words: str, probe: str = "/metrics") -> Service:
        port = self.state.ports.get(name)
        return Service(
            name=name,
            tier="pipeline",
            command=[str(INTEGRITY), *words],
            directory=self.directory,
            environment=self.environment,
            is_ready=None if port is None else lambda: http_get(port, probe) is not None,
            port=port,
            restart="unless_stopped" if name in WORKERS else "always",
        )

    def mark_as_test(self) -> None:
        """Mark the new store as a test, for `integrity drill`. A store that has votes stays as it is."""
        command = [str(INTEGRITY), "drill", "--mark-as-test", "--json"]
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in {0, 2}:
            raise Unavailable(f"expected `{' '.join(command)}` to mark the store, got:\n{done.stdout}{done.stderr}")

    def create_databases_and_topics(self) -> None:
        """Create the databases and topics that are missing.

        Raises:
            Unavailable: the topics could not be created.
        """
        for name in {"board", "airflow"} - self.postgres.databases():
            self.postgres.create_database(name)
        # The publisher creates the topics, also when it has nothing to publish.
        command = [str(INTEGRITY), "publish", "--to", self.kafka.url, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"expected `{' '.join(command)}` to create the topics, got:\n{done.stdout}{done.stderr}")
