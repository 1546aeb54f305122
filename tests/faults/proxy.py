"""A TCP proxy that can cut its connections: at once, or around a database's COMMIT.

Only for plain TCP; TLS could not be looked into.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal, Self

from pipeline.devstack.process import LOOPBACK

# The message that ends a transaction, as psycopg sends it: a simple query.
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"

When = Literal["before", "after"]
"""COMMIT never reaches the server, or it does and its answer never comes back."""


class Proxy:
    """Forwards connections to a port of the loopback.

    Attributes:
        port: where it listens.
        cuts: connections cut around a COMMIT so far.
    """

    def __init__(self, target: int, when: When = "after") -> None:
        self._target, self._when = target, when
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._armed = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, commits: int = 1) -> None:
        """Cut at the next so many COMMITs, each on its connection."""
        with self._lock:
            self._armed += commits

    def cut(self) -> None:
        """Cut every connection now."""
        with self._lock:
            for one in self._open:
                _shut(one)
            self._open.clear()

    def close(self) -> None:
        """Stop."""
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection((LOOPBACK, self._target))
                except OSError:
                    _shut(client)
                    continue
                with self._lock:
                    self._open |= {client, server}
                for one, other, ours in ((client, server, True), (server, client, False)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._forward, args=(one, other, ours), daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket, from_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                if from_client and data.endswith(COMMIT) and self._fires():
                    _shut(one)  # first: whatever the server answers finds nobody
                    if self._when == "after":
                        other.sendall(data)
                    break
                other.sendall(data)
        with self._lock:
            self._open.discard(one)
        _shut(one)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)  # what was sent before still arrives, a COMMIT too

    def _fires(self) -> bool:
        with self._lock:
            if not self._armed:
                return False
            self._armed -= 1
            self.cuts += 1
            return True


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
