"""A service of the local stack: one process under the supervisor."""

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
    """One process of the stack.

    Attributes:
        name: name of the service in the state, and of its log.
        tier: services of one tier stop together.
        command: the command line.
        directory: the working directory.
        is_ready: returns whether the service is ready; None: it is ready after running for 5 s.
        environment: variables beyond the supervisor's own environment, for this service alone.
        port: port on which it listens, None if it does not listen.
        stop_signal: the signal that ends it.
        stop_seconds: time from that signal to SIGKILL.
        restart: when the service is restarted after it ended.
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
        """Write a server's files and return the service that runs it under the supervisor."""
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
    """Return the body of a response with status 200 from the loopback. None for any other response, or none.

    urllib is not used here, since it would send requests for the loopback to a proxy of the environment.
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
