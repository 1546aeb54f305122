"""Runs uvicorn's server with limits for each connection, with or without TLS."""

import asyncio
import contextlib
import resource
import signal
import socket
import ssl
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import uvicorn

from pipeline.api.client_rates import TrustedProxies
from pipeline.api.server.connections import ConnectionTable
from pipeline.api.server.http_limits import HttpLimits
from pipeline.api.server.protocol import GuardedProtocol
from pipeline.errors import Usage
from pipeline.metrics import ApiMetrics

# Files besides connections: the store's, the ledger's, bundles that are being read.
_OTHER_FILES = 200
# A computing thread must not keep the event loop from the interpreter for longer; Python's default is ten times this.
_SWITCH_SECONDS = 0.0005


class GuardedServer(uvicorn.Server):
    """A uvicorn server that limits its connections by a `ConnectionTable`.

    Args:
        config: uvicorn's configuration.
        table: limits the connections.
        tls: the TLS context; None for plain HTTP.
    """

    def __init__(self, config: uvicorn.Config, table: ConnectionTable, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._table = table
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen at the sockets. Exit with status 70 if the application does not start."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(70)  # an unexpected error; 1 is a finding
        loop = asyncio.get_running_loop()
        make = partial(GuardedProtocol, self.config, self.server_state, self.lifespan.state, loop, table=self._table)
        limits = self._table.limits
        secured: dict[str, Any] = {}
        if self._tls is not None:  # a handshake is part of what a client has to send in time
            secured = {"ssl": self._tls, "ssl_handshake_timeout": limits.header_seconds}
        self.servers = [
            await loop.create_server(make, sock=one, backlog=limits.backlog, **secured) for one in sockets or ()
        ]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Close slow connections once a second. uvicorn calls this method ten times a second.

        Returns:
            Whether the server must stop.
        """
        if counter % 10 == 0:
            self._table.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def run(
    app: Any,
    listener: socket.socket,
    metrics: ApiMetrics,
    limits: HttpLimits,
    trusted: TrustedProxies,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve an application at a listening socket until SIGTERM or SIGINT.

    This changes the whole process: the handlers of both signals, the limit of open files, and the switch interval of
    threads. If the system does not allow enough open files, fewer connections are allowed.

    Args:
        app: an ASGI application.
        listener: the listening socket.
        metrics: counters of connections and refused requests.
        limits: the limits of the server.
        trusted: proxies whose headers X-Forwarded-For and X-Forwarded-Proto are trusted.
        tls: the TLS context; None for plain HTTP.
    """
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, server_header=False, ws="none", http="httptools",
        timeout_keep_alive=limits.idle_seconds, timeout_graceful_shutdown=5,
        proxy_headers=bool(trusted.texts), forwarded_allow_ips=list(trusted.texts),
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn installs its own handlers, and re-raises the signal after a clean shutdown.
        signal.signal(number, lambda *_: None)
    sys.setswitchinterval(_SWITCH_SECONDS)
    table = ConnectionTable(_within_open_files(limits), trusted, metrics)
    GuardedServer(config, table, tls).run(sockets=[listener])


def tls_context(certificate: str, key: str) -> ssl.SSLContext | None:
    """Create the TLS context of the server, for TLS 1.2 or later.

    Args:
        certificate: path of the certificate chain (PEM); "" for none.
        key: path of the certificate's private key (PEM); "" for none.

    Returns:
        The TLS context; None if neither path is given.

    Raises:
        Usage: only one of the two paths is given, or the key does not belong to the certificate.
    """
    if not certificate and not key:
        return None
    if not certificate or not key:
        raise Usage("expected INTEGRITY_TLS_CERT and INTEGRITY_TLS_KEY, got only one of them")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Usage(
            f"INTEGRITY_TLS_CERT, INTEGRITY_TLS_KEY: expected a certificate chain and its key as PEM files, "
            f"got {certificate} and {key}: {error.strerror or error}"
        ) from error
    return context


def _within_open_files(limits: HttpLimits) -> HttpLimits:
    """Raise the process's limit on open files. Return `limits` with no more connections than open files allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return replace(limits, connections=max(50, min(limits.connections, soft - _OTHER_FILES)))
    return limits
