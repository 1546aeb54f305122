"""Finds and ends all processes of a stack, which are a session leader and the processes that belong to the leader.

A process belongs to the leader if it is in the leader's session or descends from a process of this session. Descent is
needed, because each child process of PostgreSQL has its own session.

The system reuses process ids, so the boot of the machine and the start time of the leader are compared too. The id of a
session is not reused while the session has processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from pipeline.devstack.stack_state import write_private
from pipeline.errors import Unavailable

_FILE = "supervisor.json"
_PROC = Path("/proc")
# Tiers end one after the other; the slowest service may take 30 s.
_LEADER_SECONDS, _TERMINATED_SECONDS, _KILLED_SECONDS = 80.0, 10.0, 10.0


@dataclass(frozen=True, slots=True)
class SessionLeader:
    """The process that leads the session of a stack. All processes of the stack are found through it.

    Attributes:
        pid: id of the process and of the session.
        boot: id of the machine's boot in which the process runs; "" if the system has no such id.
        started: start time of the process, which distinguishes it from a later process with the same id.
    """

    pid: int
    boot: str
    started: float

    @classmethod
    def from_pid(cls, pid: int) -> SessionLeader:
        """Describe a running process as a session leader. `pid` is its process id.

        Raises:
            psutil.NoSuchProcess: no process has this id.
        """
        return cls(pid, _boot(), _start_time(psutil.Process(pid)))

    @classmethod
    def read(cls, directory: Path) -> SessionLeader | None:
        """Return the leader that was last started in a state directory; None if the directory has no leader's file."""
        try:
            return cls(**json.loads((directory / _FILE).read_text()))
        except FileNotFoundError:
            return None

    def write(self, directory: Path) -> None:
        """Write a file that describes the leader to the state directory, so that a later command can end the leader."""
        write_private(directory / _FILE, json.dumps(asdict(self)))

    @property
    def alive(self) -> bool:
        """Whether the leader still runs. A later process with the same id does not count."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return self.boot == _boot() and _start_time(process) == self.started and _alive(process)
        return False

    def members(self) -> set[psutil.Process]:
        """Return the running processes that belong to the leader."""
        if self._is_id_reused():
            return set()
        mine = {process for process in psutil.process_iter() if self._in_session(process)}
        for process in list(mine):
            with contextlib.suppress(psutil.NoSuchProcess):
                mine.update(process.children(recursive=True))
        return {process for process in mine if _alive(process)}

    def _is_id_reused(self) -> bool:
        """Return whether the leader's id now belongs to another process. The leader's session then has no members."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self.boot != _boot() or _start_time(psutil.Process(self.pid)) != self.started
        return self.boot != _boot()

    def _in_session(self, process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) == self.pid and _start_time(process) >= self.started
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            return False

    def end(self) -> int:
        """Ask the leader to end its services in order, and then end all processes that are left.

        Returns:
            The number of processes that were ended.

        Raises:
            Unavailable: a process still runs after SIGKILL.
        """
        mine = self.members()
        if self.alive:
            _signal({process for process in mine if process.pid == self.pid}, "terminate")
            mine |= self._wait()
        left = {process for process in mine | self.members() if _alive(process)}
        _signal(left, "terminate")
        _, left_alive = psutil.wait_procs(left, timeout=_TERMINATED_SECONDS)
        _signal(left_alive, "kill")
        psutil.wait_procs(left_alive, timeout=_KILLED_SECONDS)
        still = sorted(process.pid for process in mine | self.members() if _alive(process))
        if still:
            raise Unavailable(f"expected every process to end, got {still} still running after SIGKILL")
        return len(mine)

    @staticmethod
    def delete(directory: Path) -> None:
        """Delete the leader's file from a state directory, after all processes have ended."""
        (directory / _FILE).unlink(missing_ok=True)

    def _wait(self) -> set[psutil.Process]:
        """Wait until the leader of the session has ended. Return the processes that the session had meanwhile."""
        seen: set[psutil.Process] = set()
        deadline = time.monotonic() + _LEADER_SECONDS
        while self.alive and time.monotonic() < deadline:
            seen |= self.members()
            time.sleep(0.2)
        return seen


def _boot() -> str:
    file = _PROC / "sys" / "kernel" / "random" / "boot_id"
    return file.read_text().strip() if file.exists() else ""


def _start_time(process: psutil.Process) -> float:
    """Return a process's start time: on Linux in ticks since the boot, elsewhere in seconds since 1970.

    On Linux psutil's value changes when the clock is corrected: each process would then seem to be another process.
    """
    if not (_PROC / "self" / "stat").exists():
        return float(process.create_time())
    try:
        stat = (_PROC / str(process.pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(process.pid) from None
    # The name, in parentheses, may contain anything; the 22nd field is the 20th after it.
    return float(stat.rpartition(")")[2].split()[19])


def _alive(process: psutil.Process) -> bool:
    """Return whether a process runs. A zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(processes: Iterable[psutil.Process], how: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            getattr(process, how)()
