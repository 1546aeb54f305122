"""The open connections: limits by client, and the sweep that ends slow connections."""

from collections import defaultdict
from typing import Protocol

from pipeline.api.client_rates import TrustedProxies, client_of
from pipeline.api.server.http_limits import HttpLimits
from pipeline.metrics import ApiMetrics


class ServedConnection(Protocol):
    """The methods of a connection that the table calls."""

    address: str

    def give_up_place(self) -> None:
        """Close at once, because another connection takes the place."""

    def sweep(self, now: float) -> None:
        """Close the connection if its client has been too slow."""


class ConnectionTable:
    """The table of open connections. Connections that wait for their client are in the order of waiting.

    A connection waits for its client until the last byte of a request, while the client does not read, and after the
    response.

    Args:
        trusted: trusted proxies, whose connections serve many clients.
    """

    def __init__(self, limits: HttpLimits, trusted: TrustedProxies, metrics: ApiMetrics) -> None:
        self.limits = limits
        self.metrics = metrics
        self._trusted = trusted
        self._open: dict[ServedConnection, str] = {}
        self._count: defaultdict[str, int] = defaultdict(int)
        # Dictionaries keep the order; their values mean nothing.
        self._waiting: dict[ServedConnection, None] = {}

    def patience(self, address: str) -> float:
        """Return for how many seconds a client at this address may read nothing."""
        return self.limits.proxy_stall_seconds if address in self._trusted else self.limits.stall_seconds

    def admit(self, connection: ServedConnection) -> bool:
        """Admit a new connection, if need be in place of a waiting one; False if all others are answering requests."""
        address = connection.address
        client = "" if address in self._trusted else client_of(address)
        if client and self._count[client] >= self.limits.client_connections:
            if not self._make_room(client):
                return False
        elif len(self._open) >= self.limits.connections and not self._make_room(None):
            return False
        self._open[connection] = client
        self._count[client] += 1
        self.metrics.connections.set(len(self._open))
        return True

    def _make_room(self, client: str | None) -> bool:
        """Close the connection that has waited longest, of this client or of all clients."""
        waiting = (one for one in self._waiting if client is None or self._open[one] == client)
        longest = next(waiting, None)
        if longest is None:
            return False
        self.metrics.refused.labels("connections").inc()
        self.release(longest)
        longest.give_up_place()
        return True

    def release(self, connection: ServedConnection) -> None:
        """Free the place of a connection; a second call does nothing."""
        client = self._open.pop(connection, None)
        if client is None:
            return
        self._waiting.pop(connection, None)
        self._count[client] -= 1
        if not self._count[client]:
            del self._count[client]
        self.metrics.connections.set(len(self._open))

    def wait(self, connection: ServedConnection) -> None:
        """Mark a connection as waiting for its client."""
        if connection in self._open:
            self._waiting[connection] = None

    def work(self, connection: ServedConnection) -> None:
        """Mark a connection as answering a request."""
        self._waiting.pop(connection, None)

    def sweep(self, now: float) -> None:
        """End connections that are too slow. Called every second."""
        for connection in list(self._open):
            connection.sweep(now)
