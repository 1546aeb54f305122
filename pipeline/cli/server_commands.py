"""Runs the commands serve and exporter.

`serve` starts the server of the API and the pages, `exporter` that of metrics.
"""

import signal
import socket
import threading
from contextlib import ExitStack, closing
from importlib.metadata import version
from typing import Annotated

import typer

from pipeline import jobs, settings
from pipeline.cli.app import StoreOption, app, err, store_url
from pipeline.errors import Unavailable
from pipeline.metrics import ApiMetrics, StoreCollector
from pipeline.metrics_server import serve as serve_metrics
from pipeline.open_store import existing_store, open_store
from pipeline.store import Store


@app.command()
def serve(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    metrics_port: Annotated[int | None, typer.Option(help="Serve /metrics and /healthz on this port.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address for /metrics and /healthz.")] = "127.0.0.1",
) -> None:
    """Serve the API and the pages until SIGTERM.

    With INTEGRITY_TLS_CERT and INTEGRITY_TLS_KEY the server uses HTTPS. The server does not need the voter key.
    """
    metrics = ApiMetrics()
    with existing_store(store_url(store), with_key=False) as opened, ExitStack() as stack:
        if metrics_port is not None:
            stack.enter_context(closing(serve_metrics(metrics.registry, metrics_port, host=metrics_host)))
        serve_store(opened, host, port, metrics)


def serve_store(store: Store, host: str, port: int, metrics: ApiMetrics | None = None) -> None:
    """Serve the API and the pages of an open store until SIGTERM or SIGINT.

    Args:
        store: the open store.
        host: address to listen on.
        port: port to listen on; 0 for a free port.
        metrics: counters of the API's responses and requests; None to create new counters.

    Raises:
        Unavailable: the port cannot be used, for example because another program uses it.
        Usage: the TLS certificate or its private key cannot be used.
    """
    # uvicorn and the API are slow to import, and no other command needs them.
    from pipeline.api.app import create_app  # noqa: PLC0415
    from pipeline.api.client_rates import TrustedProxies  # noqa: PLC0415
    from pipeline.api.server import http_server  # noqa: PLC0415
    from pipeline.api.server.http_limits import HttpLimits  # noqa: PLC0415

    options, metrics = settings.load(), metrics or ApiMetrics()
    tls = http_server.tls_context(options.tls_cert, options.tls_key)
    limits = HttpLimits(client_connections=options.client_connections)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(limits.backlog)
        except OSError as error:
            raise Unavailable(f"expected a free port at {host}:{port}, got: {error.strerror}") from error
        address = f"[{host}]" if ":" in host else host
        scheme = "https" if tls else "http"
        err.print(f"serving the board at {scheme}://{address}:{listener.getsockname()[1]}/")
        app = create_app(store, options, metrics)
        http_server.run(app, listener, metrics, limits, TrustedProxies(options.trusted_networks), tls)


@app.command()
def exporter(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 9464,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the store's state as Prometheus metrics until SIGTERM."""
    opened = open_store(store_url(store), create=False, with_key=False)
    collector = StoreCollector(lambda: jobs.read_store_status(opened), version("leaderboard-integrity"))
    server = serve_metrics(collector.own_registry(), port, host=host)
    err.print(f"metrics on http://{host}:{server.port}/metrics")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    server.close()
    opened.close()
