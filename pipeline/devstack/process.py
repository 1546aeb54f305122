"""Runs a server as a child process, and pauses, stops or kills this process by its id."""

import atexit
import os
import secrets
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pipeline.errors import Unavailable

LOOPBACK = "127.0.0.1"
# Below the ports that Linux gives to outgoing connections (from 32768). A client that retries while its server is
# down could get the server's port as its own source port: it then connects to itself, gets no answer, and keeps the
# server from starting again.
_PORTS = range(20_000, 32_000)
_given_out: set[int] = set()


def free_port() -> int:
    """Return a free port of the loopback interface that this function has not returned before."""
    while True:
        port = secrets.choice(_PORTS)
        if port not in _given_out and not is_port_taken(port):
            _given_out.add(port)
            return port


def is_port_taken(port: int) -> bool:
    """Return whether a program listens on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


# Time for every thread of a paused server to stop.
_PAUSE_SECONDS = 5.0


def _is_stopped(pid: int) -> bool:
    try:
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return True  # the process ended, or this system has no /proc
    return all(state in "TtZX" for state in states)


class LocalServer(ABC):
    """The base class of servers that run as child processes. A `with` block starts the server and stops it at the end.

    Args:
        directory: folder for data, configuration and log; created if missing, and not deleted by `stop`.
        port: port for clients; None for a free port.

    Attributes:
        log: path of the file with the server's output.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    # Bounds, not expectations: a server is up in 1 to 4 s here, and four times slower on a busy CI machine.
    start_seconds: ClassVar[float] = 60.0
    stop_seconds: ClassVar[float] = 20.0

    def __init__(self, directory: Path, *, port: int | None = None) -> None:
        self.directory = directory.resolve()
        self.port = port or free_port()
        self.log = self.directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    @abstractmethod
    def check(self) -> None:
        """Raise `Unavailable` if a program or file that the server needs is missing. The server is not started."""

    @abstractmethod
    def _prepare(self) -> None:
        """Write the files that the server needs; called at every start."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return the command line; its process must be the server itself, not a wrapper."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Return whether a client gets an answer now."""

    @property
    def pid(self) -> int | None:
        """The process id of the running server; None if it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> Self:
        """Start the server, and return when it answers a client. A server that runs already is left as it is.

        Returns:
            This object.

        Raises:
            Unavailable: a program is missing, the server ended, or it did not answer within `start_seconds` and was
                killed.
        """
        if self.pid is not None:
            return self
        self.check()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._prepare()
        with self.log.open("ab") as log:
            # Its own session: Ctrl-C reaches only the tests, which stop the server in order.
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self._kill_at_exit)
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        while self.pid is not None and time.monotonic() < deadline:
            if self._is_ready():
                return
            time.sleep(0.05)
        found = "no answer" if self.pid is not None else "the process ended"
        self.kill()
        raise Unavailable(
            f"expected {self.name} to answer on port {self.port} within {self.start_seconds:.0f} s, "
            f"got {found}; the end of {self.log}:\n{self.log_tail()}"
        )

    def stop(self, how: signal.Signals | None = None) -> None:
        """Send the server a signal to end, and kill it if it has not ended after `stop_seconds`.

        A paused server is resumed first. Nothing is done if the server does not run.

        Args:
            how: the signal; None for `stop_signal`.
        """
        if self._process is None or self.pid is None:
            return
        self.resume()
        self._process.send_signal(how or self.stop_signal)
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        atexit.unregister(self._kill_at_exit)

    def kill(self) -> None:
        """Kill the server and its child processes with SIGKILL. Connections break, and buffers are not written."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Pause the server with SIGSTOP. Connections stay open without answers, as in a long garbage collection."""
        self._signal(signal.SIGSTOP)
        # Threads stop one after another; until the last one has stopped, the server may still answer.
        deadline = time.monotonic() + _PAUSE_SECONDS
        while time.monotonic() < deadline and not all(map(_is_stopped, self._processes())):
            time.sleep(0.01)

    def resume(self) -> None:
        """Let the server continue after `pause`, with SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop the server and start it again with the same port and data."""
        self.stop()
        self.start()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last `lines` lines of the server's output as one text, or "(no log)" without a log file."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _processes(self) -> list[int]:
        """Return the ids of the server's processes, the main one first."""
        return [] if self.pid is None else [self.pid]

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # a child that has ended
                continue

    def _kill_at_exit(self) -> None:
        if os.getpid() == self._owner:  # a fork has a copy of this object and did not start the server
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
