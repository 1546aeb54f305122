"""The parts that `publish` and `work` share: options about columns, the kafka:// URL, a progress bar."""

from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.cli.app import err
from pipeline.cli.terminal import DescriptionColumn
from pipeline.errors import Usage

ColumnsOption = Annotated[
    str, typer.Option(help="Our field names to the file's column names: model_a=left,winner=choice,…")
]
OutcomesOption = Annotated[str, typer.Option(help="The file's outcomes to ours: left=model_a,right=model_b,…")]


def parse_kafka_url(url: str) -> tuple[str, str]:
    """Return HOST:PORT and the topic of a URL; the topic is empty if the URL names none.

    Raises:
        Usage: not a kafka:// URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "kafka" or not parts.hostname:
        raise Usage(f"expected kafka://HOST:PORT, got {url!r}")
    return f"{parts.hostname}:{parts.port or 9092}", parts.path.strip("/")


def progress_bar(quiet: bool) -> Progress:
    """Return a progress bar on standard error, invisible if `quiet` or if standard error is not a terminal."""
    return Progress(
        SpinnerColumn(),
        DescriptionColumn(),
        BarColumn(),
        TextColumn("{task.completed:,}", markup=False),
        TimeElapsedColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
        transient=True,
    )
