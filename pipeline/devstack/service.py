"""Describes a service of the local stack. A service is one process that the supervisor runs."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.devstack.process import LOOPBACK, LocalServer

# always: after any exit. unless_stopped: not after exit 0 (it was asked to end) or 3 (a stop limit, a gap in the log,
# or a minute without the store); a crash and a kill are restarted.
Restart = Literal["always", "unless_stopped"]
# Tiers stop in the reverse order. The scheduler first: a running task cannot end without the API server. The backing
# services last: the others still write to them.
Tier = Literal["backing", "pipeline", "scheduler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process of the local stack: its command, and how the supervisor runs and ends it.

    Attributes:
        name: name of the service in stack.json, and of its log.
        tier: group of services that are stopped together: "backing", "pipeline" or "scheduler".
        command: the command line.
        directory: the working directory.
        is_ready: function that returns whether the service is ready. None if the service counts as ready after it has
            run for 5 s.
        environment: environment variables of this service, in addition to those of the supervisor.
        port: port on which the service listens; None if it does not listen.
        stop_signal: the signal that ends the service.
        stop_seconds: number of seconds from that signal to SIGKILL.
        restart: "always" to restart the service whenever it has ended, "unless_stopped" not to restart it after an exit
            with status 0 or 3.
    """

    name: str
    tier: Tier
    command: Sequence[str]
    directory: Path
    is_ready: Callable[[], bool] | None
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    restart: Restart = "always"

    @classmethod
    def from_server(cls, server: LocalServer, tier: Tier) -> Service:
        """Write the configuration files of a server, and return the service that runs it under the supervisor.

        Args:
            server: the server.
            tier: group of services that are stopped together.
        """
        server.directory.mkdir(parents=True, exist_ok=True)
        server._prepare()
        return cls(
            name=server.name,
            tier=tier,
            command=server._command(),
            directory=server.directory,
            is_ready=server._is_ready,
            port=server.port,
            stop_signal=server.stop_signal,
            stop_seconds=server.stop_seconds,
        )


def http_get(port: int, path: str) -> bytes | None:
    """Send a GET request for `path` to this port of the loopback interface, without a proxy.

    Returns:
        The body of a response with status 200; None for any other status or without a response.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == 200 else None
