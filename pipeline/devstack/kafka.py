"""Runs a real Apache Kafka server: one KRaft node with broker and controller in one JVM.

`make kafka` installs Kafka's jars. INTEGRITY_KAFKA_LIBS can name another folder with jars. `integrity publish` creates
the topics.
"""

import base64
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from pipeline.devstack.process import LOOPBACK, LocalServer, free_port
from pipeline.errors import Unavailable

TEMPLATE = Path(__file__).parents[2] / "deploy" / "kafka" / "server.properties"
# Warnings and errors only, on stderr, which is the log file: a broker's INFO is 400 lines a start.
_LOGGING = """\
status = error
appender.err.type = Console
appender.err.name = err
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %d %p %c{1}: %m%n%throwable
rootLogger.level = warn
rootLogger.appenderRef.err.ref = err
"""


def jar_folder() -> Path:
    """Return the folder with Kafka's jars.

    Raises:
        Unavailable: the folder has no jars. The message has the command that installs them.
    """
    folder = Path(os.environ.get("INTEGRITY_KAFKA_LIBS") or Path(sys.prefix) / "kafka" / "libs")
    if not any(folder.glob("kafka_*.jar")):
        raise Unavailable(f"expected Kafka's jars in {folder}, got none: run `make kafka`")
    return folder


def _java() -> str:
    path = shutil.which("java")
    if path is None:
        raise Unavailable("expected java on PATH, got none: run `make kafka` (it needs Java 17 or later)")
    return path


class KafkaServer(LocalServer):
    """One Kafka broker on the loopback interface.

    Args:
        directory: folder for the configuration, Kafka's data (in `data`) and the log.
        port: port for clients; None for a free port.
        heap: maximum heap of the JVM, such as "512m".
        overrides: broker settings that replace those in `deploy/kafka/server.properties`.
    """

    name: ClassVar[str] = "kafka"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        heap: str = "512m",
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(directory, port=port)
        self.heap = heap
        self.overrides = dict(overrides or {})
        self._controller_port = free_port()
        self._properties = self.directory / "server.properties"
        self._data = self.directory / "data"

    @property
    def bootstrap(self) -> str:
        """The address of the broker as HOST:PORT, for Kafka clients."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The address of the broker as kafka://HOST:PORT, for the commands of this project."""
        return f"kafka://{self.bootstrap}"

    def _settings(self) -> dict[str, str]:
        controller = f"{LOOPBACK}:{self._controller_port}"
        return {
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self._data),
            **self.overrides,
        }

    def check(self) -> None:
        """Raise `Unavailable` if Kafka's jars, Java or the broker settings are missing."""
        jar_folder()
        _java()
        if not TEMPLATE.exists():
            raise Unavailable(f"expected {TEMPLATE}, got no such file: local brokers need a checkout")

    def _prepare(self) -> None:
        own = "".join(f"{key}={value}\n" for key, value in self._settings().items())
        # The last line with a key counts.
        self._properties.write_text(f"{TEMPLATE.read_text()}\n# This server.\n{own}")
        (self.directory / "log4j2.properties").write_text(_LOGGING)
        if not (self._data / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        done = subprocess.run(
            # --cluster-id=…: as two words, an id that begins with a dash (one in 64) would be read as an option.
            self._jvm("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._properties)),
            capture_output=True,
            text=True,
            check=False,
            timeout=self.start_seconds,
        )
        if done.returncode:
            raise Unavailable(f"expected Kafka to format {self._data}, got:\n{done.stdout}{done.stderr}")

    def _command(self) -> Sequence[str]:
        return self._jvm("kafka.Kafka", str(self._properties))

    def _jvm(self, main: str, *arguments: str) -> list[str]:
        return [
            _java(),
            f"-Xmx{self.heap}",
            # The C1 compiler and the serial collector: ready in 2 s instead of 4 on two cores.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            # A broker without memory must end, so that it is noticed.
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}",
            "-cp",
            f"{jar_folder()}/*",
            main,
            *arguments,
        ]

    def _is_ready(self) -> bool:
        return self._listens() and self._serves()

    def _listens(self) -> bool:
        # Checked first: kafka-python waits longer after every refused connection, up to 30 s.
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((LOOPBACK, self.port)) == 0

    def _serves(self) -> bool:
        try:
            with KafkaAdminClient(
                bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=10_000, request_timeout_ms=10_000
            ) as client:
                return any(not broker["is_fenced"] for broker in client.describe_cluster()["brokers"])
        except KafkaError:
            return False
