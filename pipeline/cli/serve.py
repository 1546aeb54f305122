"""serve: the API and the page."""

from __future__ import annotations

import signal
import socket
from typing import Annotated

import typer

from pipeline import settings as configuration
from pipeline.cli.app import StoreOption, app, err
from pipeline.errors import Unavailable
from pipeline.jobs.open_store import open_store
from pipeline.store import Store


@app.command()
def serve(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
) -> None:
    """Serve the API and the page until SIGTERM."""
    options = configuration.load()
    opened = open_store(store or options.store, create=False)
    try:
        listen(opened, host, port)
    finally:
        opened.close()


def listen(store: Store, host: str, port: int) -> None:
    """Serve an open store.

    Raises:
        Unavailable: the port is taken.
    """
    import uvicorn  # noqa: PLC0415  # slow to import, and only this verb needs them

    from pipeline.api import create_app  # noqa: PLC0415

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except OSError as error:
            raise Unavailable(f"expected a free port at {host}:{port}, got: {error.strerror}") from error
        shown = f"[{host}]" if ":" in host else host
        err.print(f"the board is at http://{shown}:{listener.getsockname()[1]}/", highlight=False)
        config = uvicorn.Config(
            create_app(store), log_level="warning", access_log=False, server_header=False, timeout_keep_alive=15,
            limit_concurrency=1_000, h11_max_incomplete_event_size=65_536, timeout_graceful_shutdown=5,
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn ends well by itself, and then sends itself the signal again.
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listener])
