"""serve, exporter: the HTTP servers of the API with its pages, and of the store's metrics."""

import signal
import socket
import threading
from importlib.metadata import version
from typing import Annotated

import typer

from pipeline import jobs
from pipeline.cli.app import StoreOption, app, err, store_url
from pipeline.errors import Unavailable
from pipeline.metrics import StoreCollector
from pipeline.metrics_server import serve as serve_metrics
from pipeline.open_store import existing_store, open_store
from pipeline.store import Store


@app.command()
def serve(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the API and the pages until SIGTERM. The voter key is neither read nor needed."""
    with existing_store(store_url(store), with_key=False) as opened:
        serve_store(opened, host, port)


def serve_store(store: Store, host: str, port: int) -> None:
    """Serve the API and the pages of an open store until SIGTERM or SIGINT.

    Raises:
        Unavailable: the port is taken.
    """
    import uvicorn  # noqa: PLC0415  # uvicorn and the API are slow to import, and no other command needs them

    from pipeline.api.app import create_app  # noqa: PLC0415

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except OSError as error:
            raise Unavailable(f"expected a free port at {host}:{port}, got: {error.strerror}") from error
        address = f"[{host}]" if ":" in host else host
        err.print(f"serving the board at http://{address}:{listener.getsockname()[1]}/")
        config = uvicorn.Config(
            create_app(store), log_config=None, log_level="warning", access_log=False, server_header=False,
            timeout_keep_alive=15, limit_concurrency=1_000, h11_max_incomplete_event_size=65_536,
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn installs its own handlers, and re-raises the signal after a clean shutdown.
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listener])


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
