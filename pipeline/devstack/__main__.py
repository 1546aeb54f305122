"""Runs the commands behind `make up`, `make status`, `make down` and `make drill`.

    python -m pipeline.devstack up [--directory D] [--port prometheus=19090 …] [--scrape SECONDS]
    python -m pipeline.devstack status [--directory D]
    python -m pipeline.devstack down [--directory D]
    python -m pipeline.devstack drill [--directory D]

Exit statuses:

    0    every service runs (up, status), no process is left (down), or the page came in time (drill)
    1    the page did not come in time (drill)
    2    wrong usage
    3    a program is missing, or a service failed or ended
    70   unexpected error

A page is a call to the person on duty. Progress and errors are printed to stderr.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.devstack.service import http_get
from pipeline.devstack.services import PORTS
from pipeline.devstack.stack import down, drill, status, up
from pipeline.errors import IntegrityError, Usage
from pipeline.vocabulary.command_parser import CommandParser
from pipeline.vocabulary.visible_text import visible

DIRECTORY = Path(__file__).parents[2] / ".stack"
_HEALTHY = ("RUNNING", "STARTING")


def _summary(found: dict[str, Any], heading: str) -> str:
    lines = [heading, *(f"  {name:14}{url}" for name, url in found["urls"].items())]
    for name, part in found["parts"].items():
        lines.append(f"  {name:18}{part['state']:10}{part['pid'] or '-':>8}  {part['log']}")
    lines.append(f"Airflow: user {found['airflow']['user']}, password {found['airflow']['password']}")
    lines.append(f"For the command `integrity`:  . {shlex.quote(str(Path(found['directory']) / 'env'))}")
    return "\n".join(lines)


def _alerts(port: int) -> str:
    """Return the firing alerts in one line."""
    answer = http_get(port, "/api/v2/alerts?inhibited=false&silenced=false")
    if answer is None:
        return "alerts: Alertmanager does not answer"
    names = sorted({f"{a['labels']['alertname']} ({a['labels']['severity']})" for a in json.loads(answer)})
    return f"alerts: {', '.join(names) or 'none'}"


def _ports(given: Sequence[str]) -> dict[str, int]:
    """Parse NAME=NUMBER options.

    Raises:
        Usage: an option has another form, or a name is given twice.
    """
    try:
        ports = {name: int(number) for name, number in (each.split("=") for each in given)}
    except ValueError:
        ports = {"": 0}
    if not all(0 < port < 65_536 for port in ports.values()) or len(set(ports.values())) < len(given):
        raise Usage(f"expected --port NAME=NUMBER, NAME one of {', '.join(PORTS)}; got {' '.join(given)}")
    return ports


def _run(options: argparse.Namespace) -> int:
    directory = options.directory.resolve()
    if options.verb == "down":
        ended = down(directory)
        sys.stdout.write(visible(f"ended {ended} processes; no process of the stack in {directory} is left") + "\n")
        return 0
    if options.verb == "drill":
        return drill(directory)
    if options.verb == "status":
        found = status(directory)
        heading = f"up in {directory}; {_alerts(found['parts']['alertmanager']['port'])}"
    else:
        found = up(directory, _ports(options.port), options.scrape, lambda line: sys.stderr.write(f"{visible(line)}\n"))
        heading = f"already up in {directory}" if found.get("already") else f"up after {found['seconds']} s"
    sys.stdout.write(visible(_summary(found, heading), lines=True) + "\n")
    return 0 if all(part["state"] in _HEALTHY for part in found["parts"].values()) else 3


def main() -> int:
    """Run the command that the command line names, and return the exit status."""
    parser = CommandParser(prog="python -m pipeline.devstack", description="Run the whole pipeline as local processes.")
    parser.add_argument("verb", choices=("up", "status", "down", "drill"))
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="state directory; default: .stack")
    parser.add_argument(
        "--port", action="append", default=[], metavar="NAME=NUMBER",
        help="port of a service; default: the kept one, at first the service's usual port if it is free",
    )  # fmt: skip
    parser.add_argument("--scrape", type=int, default=15, help="seconds between two scrapes of Prometheus")
    try:
        return _run(parser.parse_args())
    except IntegrityError as error:
        sys.stderr.write(visible(f"{type(error).__name__}: {error}", lines=True) + "\n")
        return 2 if isinstance(error, Usage) else 3
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except Exception:
        sys.stderr.write(visible(traceback.format_exc(), lines=True))
        return 70


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
