"""Keeps the table of open connections. The table limits the connections of each client and closes slow connections."""

from collections import defaultdict
from typing import Protocol

from pipeline.api.client_rates import TrustedProxies, client_of
from pipeline.api.server.http_limits import HttpLimits
from pipeline.metrics import ApiMetrics


class ServedConnection(Protocol):
    """The interface through which the table of connections uses a connection."""

    address: str

    def give_up_place(self) -> None:
        """Close the connection immediately, because another connection takes its place in the table."""

    def sweep(self, now: float) -> None:
        """Close the connection if its client sends or reads too slowly.

        `now` is the time of the event loop in seconds.
        """


class ConnectionTable:
    """The table of open connections, which limits their number.

    A connection waits for its client in three situations: until the last byte of a request has arrived, while the
    client does not read the response, and after the response. When the table is full, a new connection replaces the
    connection that has waited longest.

    Args:
        limits: the limits of the server.
        trusted: the trusted proxies. A proxy may have any number of connections, because it serves many clients.
        metrics: the number of open connections, and counters of refused connections.
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
        """Return how many seconds a client at this address may stop reading before it is disconnected."""
        return self.limits.proxy_stall_seconds if address in self._trusted else self.limits.stall_seconds

    def admit(self, connection: ServedConnection) -> bool:
        """Add a new connection to the table.

        If the table is full, a connection that waits for its client is closed first. If the client has as many
        connections as it may have, only one of its own connections is closed for the new one.

        Returns:
            Whether the connection was added. False if all connections that could be closed are answering requests.
        """
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
        """Close the connection that has waited longest for its client. Return whether any connection waited.

        If a client is given, only this client's connections are considered.
        """
        waiting = (one for one in self._waiting if client is None or self._open[one] == client)
        longest = next(waiting, None)
        if longest is None:
            return False
        self.metrics.refused.labels("connections").inc()
        self.release(longest)
        longest.give_up_place()
        return True

    def release(self, connection: ServedConnection) -> None:
        """Remove a connection from the table. A second call for the same connection does nothing."""
        client = self._open.pop(connection, None)
        if client is None:
            return
        self._waiting.pop(connection, None)
        self._count[client] -= 1
        if not self._count[client]:
            del self._count[client]
        self.metrics.connections.set(len(self._open))

    def wait(self, connection: ServedConnection) -> None:
        """Mark a connection as waiting for its client. A connection that is not in the table is ignored."""
        if connection in self._open:
            self._waiting[connection] = None

    def work(self, connection: ServedConnection) -> None:
        """Mark a connection as answering a request."""
        self._waiting.pop(connection, None)

    def sweep(self, now: float) -> None:
        """Close the connections whose clients send or read too slowly.

        `now` is the time of the event loop in seconds.
        """
        for connection in list(self._open):
            connection.sweep(now)
