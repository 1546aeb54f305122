"""What the local stack is made of, and in which order it comes up."""

import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.devstack.airflow import AirflowServices
from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.monitoring import AlertmanagerServer, PrometheusServer
from pipeline.devstack.postgres import PostgresServer
from pipeline.devstack.service import Service, http_get
from pipeline.devstack.stack_state import StackState
from pipeline.errors import Unavailable

INTEGRITY = Path(sys.executable).with_name("integrity")
WORKERS = ("worker-1", "worker-2")
# Whoever has a port; "supervisor" takes orders.
PORTS = ("kafka", "postgres", *WORKERS, "exporter", "airflow-api", "prometheus", "alertmanager", "page", "supervisor")


@dataclass(frozen=True)
class StackServices:
    """Every part of the stack in one state directory.

    Attributes:
        directory: of the state.
        kept: ports and secrets.
        scrape: seconds between two scrapes of Prometheus.
    """

    directory: Path
    kept: StackState
    scrape: int = 15

    @cached_property
    def kafka(self) -> KafkaServer:
        """The broker."""
        return KafkaServer(self.directory / "kafka", port=self.kept.ports["kafka"])

    @cached_property
    def postgres(self) -> PostgresServer:
        """The database server: `board` is the store's, `airflow` Airflow's."""
        return PostgresServer(self.directory / "postgres", port=self.kept.ports["postgres"])

    @cached_property
    def prometheus(self) -> PrometheusServer:
        """Scrapes the exporter and both workers, asks the Alertmanager to tell."""
        ports = self.kept.ports
        return PrometheusServer(
            self.directory / "prometheus",
            targets={
                "exporter:9464": ports["exporter"],
                **{f"{name}:9465": ports[name] for name in WORKERS},
                "alertmanager:9093": ports["alertmanager"],
            },
            seconds=self.scrape,
            port=ports["prometheus"],
        )

    @cached_property
    def alertmanager(self) -> AlertmanagerServer:
        """Routes the alerts."""
        return AlertmanagerServer(self.directory / "alertmanager", port=self.kept.ports["alertmanager"])

    @cached_property
    def airflow(self) -> AirflowServices:
        """Refreshes the ratings."""
        return AirflowServices(
            home=self.directory / "airflow",
            database=self._database("airflow"),
            port=self.kept.ports["airflow-api"],
            password=self.kept.airflow_password,
            secret=self.kept.airflow_secret,
            tasks=self.environment,
        )

    @cached_property
    def environment(self) -> dict[str, str]:
        """What a command needs to be about this stack's store."""
        return {
            "INTEGRITY_STORE": self._database("board"),
            "INTEGRITY_VOTER_KEY": self.kept.voter_key,
            "INTEGRITY_LEDGER": str(self.directory / "ledger"),
            "INTEGRITY_LEDGER_KEY": self.kept.ledger_key,
        }

    def _database(self, name: str) -> str:
        return self.postgres.url.removesuffix("postgres") + name

    def check(self) -> None:
        """Raise `Unavailable` with everything that this machine lacks; starts nothing."""
        missing = []
        for each in (self.kafka, self.postgres, self.airflow, self.prometheus, self.alertmanager):
            try:
                each.check()
            except Unavailable as error:
                missing.append(str(error))
        if missing:
            raise Unavailable("\n".join(missing))

    @cached_property
    def services(self) -> list[Service]:
        """What everything else needs."""
        return [Service.of(self.kafka, "services"), Service.of(self.postgres, "services")]

    @cached_property
    def workers(self) -> list[Service]:
        """Two workers; the first makes the store."""
        # Asked for /metrics, not /healthz: that says 503 to a worker which gets nowhere, and alerts tell so.
        return [
            self._verb(name, "work", "--source", self.kafka.url, "--json", "--metrics-port", str(self.kept.ports[name]))
            for name in WORKERS
        ]

    @cached_property
    def watchers(self) -> list[Service]:
        """What looks at the store, and at those who look."""
        return [
            self._verb("monitor", "monitor", "--json"),
            self._verb("exporter", "exporter", "--port", str(self.kept.ports["exporter"])),
            self._verb("page", "serve", "--port", str(self.kept.ports["page"]), asked="/static/site.css"),
            Service.of(self.alertmanager, "pipeline"),
            Service.of(self.prometheus, "pipeline"),
        ]

    @cached_property
    def all(self) -> list[Service]:
        """Every part, in the order in which they are started."""
        return [*self.services, *self.workers, *self.watchers, *self.airflow.parts()]

    def _verb(self, name: str, *words: str, asked: str = "/metrics") -> Service:
        port = self.kept.ports.get(name)
        return Service(
            name=name,
            tier="pipeline",
            command=[str(INTEGRITY), *words],
            directory=self.directory,
            environment=self.environment,
            answers=None if port is None else lambda: http_get(port, asked) is not None,
            port=port,
            restart="unless_stopped" if name in WORKERS else "always",
        )

    def fill_services(self) -> None:
        """Databases and topics, where they are not there yet.

        Raises:
            Unavailable: the topics could not be made.
        """
        for name in {"board", "airflow"} - self.postgres.databases():
            self.postgres.create_database(name)
        # The publisher owns the topics: publishing nothing makes them.
        done = subprocess.run(
            [str(INTEGRITY), "publish", "--to", self.kafka.url, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"expected the topics to be made, got:\n{done.stdout}{done.stderr}")
