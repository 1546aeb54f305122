"""A part of the local stack: one process as the supervisor is told of it."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.devstack.process import LOOPBACK, LocalServer

# always: whatever it ended with. unless_stopped: exit 0 (somebody asked it to end) and 3 (a limit or a gap
# stopped it on purpose, or the store stayed away for a minute) are final; a crash and a kill are not.
Restart = Literal["always", "unless_stopped"]
# The scheduler first: a task in hand cannot end once the API server is gone. Services last: what the others still
# write must arrive.
Tier = Literal["services", "pipeline", "scheduler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process of the stack.

    Attributes:
        name: what it is called, in the state and in its log's name.
        tier: each is stopped as a whole before the one before it in `Tier`.
        command: the command line.
        directory: where it runs.
        answers: whether it does its work now; None if nobody can ask: it does once it has lived for 5 s.
        environment: what it is told beyond the supervisor's own environment; nobody else sees it.
        port: where it listens, None if it does not.
        stop_signal: how it is asked to end.
        stop_seconds: how long it may take before it is killed.
        restart: what becomes of it when it ends by itself.
    """

    name: str
    tier: Tier
    command: Sequence[str]
    directory: Path
    answers: Callable[[], bool] | None
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    restart: Restart = "always"

    @classmethod
    def of(cls, server: LocalServer, tier: Tier) -> Service:
        """A server that somebody else starts: its files are written, its process is the supervisor's."""
        server.directory.mkdir(parents=True, exist_ok=True)
        server._prepare()
        return cls(
            name=server.name,
            tier=tier,
            command=server._command(),
            directory=server.directory,
            answers=server._answers,
            port=server.port,
            stop_signal=server.stop_signal,
            stop_seconds=server.stop_seconds,
        )


def http_get(port: int, path: str) -> bytes | None:
    """What a server on the loopback answers with status 200; None if it does not.

    Not urllib: that would ask a proxy of the environment for the loopback.
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
