"""A pod of the chart as a process here.

Its command line, variables and mounted secrets are the pod's; addresses are those of the test's servers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from pipeline.devstack.process import free_port
from pipeline.devstack.service import http_get

ROLES = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
INTEGRITY = Path(sys.executable).with_name("integrity")


@dataclass(frozen=True)
class Pod:
    """A pod template."""

    template: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.template["spec"]
        return found

    @property
    def container(self) -> dict[str, Any]:
        (found,) = self.spec["containers"]
        return dict(found)

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.template["metadata"]["labels"])

    def ports(self) -> dict[str, int]:
        return {one["name"]: one["containerPort"] for one in self.container.get("ports", ())}

    def secret_files(self) -> dict[str, tuple[str, str]]:
        """File in /run/secrets → the Secret and its key."""
        volume = next((one for one in self.spec["volumes"] if one["name"] == "secrets"), None)
        sources = volume["projected"]["sources"] if volume else ()
        items = [(one["secret"]["name"], each) for one in sources for each in one["secret"]["items"]]
        return {each["path"]: (name, each["key"]) for name, each in items}

    def probes(self) -> dict[str, tuple[str, int]]:
        """Kind of a probe → its path and the number of its port."""
        kinds = [name for name in self.container if name.endswith("Probe")]
        asked = {name: self.container[name]["httpGet"] for name in kinds}
        return {name: (one["path"], self.ports()[one["port"]]) for name, one in asked.items()}


def mounted_secrets(pod: Pod, texts: dict[str, str], folder: Path) -> Path:
    """/run/secrets as a kubelet makes it: links to a folder with a time in its name, by way of the link `..data`."""
    data = folder / "..2026_11_29_12_00_00.123456789"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for path, (_, key) in pod.secret_files().items():
        (data / path).write_text(texts[key], encoding="utf-8")
        (folder / path).symlink_to(Path("..data") / path)
    return folder


class Rehearsal:
    """The pods of a release as processes here.

    Args:
        pods: component → its pod.
        kafka: kafka://HOST:PORT of the broker, in place of the values' brokers.
        database: postgresql://postgres@HOST/NAME of an empty database that trusts everybody here.
        folder: an empty folder.
    """

    def __init__(self, pods: Mapping[str, Pod], kafka: str, database: str, folder: Path) -> None:
        self._pods, self._kafka, self._database, self._folder = pods, kafka, database, folder
        self._ports = {(name, port): free_port() for name, pod in pods.items() for port in pod.ports().values()}
        # The broker is the session's: nobody else may read what is published here.
        own = uuid.uuid4().hex[:8]
        topics = ("VOTES", "REGISTRY", "BATTLES", "ALERTS", "REJECTED")
        self._own = {f"INTEGRITY_TOPIC_{name}": f"{name.lower()}-{own}" for name in topics} | {"INTEGRITY_GROUP": own}

    def port(self, component: str, name: str) -> int:
        """The port of this machine in place of a container's."""
        return self._ports[component, self._pods[component].ports()[name]]

    @contextmanager
    def roles(self) -> Iterator[None]:
        """Make the roles. They belong to the whole server, so they are dropped at the end."""
        with psycopg.connect(self._database, autocommit=True) as connection:
            connection.execute(ROLES.read_bytes())
            yield
            for role in ("migrate", "ingest", "rate", "publish", "read"):
                connection.execute(f"DROP OWNED BY integrity_{role} CASCADE".encode())
            for role in ("migrate", "ingest", "rate", "publish", "read"):
                connection.execute(f"DROP ROLE integrity_{role}".encode())

    def done(self, component: str, *more: str) -> str:
        """What a process that ends has printed."""
        words, environment = self._words(component), self._environment(component)
        ended = subprocess.run([*words, *more], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{component}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
        return ended.stdout

    def publish(self, votes: list[dict[str, Any]]) -> None:
        """Send votes to the topic, by the process that made the topics."""
        file = self._folder / "votes.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in votes), encoding="utf-8")
        self.done("topics", str(file), "--raw-ids")

    @contextmanager
    def running(self, *components: str) -> Iterator[None]:
        """Processes that stay; asked to end afterwards, which they must do with 0."""
        with ExitStack() as stack:
            for name in components:
                stack.enter_context(self._process(name))
            yield

    @contextmanager
    def _process(self, name: str) -> Iterator[None]:
        with (self._folder / f"{name}.log").open("w+") as log:
            process = subprocess.Popen(self._words(name), env=self._environment(name), stdout=log, stderr=log)
            try:
                yield
            finally:
                process.terminate()
                process.wait(timeout=60)
            log.seek(0)
            assert process.returncode == 0, f"{name}: {log.read()[-3000:]}"

    def expect_probes(self, component: str) -> None:
        """Wait until each probe of a pod answers with 200."""
        for path, port in self._pods[component].probes().values():
            here = self._ports[component, port]
            self.expect(lambda path=path, here=here: http_get(here, path) is not None)

    def metric(self, component: str, name: str) -> float:
        """The sum of a metric over its labels; 0 without it."""
        text = (http_get(self.port(component, "metrics"), "/metrics") or b"").decode()
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def expect(self, ask: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not ask():
            logs = {path.name: path.read_text()[-800:] for path in self._folder.glob("*.log")}
            assert time.monotonic() < deadline, f"expected an answer within {seconds:.0f} s, got none: {logs}"
            time.sleep(0.1)

    def _words(self, component: str) -> list[str]:
        """The command line, with addresses and ports of this machine."""
        given = [str(word) for word in self._pods[component].container["args"]]
        ports = {str(port): str(here) for (name, port), here in self._ports.items() if name == component}
        own = {"0.0.0.0": "127.0.0.1", "kafka://kafka:9092": self._kafka} | ports  # noqa: S104
        return [str(INTEGRITY), *(own.get(word, word) for word in given)]

    def _environment(self, component: str) -> dict[str, str]:
        pod, folder = self._pods[component], self._folder / f"{component}-{uuid.uuid4().hex[:6]}"
        stores = {
            f"{role}_store": self._database.replace("//postgres@", f"//integrity_{role}@")
            for role in ("migrate", "ingest", "read", "rate")
        }
        secrets = mounted_secrets(pod, {**stores, "voter_key": "5e" * 32}, folder)
        given = {one["name"]: one["value"] for one in pod.container["env"]}
        return os.environ | given | self._own | {"INTEGRITY_SECRETS_DIR": str(secrets)}
