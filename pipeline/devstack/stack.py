"""Starts, describes and ends the local stack of a user, for `make up`, `make status` and `make down`.

Kafka, PostgreSQL, two workers, the monitor, the exporter, the API with its pages, Airflow, Prometheus and Alertmanager
run under a supervisor. `supervisor.py` states which processes are restarted. All files are in one state directory.
`down` keeps the data, and the next `up` continues with the same data, ports and keys. `up` on a running stack starts
the services that have ended.

Every service inherits the environment of the caller. Every process that can connect to the loopback interface is
trusted.
"""

import fcntl
import json
import os
import shlex
import subprocess
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
from pipeline.devstack.services import INTEGRITY, PORTS, StackServices
from pipeline.devstack.stack_state import StackState, write_private
from pipeline.devstack.supervisor import STARTED, Supervisor
from pipeline.errors import Unavailable, Usage

Report = Callable[[str], object]

# A bound, not an expectation: each step takes 2 to 25 s on two cores, and CI may be four times slower.
_STEP_SECONDS = 120.0


def up(directory: Path, ports: Mapping[str, int], scrape: int, report: Report) -> dict[str, Any]:
    """Start the stack, or the services of a running stack that have ended.

    Args:
        directory: the state directory.
        ports: name of a service → requested port. Other services keep their ports.
        scrape: number of seconds between two scrapes of Prometheus.
        report: called with a line of text for each step.

    Returns:
        The content of stack.json, with the state of every service.

    Raises:
        Unavailable: a program is missing, or a service does not start. All services are then ended, unless the stack
            was up before.
        Usage: the requested ports differ from those of the running stack.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(directory):
        if _is_up(directory):
            return _start_ended(directory, ports, report)
        _stop_all(directory)  # the services of a killed supervisor or `up`
        services = StackServices(directory, StackState.load(directory / "kept.json", PORTS, ports), scrape)
        services.check()
        try:
            return _start_all(services, report)
        except BaseException:  # also on Ctrl-C: leave no half of a stack
            report("the stack did not start: ending what was started")
            _stop_all(directory)
            raise


def down(directory: Path) -> int:
    """End all processes of the stack, keep its data, and return the number of processes that were ended."""
    if not directory.exists():
        return 0
    with _locked(directory):
        return _stop_all(directory)


def status(directory: Path) -> dict[str, Any]:
    """Return the content of stack.json, with the current state of every service.

    Raises:
        Unavailable: no stack runs in this state directory.
    """
    if not _is_up(directory):
        raise Unavailable(f"expected a running stack in {directory}, got none: run `make up`")
    found: dict[str, Any] = json.loads((directory / "stack.json").read_text())
    states = _supervisor(StackState.read(directory / "kept.json"), directory).states()
    for name, part in found["parts"].items():
        state = states.get(name, {})
        part |= {"state": state.get("statename", "gone"), "pid": state.get("pid") or None}
    return found


def drill(directory: Path) -> int:
    """Run `integrity drill` on the running stack, and return the exit status of the command."""
    found = status(directory)
    urls = found["urls"]
    command = [str(INTEGRITY), "drill", "--to", urls["kafka"], "--prometheus", urls["prometheus"], "--yes", "--check"]
    return subprocess.run(command, env=os.environ | found["environment"], check=False).returncode


def _is_up(directory: Path) -> bool:
    """Return whether an `up` completed here and its supervisor still runs."""
    leader = SessionLeader.read(directory)
    return leader is not None and leader.alive and (directory / "stack.json").exists()


def _start_ended(directory: Path, ports: Mapping[str, int], report: Report) -> dict[str, Any]:
    """Start the services that have ended: services that were given up, and workers that stopped on purpose."""
    state, found = StackState.read(directory / "kept.json"), status(directory)
    if other := {name: port for name, port in ports.items() if state.ports.get(name) != port}:
        raise Usage(f"expected the ports of the running stack, got {other}: run `make down` first")
    ended = [name for name, part in found["parts"].items() if part["state"] not in STARTED]
    if ended:
        report(f"starting again: {', '.join(ended)}")
        services = StackServices(directory, state, found["scrape"])
        _supervisor(state, directory).start([one for one in services.all if one.name in ended], _STEP_SECONDS)
    return status(directory) | {"already": True}


def _start_all(services: StackServices, report: Report) -> dict[str, Any]:
    """Start the services step by step; each step needs the previous one."""
    started = time.monotonic()
    supervisor = _supervisor(services.state, services.directory)
    # Requests to the loopback must not go through a proxy of the environment.
    leader = supervisor.launch(services.all, os.environ | {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK})

    def step(some: Sequence[Service]) -> None:
        report(f"{time.monotonic() - started:4.0f} s  starting {', '.join(one.name for one in some)}")
        supervisor.start(some, _STEP_SECONDS)

    step(services.backing)
    services.create_databases_and_topics()
    with ThreadPoolExecutor(1) as background:
        migrated = background.submit(services.airflow.prepare)
        step(services.workers[:1])  # creates the store that the others open
        services.mark_as_test()
        step([*services.workers[1:], *services.observers])
        migrated.result()
    step(services.airflow.services())
    described = _describe(services) | {"supervisor": leader.pid, "seconds": round(time.monotonic() - started, 1)}
    write_private(services.directory / "stack.json", json.dumps(described, indent=1))
    exports = (f"export {name}={shlex.quote(value)}" for name, value in services.environment.items())
    write_private(services.directory / "env", "\n".join(exports))
    return status(services.directory)


def _describe(services: StackServices) -> dict[str, Any]:
    ports, supervisor = services.state.ports, _supervisor(services.state, services.directory)
    web = {"page": "page", "prometheus": "prometheus", "alertmanager": "alertmanager", "airflow": "airflow-api"}
    return {
        "directory": str(services.directory),
        "scrape": services.scrape,
        "urls": {
            "kafka": services.kafka.url,
            "store": services.environment["INTEGRITY_STORE"],
            **{name: f"http://{LOOPBACK}:{ports[port]}" for name, port in web.items()},
            "exporter": f"http://{LOOPBACK}:{ports['exporter']}/metrics",
        },
        "environment": services.environment,
        "airflow": {"user": USER, "password": services.state.airflow_password},
        "parts": {one.name: {"port": one.port, "log": str(supervisor.log(one.name))} for one in services.all},
    }


def _supervisor(state: StackState, directory: Path) -> Supervisor:
    return Supervisor(directory, state.ports["supervisor"], state.supervisor_password)


def _stop_all(directory: Path) -> int:
    leader = SessionLeader.read(directory)
    ended = leader.end() if leader else 0
    SessionLeader.delete(directory)
    (directory / "stack.json").unlink(missing_ok=True)
    return ended


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let only one `up` or `down` run at a time; a second one waits."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
