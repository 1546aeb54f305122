"""The real thing as local processes, for one machine and whoever sits at it: `make up`, `status` and `down`.

Kafka, PostgreSQL, two workers, the monitor, the exporter, Airflow, Prometheus and Alertmanager, under a
supervisor (supervisor.py says what becomes of a process that ends). Everything is in one state directory;
`down` keeps the data, and the next `up` goes on with it, on the same ports and with the same keys. `up` over a
stack that is up starts what has ended of it.
The caller's environment reaches every part. Whoever can connect to the loopback is trusted.
"""

import fcntl
import json
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.devstack.airflow import USER
from pipeline.devstack.process import LOOPBACK
from pipeline.devstack.process_registry import SessionLeader
from pipeline.devstack.service import Service
from pipeline.devstack.services import PORTS, StackServices
from pipeline.devstack.stack_state import StackState, write_private
from pipeline.devstack.supervisor import STARTED, Supervisor
from pipeline.errors import Unavailable, Usage

Progress = Callable[[str], object]

# A bound, not an expectation: each step takes 2 to 25 s on two cores, and CI may be four times slower.
_STEP_SECONDS = 120.0


def up(directory: Path, ports: Mapping[str, int], scrape: int, tell: Progress) -> dict[str, Any]:
    """Bring everything up, or what has ended of a stack that is up.

    Args:
        directory: of the state.
        ports: that were asked for, by name; the others are kept.
        scrape: seconds between two scrapes of Prometheus.
        tell: is given a line for each step.

    Returns:
        What stack.json says, with the state of every part.

    Raises:
        Unavailable: something is missing or does not come up; then nothing is left running, unless the stack was
            up already.
        Usage: other ports than those of the stack that is up.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(directory):
        if _is_up(directory):
            return _mend(directory, ports, tell)
        _end(directory)  # the parts of a supervisor that was killed, or of an `up` that was
        parts = StackServices(directory, StackState.load(directory / "kept.json", PORTS, ports), scrape)
        parts.check()
        try:
            return _bring_up(parts, tell)
        except BaseException:  # Ctrl-C included: half a stack is no use to anybody
            tell("it did not come up: ending what was started")
            _end(directory)
            raise


def down(directory: Path) -> int:
    """End everything of the stack; the data stays.

    Returns:
        How many processes there were.
    """
    if not directory.exists():
        return 0
    with _alone(directory):
        return _end(directory)


def status(directory: Path) -> dict[str, Any]:
    """What stack.json says, with the state of every part as it is now.

    Raises:
        Unavailable: no stack is up here.
    """
    if not _is_up(directory):
        raise Unavailable(f"expected a stack that is up in {directory}, got none: run `make up`")
    found: dict[str, Any] = json.loads((directory / "stack.json").read_text())
    states = _supervisor(StackState.read(directory / "kept.json"), directory).states()
    for name, part in found["parts"].items():
        state = states.get(name, {})
        part |= {"state": state.get("statename", "gone"), "pid": state.get("pid") or None}
    return found


def _is_up(directory: Path) -> bool:
    """Whether an `up` came to its end here and the supervisor still runs."""
    leader = SessionLeader.read(directory)
    return leader is not None and leader.alive and (directory / "stack.json").exists()


def _mend(directory: Path, ports: Mapping[str, int], tell: Progress) -> dict[str, Any]:
    """Start what has ended: what was given up, and workers that ended on purpose."""
    kept, found = StackState.read(directory / "kept.json"), status(directory)
    if other := {name: port for name, port in ports.items() if kept.ports.get(name) != port}:
        raise Usage(f"expected the ports of the stack that is up, got {other}: run `make down` first")
    ended = [name for name, part in found["parts"].items() if part["state"] not in STARTED]
    if ended:
        tell(f"starting again: {', '.join(ended)}")
        parts = StackServices(directory, kept, found["scrape"])
        _supervisor(kept, directory).start([part for part in parts.all if part.name in ended], _STEP_SECONDS)
    return status(directory) | {"already": True}


def _bring_up(parts: StackServices, tell: Progress) -> dict[str, Any]:
    """Each step needs the one before: services, the store's databases and topics, whoever reads them."""
    started = time.monotonic()
    supervisor = _supervisor(parts.kept, parts.directory)
    # A proxy of the environment must not be asked for the loopback.
    leader = supervisor.launch(parts.all, os.environ | {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK})

    def step(some: Sequence[Service]) -> None:
        tell(f"{time.monotonic() - started:4.0f} s  starting {', '.join(part.name for part in some)}")
        supervisor.start(some, _STEP_SECONDS)

    step(parts.services)
    parts.fill_services()
    with ThreadPoolExecutor(1) as beside:
        migrated = beside.submit(parts.airflow.prepare)
        step(parts.workers[:1])  # it makes the store that the others want to find
        step([*parts.workers[1:], *parts.watchers])
        migrated.result()
    step(parts.airflow.parts())
    described = _described(parts) | {"supervisor": leader.pid, "seconds": round(time.monotonic() - started, 1)}
    write_private(parts.directory / "stack.json", json.dumps(described, indent=1))
    exports = (f"export {name}={shlex.quote(value)}" for name, value in parts.environment.items())
    write_private(parts.directory / "env", "\n".join(exports))
    return status(parts.directory)


def _described(parts: StackServices) -> dict[str, Any]:
    ports = parts.kept.ports
    web = {"page": "page", "prometheus": "prometheus", "alertmanager": "alertmanager", "airflow": "airflow-api"}
    return {
        "directory": str(parts.directory),
        "scrape": parts.scrape,
        "urls": {
            "kafka": parts.kafka.url,
            "store": parts.environment["INTEGRITY_STORE"],
            **{name: f"http://{LOOPBACK}:{ports[port]}" for name, port in web.items()},
            "exporter": f"http://{LOOPBACK}:{ports['exporter']}/metrics",
        },
        "environment": parts.environment,
        "airflow": {"user": USER, "password": parts.kept.airflow_password},
        "parts": {part.name: _part(parts, part) for part in parts.all},
    }


def _part(parts: StackServices, part: Service) -> dict[str, Any]:
    return {"port": part.port, "log": str(_supervisor(parts.kept, parts.directory).log(part.name))}


def _supervisor(kept: StackState, directory: Path) -> Supervisor:
    return Supervisor(directory, kept.ports["supervisor"], kept.supervisor_password)


def _end(directory: Path) -> int:
    leader = SessionLeader.read(directory)
    ended = leader.end() if leader else 0
    SessionLeader.forget(directory)
    (directory / "stack.json").unlink(missing_ok=True)
    return ended


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One `up` or `down` at a time; a second one waits."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
