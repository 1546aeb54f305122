"""Declares the limits of the HTTP server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits of the HTTP server for connections and clients.

    Each value except `stall_bytes` is the largest allowed.

    Attributes:
        header_bytes: size of a request's headers and its address, in bytes.
        header_count: number of a request's headers.
        header_seconds: seconds from the first byte of a request, or from the opening of the connection, to the end of
            the headers.
        body_seconds: seconds from the end of the headers to the end of the body.
        idle_seconds: seconds between two requests of a connection.
        stall_seconds: seconds in which a client must read at least `stall_bytes`; otherwise the client is disconnected.
        proxy_stall_seconds: `stall_seconds` for a trusted proxy, which reads larger pieces less often.
        stall_bytes: least number of bytes that a client must read in `stall_seconds`.
        pipelined: number of requests of one connection that wait for an earlier request.
        connections: number of open connections of all clients.
        client_connections: number of open connections of one client; trusted proxies have no such limit.
        backlog: number of connections that wait in the kernel until this process accepts them.
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
