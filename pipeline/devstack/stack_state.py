"""Keeps the ports and secrets of a local stack in a file, from one `make up` to the next.

The first `make up` chooses the ports and secrets. Only the owner can read the file. Without the voter key in the file,
the store cannot be opened again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.devstack.process import is_port_taken
from pipeline.errors import Unavailable, Usage

# Ports of the first `make up`, where they are free.
_DEFAULT_PORTS = {
    "kafka": 9092,
    "postgres": 5432,
    "worker-1": 9465,
    "worker-2": 9466,
    "exporter": 9464,
    "airflow-api": 8080,
    "prometheus": 9090,
    "alertmanager": 9093,
    "page": 8000,
    "page-metrics": 9467,
}
# Other ports are from here: below those of the tests' servers (process.py), so that a test never takes the port of a
# stopped stack.
_PORTS = range(10_000, 20_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """The ports and secrets of a local stack.

    Attributes:
        ports: name of a service → its port.
        voter_key: key of the store's pseudonyms, 64 hexadecimal digits.
        ledger_key: seed of the key that signs snapshots, 64 hexadecimal digits.
        airflow_password: password of Airflow's user.
        airflow_secret: key that signs Airflow's tokens.
        supervisor_password: password of the supervisor's XML-RPC server.
    """

    ports: Mapping[str, int]
    voter_key: str
    ledger_key: str
    airflow_password: str
    airflow_secret: str
    supervisor_password: str

    @classmethod
    def read(cls, file: Path) -> StackState:
        """Read the ports and secrets from the file of a stack."""
        return cls(**json.loads(file.read_text()))

    @classmethod
    def load(cls, file: Path, names: Sequence[str], fixed: Mapping[str, int]) -> StackState:
        """Read the ports and secrets from a file, or create the file with new ones.

        Args:
            file: path of the file.
            names: names of the services that need a port.
            fixed: name of a service → requested port. Other services keep their ports; new ones get their default port
                or, if that is taken, a free port.

        Returns:
            The ports and secrets, as the file has them now.

        Raises:
            Usage: a port is requested for an unknown service.
            Unavailable: another program listens on one of the ports.
        """
        if unknown := fixed.keys() - set(names):
            raise Usage(f"expected a port of {', '.join(names)}, got {', '.join(sorted(unknown))}")
        # A file of an earlier version lacks newer secrets.
        found = _new_state() | (json.loads(file.read_text()) if file.exists() else {})
        ports = found["ports"] | fixed
        for name in names:
            ports.setdefault(name, _free_port(name, ports.values()))
            if is_port_taken(ports[name]):
                raise Unavailable(
                    f"expected port {ports[name]} ({name}) to be free, got one on which another program listens: end "
                    f'it, or name another port: make up ARGS="--port {name}={_free_port("", ports.values())}"'
                )
        kept = cls(**found | {"ports": ports})
        write_private(file, json.dumps(asdict(kept), indent=1))
        return kept


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read. The write is atomic: readers see the old or the new text."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())  # else a power loss may leave an empty file and lose the voter key
    draft.replace(file)


def _new_state() -> dict[str, Any]:
    return {
        "ports": {},
        "voter_key": secrets.token_hex(32),
        "ledger_key": secrets.token_hex(32),
        "airflow_password": secrets.token_urlsafe(12),
        "airflow_secret": secrets.token_hex(32),
        "supervisor_password": secrets.token_hex(16),
    }


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """Choose ports for a second stack: name of a service → a free port that is not a default port."""
    ports: dict[str, int] = {}
    for name in names:
        ports[name] = _free_port("", ports.values())
    return ports


def _free_port(name: str, used: Container[int]) -> int:
    """Return the default port of a name if it is free, else a random free port."""
    port = _DEFAULT_PORTS.get(name, 0)
    while not port or port in used or is_port_taken(port):
        port = secrets.choice(_PORTS)
    return port
