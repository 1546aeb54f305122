"""The processes of the stack under supervisord (the package `supervisor`).

What becomes of a process that ends by itself: it is started again. One that does not live for 5 s is tried
ten times, a second later each time, then given up (FATAL): told by `status`, by Prometheus' `up` and by the
alert rules. Worker processes that ended on purpose are not started again (`Part.restart`), however soon they
did: a stop limit is there so that a bad deploy does not drain the topic into the rejects. One that crashes is
always started again.

supervisord leads a session of its own, and everything that it starts belongs to it. So what is left over when
it has ended, or was killed, is found by the session and by descent, never by name.
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
# Of a log, in a message.
_LINES = 20
STARTED = ("RUNNING", "STARTING", "BACKOFF")
# While a stack comes up: what ended five times (10 s) is not going to live. Later, supervisord itself gives up.
_TRIES = 5
# What configparser and supervisord would take for something else, however it is quoted.
_UNFIT = frozenset(';#"\n')
# And in a value of the environment, from whose end it would be taken off.
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
startsecs = {living}
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
_TIERS: dict[Tier, int] = {"services": 1, "pipeline": 2, "scheduler": 3}


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The supervisor of one state directory.

    Attributes:
        directory: of the state: the configuration (0600: it holds the voter key), logs, who leads.
        port: where orders are taken, on the loopback, with a password.
        password: that one.
    """

    directory: Path
    port: int
    password: str

    def log(self, name: str) -> Path:
        """The file that takes everything a part prints."""
        return self.directory / "logs" / f"{name}.log"

    def launch(self, parts: Sequence[Service], environment: Mapping[str, str]) -> SessionLeader:
        """Start supervisord, and none of the parts.

        Raises:
            Unavailable: it gave no answer in time.
        """
        self.log("").parent.mkdir(parents=True, exist_ok=True)
        configuration = self.directory / "supervisord.conf"
        write_private(configuration, self._configured(parts))
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)],
            cwd=self.directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        leader = SessionLeader.of(process.pid)
        leader.write(self.directory)
        deadline = time.monotonic() + _STARTING_SECONDS
        while not self.states():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"expected supervisord to answer, got none: see {self.log('supervisord')}")
            time.sleep(0.1)
        return leader

    def states(self) -> dict[str, dict[str, Any]]:
        """What supervisord says of each part: statename, pid, exitstatus …; nothing if it does not answer."""
        try:
            listed = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return {}
        return {one["name"]: one for one in listed}

    def start(self, parts: Iterable[Service], seconds: float) -> None:
        """Start parts, and return once each does its work.

        Raises:
            Unavailable: one ended again and again or did not answer in time; quotes the end of its log.
        """
        waiting = {part.name: part for part in parts}
        for part in waiting.values():
            try:
                self._call("startProcess", f"{part.tier}:{part.name}", False)
            except (OSError, xmlrpc.client.Error) as error:
                # Not the error itself: a ProtocolError names the password.
                found = getattr(error, "faultString", type(error).__name__)
                raise Unavailable(f"expected supervisord to start {part.name}, got {found}") from error
        tries: dict[str, set[int]] = {name: set() for name in waiting}
        deadline = time.monotonic() + seconds
        while waiting := {name: part for name, part in waiting.items() if not self._works(part)}:
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
        return "\n".join([f"expected {name} to do its work within {seconds:.0f} s, got {state}; see {log}:", *tail])

    def _works(self, part: Service) -> bool:
        if part.answers:
            return part.answers()
        return bool(self.states().get(part.name, {}).get("statename") == "RUNNING")

    def _call(self, method: str, *arguments: Any) -> Any:
        url = f"http://stack:{self.password}@{LOOPBACK}:{self.port}/RPC2"
        with xmlrpc.client.ServerProxy(url) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _configured(self, parts: Sequence[Service]) -> str:
        head = _HEAD.format(
            directory=_fit(str(self.directory)),
            logs=_fit(str(self.log("").parent)),
            # supervisord wants to be told that root is meant.
            user="user = root" if os.geteuid() == 0 else "",
            address=f"{LOOPBACK}:{self.port}",
            password=self.password,
        )
        groups = "".join(
            f"\n[group:{tier}]\nprograms = {','.join(p.name for p in parts if p.tier == tier)}\npriority = {place}\n"
            for tier, place in _TIERS.items()
        )
        return head + groups + "".join(self._program(part) for part in parts)

    def _program(self, part: Service) -> str:
        return _PROGRAM.format(
            name=part.name,
            command=_fit(shlex.join(part.command)),
            directory=_fit(str(part.directory)),
            environment=",".join(f'{key}="{_fit(value, _QUOTE)}"' for key, value in part.environment.items()),
            # 0: whatever it ends with is taken for what it says, also in its first second.
            living=0 if part.restart == "unless_stopped" else 5,
            autorestart={"always": "true", "unless_stopped": "unexpected"}[part.restart],
            signal=part.stop_signal.name.removeprefix("SIG"),
            seconds=part.stop_seconds,
            log=_fit(str(self.log(part.name))),
        )


def _fit(text: str, also: str = "") -> str:
    if bad := (_UNFIT | set(also)) & set(text):
        raise Usage(f"expected no {' '.join(sorted(bad))!r} in what supervisord is told, got {text!r}")
    return text.replace("%", "%%")
