"""Serves `/metrics` and `/healthz` by HTTP, from a thread of the process.

The server has no login, and listens on the loopback interface by default. Its port should be open to Prometheus only.
The number and the duration of connections are limited, so that a client that keeps connections open costs only a few
threads.

Not handled: several processes behind one port; every worker has its own port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from socket import SHUT_RDWR, socket
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Thread, Timer
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


# Prometheus needs one; a second one scrapes beside it for a while when it is replaced.
_CONNECTIONS = 16
# A scrape takes milliseconds. From the connection to the last byte of the response.
_SECONDS = 10
_HEADERS = [
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape arrives every 15 s."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._places = BoundedSemaphore(_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, or close the connection if too many are being served."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection. Close it if it is still open after `_SECONDS`, however slowly the client sends."""
        end = Timer(_SECONDS, _hang_up, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about an error of a connection, such as a client that closed the connection."""


def _hang_up(request: socket) -> None:
    with suppress(OSError):  # it has ended meanwhile
        request.shutdown(SHUT_RDWR)


class MetricsServer:
    """A running HTTP server of metrics. Its thread starts when the object is created.

    Attributes:
        port: the port in use, even if port 0 was requested.
    """

    def __init__(self, server: WSGIServer) -> None:
        self._server = server
        self.port: int = server.server_port
        self._thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a second call does nothing."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve(
    registry: CollectorRegistry,
    port: int,
    host: str = "127.0.0.1",
    health: Callable[[], tuple[bool, str]] | None = None,
) -> MetricsServer:
    """Serve `/metrics` and `/healthz` from a thread.

    Args:
        registry: the Prometheus registry that `/metrics` shows.
        port: the port to listen on; 0 chooses a free one.
        host: address to listen on; by default the loopback interface, since metrics have no login.
        health: returns whether the process works, and the text that `/healthz` shows. `/healthz` has the status 200 if
            the process works, else 503. An error of `health` also gives 503. Without `health`, `/healthz` always
            returns 200.

    Returns:
        The running server. The caller closes it.

    Raises:
        OSError: the port is in use, or the address cannot be used.
    """
    metrics = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, begin: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            return begin(status, [*headers, *_HEADERS], *more)

        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start)
            return answer
        status, text = _healthz(health) if path == "/healthz" else ("404 Not Found", "see /metrics and /healthz")
        start(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{text}\n".encode()]

    return MetricsServer(make_server(host, port, app, server_class=_Server, handler_class=_Handler))


def _healthz(health: Callable[[], tuple[bool, str]] | None) -> tuple[str, str]:
    try:
        good, text = health() if health else (True, "ok")
    except Exception as fault:  # a health check that fails is not healthy
        good, text = (
            False,
            type(fault).__name__,
        )  # its message may name hosts and users; this page has no login
    return ("200 OK" if good else "503 Service Unavailable"), text
