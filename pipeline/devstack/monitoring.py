"""Runs real Prometheus and Alertmanager servers, with the alert rules and routes in `deploy/`.

`make prometheus` installs the programs in the folder of the Python interpreter. Debian's builds have no web pages, only
the API.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pipeline.devstack.process import LOOPBACK, LocalServer
from pipeline.devstack.service import http_get
from pipeline.errors import Unavailable

DEPLOY = Path(__file__).parents[2] / "deploy"
_RULES = DEPLOY / "prometheus" / "rules"
_PAGE = "http://127.0.0.1:8000"


def find_program(*names: str) -> str:
    """Find an installed program, which may have one of several names, and return its path.

    The folder of the Python interpreter is searched first, then PATH.

    Raises:
        Unavailable: the program is missing. The message has the command that installs it.
    """
    search = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")])
    found = next(filter(None, (shutil.which(name, path=search) for name in names)), None)
    if found is None:
        raise Unavailable(
            f"expected {names[0]} on PATH, got none: run `make prometheus`, or install Debian's package {names[0]}"
        )
    return found


def _expect_deployed(path: Path) -> None:
    if not path.exists():
        raise Unavailable(f"expected {path}, got none: only a checkout of the project has it, and no installed package")


class AlertmanagerServer(LocalServer):
    """One Alertmanager server on the loopback interface. It is not part of a cluster."""

    name: ClassVar[str] = "alertmanager"

    def check(self) -> None:
        """Raise `Unavailable` if the program or its configuration is missing."""
        self._program()
        _expect_deployed(self._deployed())

    def _program(self) -> str:
        return find_program("prometheus-alertmanager", "alertmanager")

    def _deployed(self) -> Path:
        return DEPLOY / "alertmanager" / "alertmanager.yml"

    def _prepare(self) -> None:
        """Write nothing: the configuration is the deployed one."""

    def _command(self) -> Sequence[str]:
        return [
            self._program(),
            f"--config.file={self._deployed()}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--cluster.listen-address=",  # no gossip: it would listen on every address of the machine
        ]

    def _is_ready(self) -> bool:
        return http_get(self.port, "/-/ready") is not None


class PrometheusServer(LocalServer):
    """One Prometheus server on the loopback interface, with the configuration in `deploy/`.

    Args:
        directory: folder for the configuration, the data (kept for 15 days) and the log.
        targets: address in `deploy/prometheus/prometheus.yml` → local port that replaces the address.
        seconds: number of seconds between two scrapes, and between two evaluations of the rules.
        external_url: address of the web pages, with which links in notifications begin.
        port: port for clients; None for a free port.
    """

    name: ClassVar[str] = "prometheus"

    def __init__(
        self,
        directory: Path,
        *,
        targets: Mapping[str, int],
        seconds: int = 15,
        external_url: str = _PAGE,
        port: int | None = None,
    ) -> None:
        super().__init__(directory, port=port)
        self.targets = {**targets, f"{LOOPBACK}:9090": self.port}
        self.seconds = seconds
        self.external_url = external_url
        self._configuration = self.directory / "prometheus.yml"

    def check(self) -> None:
        """Raise `Unavailable` if the program, the configuration or the rules are missing."""
        find_program("prometheus")
        _expect_deployed(DEPLOY / "prometheus" / "prometheus.yml")
        _expect_deployed(_RULES)

    def _prepare(self) -> None:
        text = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
        for old, new in self._changes().items():
            if old not in text:
                raise Unavailable(f"expected {old} in deploy/prometheus/prometheus.yml, got none")
            text = text.replace(old, new)
        self._configuration.write_text(text, encoding="utf-8")

    def _changes(self) -> dict[str, str]:
        """Return text in the deployed configuration → the text that replaces it here."""
        addresses = {f'"{old}"': f'"{LOOPBACK}:{port}"' for old, port in self.targets.items()}
        return addresses | {
            f'"{_PAGE}"': f'"{self.external_url}"',
            "rules/*.yml": str(_RULES / "*.yml"),
            "scrape_interval: 15s": f"scrape_interval: {self.seconds}s",
            "evaluation_interval: 15s": f"evaluation_interval: {self.seconds}s",
            # The timeout must not exceed the interval.
            "scrape_timeout: 10s": f"scrape_timeout: {min(10, self.seconds)}s",
        }

    def _command(self) -> Sequence[str]:
        return [
            find_program("prometheus"),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
        ]

    def _is_ready(self) -> bool:
        return http_get(self.port, "/-/ready") is not None


class ExporterPrometheusServer(PrometheusServer):
    """One Prometheus server that scrapes one exporter, and evaluates the alert rules in `deploy/`.

    It sends alerts to no Alertmanager, so nobody is called. It uses no other configuration from `deploy/`.

    Args:
        directory: folder for the configuration, the data (kept for 15 days) and the log.
        exporter: port of the exporter on the loopback interface.
        seconds: number of seconds between two scrapes, and between two evaluations of the rules.
    """

    def __init__(self, directory: Path, *, exporter: int, seconds: int) -> None:
        super().__init__(directory, targets={}, seconds=seconds)
        self.exporter = exporter

    def _prepare(self) -> None:
        target = {"targets": [f"{LOOPBACK}:{self.exporter}"], "labels": {"board": "text"}}
        settings = {
            "global": {
                "scrape_interval": f"{self.seconds}s",
                "scrape_timeout": f"{min(10, self.seconds)}s",
                "evaluation_interval": f"{self.seconds}s",
                "external_labels": {"external_url": self.external_url},
            },
            "rule_files": [str(_RULES / "*.yml")],
            "scrape_configs": [{"job_name": "integrity-exporter", "static_configs": [target]}],
        }
        self._configuration.write_text(json.dumps(settings, indent=1), encoding="utf-8")  # JSON is YAML
