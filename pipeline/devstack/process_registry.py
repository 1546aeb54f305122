"""Ending a session leader and everything that came of it, by id alone.

A process belongs to it by its session (which the kernel does not give to anybody else while one member
lives) or by descent (PostgreSQL's children each lead a session of their own). An id alone is not enough: it
may have been given to a stranger since, so the boot and the time of its start are compared too.
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
# Tiers end one after the other, the slowest part of one may take 30 s.
_LEADER_SECONDS, _ASKED_SECONDS, _KILLED_SECONDS = 80.0, 10.0, 10.0


@dataclass(frozen=True, slots=True)
class SessionLeader:
    """The process that leads the session.

    Attributes:
        pid: its id, which is its session's too.
        boot: of which boot of the machine; "" where the system does not tell.
        started: when, as `_started` says it.
    """

    pid: int
    boot: str
    started: float

    @classmethod
    def of(cls, pid: int) -> SessionLeader:
        """The leader that a process just started is."""
        return cls(pid, _boot(), _started(psutil.Process(pid)))

    @classmethod
    def read(cls, directory: Path) -> SessionLeader | None:
        """Who was last started in a state directory, None if nobody was."""
        try:
            return cls(**json.loads((directory / _FILE).read_text()))
        except FileNotFoundError:
            return None

    def write(self, directory: Path) -> None:
        """Note who leads, for the command that ends it."""
        write_private(directory / _FILE, json.dumps(asdict(self)))

    @property
    def alive(self) -> bool:
        """Whether it still runs, and is not a stranger with its id."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return self.boot == _boot() and _started(process) == self.started and _alive(process)
        return False

    def members(self) -> set[psutil.Process]:
        """Everything of it that runs now."""
        if self._replaced():
            return set()
        mine = {process for process in psutil.process_iter() if self._mine(process)}
        for process in list(mine):
            with contextlib.suppress(psutil.NoSuchProcess):
                mine.update(process.children(recursive=True))
        return {process for process in mine if _alive(process)}

    def _holder(self) -> float | None:
        """When whoever has the leader's id now was started, None if nobody has it."""
        try:
            return _started(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return None

    def _replaced(self) -> bool:
        """Whether its id belongs to somebody else by now; then nothing of its session is left."""
        return self.boot != _boot() or self._holder() not in (None, self.started)

    def _mine(self, process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) == self.pid and _started(process) >= self.started
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            return False

    def end(self) -> int:
        """Ask it to end its parts in order, then end whatever is left.

        Returns:
            How many processes there were.

        Raises:
            Unavailable: something would not even be killed.
        """
        mine = self.members()
        if self.alive:
            _signal({process for process in mine if process.pid == self.pid}, "terminate")
            mine |= self._wait()
        left = {process for process in mine | self.members() if _alive(process)}
        _signal(left, "terminate")
        _, left_alive = psutil.wait_procs(left, timeout=_ASKED_SECONDS)
        _signal(left_alive, "kill")
        psutil.wait_procs(left_alive, timeout=_KILLED_SECONDS)
        still = sorted(process.pid for process in mine | self.members() if _alive(process))
        if still:
            raise Unavailable(f"expected every process to end, got {still} that run on after SIGKILL")
        return len(mine)

    @staticmethod
    def forget(directory: Path) -> None:
        """Remove the note: its id may be given to others from now on."""
        (directory / _FILE).unlink(missing_ok=True)

    def _wait(self) -> set[psutil.Process]:
        """Until the leader has ended; what was started meanwhile is seen too."""
        seen: set[psutil.Process] = set()
        deadline = time.monotonic() + _LEADER_SECONDS
        while self.alive and time.monotonic() < deadline:
            seen |= self.members()
            time.sleep(0.2)
        return seen


def _boot() -> str:
    file = _PROC / "sys" / "kernel" / "random" / "boot_id"
    return file.read_text().strip() if file.exists() else ""


def _started(process: psutil.Process) -> float:
    """When a process was started: on Linux in ticks since the boot, elsewhere in seconds since 1970.

    Not psutil's answer on Linux: that moves with the clock, and after a correction of it every process of the
    stack would be taken for a stranger.
    """
    if not (_PROC / "self" / "stat").exists():
        return float(process.create_time())
    try:
        stat = (_PROC / str(process.pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(process.pid) from None
    # The name, in parentheses, may hold anything; the 22nd field is the 20th after it.
    return float(stat.rpartition(")")[2].split()[19])


def _alive(process: psutil.Process) -> bool:
    """A zombie has ended: it waits for its parent to ask how."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(processes: Iterable[psutil.Process], how: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            getattr(process, how)()
