"""Runs the processes of the stack under supervisord (the package `supervisor`).

supervisord restarts a process that ends. If a process ends within 5 s of its start, it is started again up to ten
times, with a longer pause each time. Then supervisord gives up (state FATAL). `status`, the metric `up` and the alert
rules report this.

A worker that ended on purpose is not restarted, even if it ended within 5 s (`Service.restart`). Otherwise a worker
that stops because of too many rejected records would be restarted and reject the whole topic. A worker that crashed is
always restarted.

supervisord leads a session, to which its processes belong. Processes that still run after supervisord has ended are
found by their session and descent (`process_registry`), never by name.
"""

import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.devstack.process import LOOPBACK
from pipeline.devstack.process_registry import SessionLeader
from pipeline.devstack.service import Service, Tier
from pipeline.devstack.stack_state import write_private
from pipeline.errors import Unavailable, Usage

_STARTING_SECONDS = 20.0
# Lines of a log in a message.
_LINES = 20
STARTED = ("RUNNING", "STARTING", "BACKOFF")
# Starts before `start` gives up on a service (10 s).
_TRIES = 5
# Characters that configparser and supervisord misread even in quotes.
_FORBIDDEN = frozenset(';#"\n')
# supervisord strips it from the end of an environment value.
_QUOTE = "'"
_HEAD = """\
[supervisord]
nodaemon = true
silent = true
logfile = {logs}/supervisord.log
pidfile = {directory}/supervisord.pid
childlogdir = {logs}
{user}

[inet_http_server]
port = {address}
username = stack
password = {password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
_PROGRAM = """
[program:{name}]
command = {command}
directory = {directory}
environment = {environment}
autostart = false
autorestart = {autorestart}
exitcodes = 0,3
startsecs = {least_seconds}
startretries = 10
stopsignal = {signal}
stopwaitsecs = {seconds:.0f}
killasgroup = true
redirect_stderr = true
stdout_logfile = {log}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 1
"""
# supervisord stops the groups of higher numbers first.
_TIERS: dict[Tier, int] = {"backing": 1, "pipeline": 2, "scheduler": 3}


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Runs the services of one state directory under supervisord.

    Attributes:
        directory: the state directory, with the logs and the configuration. Only the owner can read the configuration,
            because it contains the voter key.
        port: port of the supervisor's XML-RPC server on the loopback interface.
        password: password of the XML-RPC server.
    """

    directory: Path
    port: int
    password: str

    def log(self, name: str) -> Path:
        """Return the path of the file with a service's output."""
        return self.directory / "logs" / f"{name}.log"

    def launch(self, services: Sequence[Service], environment: Mapping[str, str]) -> SessionLeader:
        """Start supervisord without starting the services.

        Args:
            services: the services that supervisord will run.
            environment: environment variables of all services.

        Returns:
            The session leader, by which all processes can be ended.

        Raises:
            Unavailable: supervisord did not answer in time.
        """
        self.log("").parent.mkdir(parents=True, exist_ok=True)
        configuration = self.directory / "supervisord.conf"
        write_private(configuration, self._configuration(services))
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)],
            cwd=self.directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        leader = SessionLeader.from_pid(process.pid)
        leader.write(self.directory)
        deadline = time.monotonic() + _STARTING_SECONDS
        while not self.states():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(
                    f"expected supervisord to answer within {_STARTING_SECONDS:.0f} s, got no answer: see "
                    f"{self.log('supervisord')}"
                )
            time.sleep(0.1)
        return leader

    def states(self) -> dict[str, dict[str, Any]]:
        """Return name of a service → what supervisord knows about the service, such as statename, pid and exitstatus.

        The result is empty if supervisord does not answer.
        """
        try:
            listed = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return {}
        return {one["name"]: one for one in listed}

    def start(self, services: Iterable[Service], seconds: float) -> None:
        """Start services, and return when all of them are ready.

        Args:
            services: the services to start.
            seconds: time limit in seconds.

        Raises:
            Unavailable: a service ended repeatedly or was not ready in time. The message has the end of its log.
        """
        waiting = {service.name: service for service in services}
        for service in waiting.values():
            try:
                self._call("startProcess", f"{service.tier}:{service.name}", False)
            except (OSError, xmlrpc.client.Error) as error:
                # Not the error itself: a ProtocolError contains the password.
                found = getattr(error, "faultString", type(error).__name__)
                raise Unavailable(f"expected supervisord to start {service.name}, got {found}") from error
        tries: dict[str, set[int]] = {name: set() for name in waiting}
        deadline = time.monotonic() + seconds
        while waiting := {name: service for name, service in waiting.items() if not self._is_ready(service)}:
            states = self.states()
            for name in waiting:
                state = states.get(name, {"statename": "gone", "start": 0})
                tries[name].add(state["start"])
                late = time.monotonic() > deadline or len(tries[name]) > _TRIES
                if state["statename"] not in STARTED or late:
                    raise Unavailable(self._failed(name, state["statename"], seconds))
            time.sleep(0.2)

    def _failed(self, name: str, state: str, seconds: float) -> str:
        log = self.log(name)
        tail = log.read_text(errors="replace").splitlines()[-_LINES:] if log.exists() else ["(no log)"]
        return "\n".join([f"expected {name} to be ready within {seconds:.0f} s, got {state}; see {log}:", *tail])

    def _is_ready(self, service: Service) -> bool:
        if service.is_ready:
            return service.is_ready()
        return bool(self.states().get(service.name, {}).get("statename") == "RUNNING")

    def _call(self, method: str, *arguments: Any) -> Any:
        url = f"http://stack:{self.password}@{LOOPBACK}:{self.port}/RPC2"
        with xmlrpc.client.ServerProxy(url) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _configuration(self, services: Sequence[Service]) -> str:
        head = _HEAD.format(
            directory=_escape(str(self.directory)),
            logs=_escape(str(self.log("").parent)),
            # As root, supervisord warns unless the configuration names root.
            user="user = root" if os.geteuid() == 0 else "",
            address=f"{LOOPBACK}:{self.port}",
            password=self.password,
        )
        programs = {tier: ",".join(one.name for one in services if one.tier == tier) for tier in _TIERS}
        groups = "".join(
            f"\n[group:{tier}]\nprograms = {programs[tier]}\npriority = {number}\n" for tier, number in _TIERS.items()
        )
        return head + groups + "".join(self._program(service) for service in services)

    def _program(self, service: Service) -> str:
        return _PROGRAM.format(
            name=service.name,
            command=_escape(shlex.join(service.command)),
            directory=_escape(str(service.directory)),
            environment=",".join(f'{key}="{_escape(value, _QUOTE)}"' for key, value in service.environment.items()),
            # 0: the exit code counts even in the first second.
            least_seconds=0 if service.restart == "unless_stopped" else 5,
            autorestart={"always": "true", "unless_stopped": "unexpected"}[service.restart],
            signal=service.stop_signal.name.removeprefix("SIG"),
            seconds=service.stop_seconds,
            log=_escape(str(self.log(service.name))),
        )


def _escape(text: str, also: str = "") -> str:
    if bad := (_FORBIDDEN | set(also)) & set(text):
        raise Usage(f"expected no {' '.join(sorted(bad))!r} in supervisord's configuration, got {text!r}")
    return text.replace("%", "%%")
