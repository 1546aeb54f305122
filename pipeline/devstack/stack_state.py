"""What a stack is given when it is first brought up, and keeps: ports, the voter key, passwords.

They stand in one file that nobody else may read. Without the voter key the store would not open again, and
with new ports every address that somebody noted would be wrong.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.devstack.process import LOOPBACK
from pipeline.errors import Unavailable, Usage

# Where each is looked for, and is found if the port is free when the stack is first brought up.
_USUAL = {
    "kafka": 9092,
    "postgres": 5432,
    "worker-1": 9465,
    "worker-2": 9466,
    "exporter": 9464,
    "airflow-api": 8080,
    "prometheus": 9090,
    "alertmanager": 9093,
    "page": 8000,
}
# Else one of these: below the ports that the servers of tests are given (process.py), so that a stack that is
# down and a test never meet.
_PORTS = range(10_000, 20_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """Ports by name, and secrets.

    Attributes:
        ports: where each part listens.
        voter_key: what the pseudonyms of the stack's store are made with, 64 hexadecimal digits.
        ledger_key: what signs its snapshots, 64 hexadecimal digits.
        airflow_password: of Airflow's user.
        airflow_secret: signs Airflow's tokens.
        supervisor_password: of whoever gives the supervisor orders.
    """

    ports: Mapping[str, int]
    voter_key: str
    ledger_key: str
    airflow_password: str
    airflow_secret: str
    supervisor_password: str

    @classmethod
    def read(cls, file: Path) -> StackState:
        """Read the file of a stack that is up."""
        return cls(**json.loads(file.read_text()))

    @classmethod
    def load(cls, file: Path, names: Sequence[str], fixed: Mapping[str, int]) -> StackState:
        """Read the file, or make it.

        Args:
            file: where it is.
            names: whose ports are wanted.
            fixed: ports that were asked for; the others are kept. At first they are the usual ones where those are
                free.

        Raises:
            Usage: a port for a part that there is not.
            Unavailable: somebody else listens on one of the ports.
        """
        if unknown := fixed.keys() - set(names):
            raise Usage(f"expected a port of {', '.join(names)}, got {', '.join(sorted(unknown))}")
        # A file of an earlier version lacks what is new.
        found = _made() | (json.loads(file.read_text()) if file.exists() else {})
        ports = found["ports"] | fixed
        for name in names:
            ports.setdefault(name, _free(name, ports.values()))
            if _taken(ports[name]):
                raise Unavailable(
                    f"expected port {ports[name]} ({name}) to be free, got one that somebody listens on: end that "
                    f'program, or name another port: make up ARGS="--port {name}={_free("", ports.values())}"'
                )
        kept = cls(**found | {"ports": ports})
        write_private(file, json.dumps(asdict(kept), indent=1))
        return kept


def write_private(file: Path, text: str) -> None:
    """Write a file that nobody else may read, at once: a reader finds the old text or the new one."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())  # else a power loss may leave the new name and no text: the voter key would be gone
    draft.replace(file)


def _made() -> dict[str, Any]:
    return {
        "ports": {},
        "voter_key": secrets.token_hex(32),
        "ledger_key": secrets.token_hex(32),
        "airflow_password": secrets.token_urlsafe(12),
        "airflow_secret": secrets.token_hex(32),
        "supervisor_password": secrets.token_hex(16),
    }


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """A free port for each name, none of them a usual one: for a stack beside others."""
    ports: dict[str, int] = {}
    for name in names:
        ports[name] = _free("", ports.values())
    return ports


def _free(name: str, used: Container[int]) -> int:
    """The usual port of a name; another one where it has none or somebody listens there."""
    port = _USUAL.get(name, 0)
    while not port or port in used or _taken(port):
        port = secrets.choice(_PORTS)
    return port


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
