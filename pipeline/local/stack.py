"""`make up` and `make down`: the real thing as local processes, for one machine and whoever sits at it.

Kafka, PostgreSQL, two workers, the monitor, the exporter, Airflow, Prometheus and Alertmanager, under a
supervisor (supervisor.py says what becomes of a process that ends). Everything is in one state directory;
`down` keeps the data, and the next `up` goes on with it, on the same ports and with the same keys.

    python -m pipeline.local.stack up [--directory D] [--port prometheus=9090 …] [--scrape SECONDS]
    python -m pipeline.local.stack status [--directory D]
    python -m pipeline.local.stack down [--directory D]

Exit 0: all of it runs (up, status), nothing of it runs (down). 2: usage. 3: something is missing or failed.
The caller's environment reaches every part. Whoever can connect to the loopback is trusted.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import IntegrityError, Unavailable, Usage
from pipeline.local.airflow import USER
from pipeline.local.kept import Kept, write_private
from pipeline.local.leftovers import Leader
from pipeline.local.part import Part
from pipeline.local.parts import PORTS, Parts
from pipeline.local.process import LOOPBACK
from pipeline.local.supervisor import Supervisor

DIRECTORY = Path(__file__).parents[2] / ".stack"
# A bound, not an expectation: each step takes 2 to 25 s on two cores, and CI may be four times slower.
_STEP_SECONDS = 120.0


def up(directory: Path, ports: dict[str, int], scrape: int) -> dict[str, Any]:
    """Bring everything up, or say that it is up.

    Returns:
        What stack.json says.

    Raises:
        Unavailable: something is missing or does not come up; then nothing is left running.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(directory):
        leader = Leader.read(directory)
        if leader is not None and leader.alive:
            return status(directory) | {"already": True}
        _end(directory)  # the parts of a supervisor that was killed
        parts = Parts(directory, Kept.load(directory / "kept.json", PORTS, ports), scrape)
        parts.check()
        try:
            return _bring_up(parts)
        except BaseException:  # Ctrl-C included: half a stack is no use to anybody
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
    leader = Leader.read(directory)
    if leader is None or not leader.alive or not (directory / "stack.json").exists():
        raise Unavailable(f"expected a stack that is up in {directory}, got none: run `make up`")
    found: dict[str, Any] = json.loads((directory / "stack.json").read_text())
    states = _supervisor(Kept.read(directory / "kept.json"), directory).states()
    for name, part in found["parts"].items():
        state = states.get(name, {})
        part |= {"state": state.get("statename", "gone"), "pid": state.get("pid") or None}
    return found


def _bring_up(parts: Parts) -> dict[str, Any]:
    """Each step needs the one before: services, the store's databases and topics, whoever reads them."""
    started = time.monotonic()
    supervisor = _supervisor(parts.kept, parts.directory)
    # A proxy of the environment must not be asked for the loopback.
    leader = supervisor.launch(parts.all, os.environ | {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK})
    supervisor.start(parts.services, _STEP_SECONDS)
    parts.fill_services()
    supervisor.start(parts.workers[:1], _STEP_SECONDS)  # it makes the store that the others want to find
    supervisor.start([*parts.workers[1:], *parts.watchers], _STEP_SECONDS)
    parts.airflow.prepare()
    supervisor.start(parts.airflow.parts(), _STEP_SECONDS)
    described = _described(parts) | {"supervisor": leader.pid, "seconds": round(time.monotonic() - started, 1)}
    write_private(parts.directory / "stack.json", json.dumps(described, indent=1))
    exports = (f"export {name}={shlex.quote(value)}" for name, value in parts.environment.items())
    write_private(parts.directory / "env", "\n".join(exports))
    return status(parts.directory)


def _described(parts: Parts) -> dict[str, Any]:
    ports = parts.kept.ports
    web = {"prometheus": "prometheus", "alertmanager": "alertmanager", "airflow": "airflow-api"}
    return {
        "directory": str(parts.directory),
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


def _part(parts: Parts, part: Part) -> dict[str, Any]:
    return {"port": part.port, "log": str(_supervisor(parts.kept, parts.directory).log(part.name))}


def _supervisor(kept: Kept, directory: Path) -> Supervisor:
    return Supervisor(directory, kept.ports["supervisor"], kept.supervisor_password)


def _end(directory: Path) -> int:
    leader = Leader.read(directory)
    ended = leader.end() if leader else 0
    Leader.forget(directory)
    (directory / "stack.json").unlink(missing_ok=True)
    return ended


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One `up` or `down` at a time; a second one waits."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tell(found: dict[str, Any]) -> None:
    say = sys.stdout.write
    say(f"already up in {found['directory']}\n" if found.get("already") else f"up after {found['seconds']} s\n")
    for name, url in found["urls"].items():
        say(f"  {name:14}{url}\n")
    for name, part in found["parts"].items():
        say(f"  {name:18}{part['state']:10}{part['pid'] or '-':>8}  {part['log']}\n")
    say(f"Airflow: user {found['airflow']['user']}, password {found['airflow']['password']}\n")
    say(f"For the command `integrity`:  . {shlex.quote(str(Path(found['directory']) / 'env'))}\n")


def _ports(given: list[str]) -> dict[str, int]:
    try:
        return {name: int(port) for name, port in (each.split("=") for each in given)}
    except ValueError:
        raise Usage(f"expected --port NAME=NUMBER, NAME one of {', '.join(PORTS)}; got {' '.join(given)}") from None


def _run(options: argparse.Namespace) -> int:
    directory = options.directory.resolve()
    if options.verb == "down":
        sys.stdout.write(f"ended {down(directory)} processes; nothing of the stack in {directory} runs\n")
        return 0
    found = up(directory, _ports(options.port), options.scrape) if options.verb == "up" else status(directory)
    _tell(found)
    return 0 if all(part["state"] == "RUNNING" for part in found["parts"].values()) else 3


def main() -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="stack", description="The real thing as local processes.")
    parser.add_argument("verb", choices=("up", "down", "status"))
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="of the state; default: .stack")
    parser.add_argument("--port", action="append", default=[], metavar="NAME=NUMBER", help="default: free ones, kept")
    parser.add_argument("--scrape", type=int, default=15, help="seconds between two scrapes of Prometheus")
    try:
        return _run(parser.parse_args())
    except IntegrityError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2 if isinstance(error, Usage) else 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
