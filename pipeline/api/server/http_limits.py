"""Limits of the HTTP server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits by connection and by client.

    Attributes:
        header_bytes, header_count: size and number of a request's headers, its address included.
        header_seconds: time from the first byte of a request, or from the connection, to the end of the headers.
        body_seconds: time from the end of the headers to the end of the body.
        idle_seconds: time between two requests of a connection.
        stall_seconds, stall_bytes: a client that reads fewer bytes in this time is disconnected.
        proxy_stall_seconds: this time for a trusted proxy, which reads in larger pieces.
        pipelined: number of requests of one connection that wait for the previous request.
        connections: open connections of all clients.
        client_connections: open connections of one client; trusted proxies have no such limit.
        backlog: connections that the kernel accepts before this process does.
    """

    header_bytes: int = 32 << 10
    header_count: int = 100
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    idle_seconds: int = 15
    stall_seconds: float = 20.0
    proxy_stall_seconds: float = 120.0
    stall_bytes: int = 16 << 10
    pipelined: int = 16
    connections: int = 2_000
    client_connections: int = 100
    backlog: int = 2_048
