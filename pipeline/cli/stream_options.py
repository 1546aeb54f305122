"""Defines what the commands publish and work share: column options, the choice of the topic, and a progress bar."""

from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipeline.cli.app import err
from pipeline.cli.progress_columns import DescriptionColumn, RateColumn
from pipeline.errors import Usage
from pipeline.settings import Settings

ColumnsOption = Annotated[
    str, typer.Option(help="Our field names to the file's column names: model_a=left,winner=choice,…")
]
OutcomesOption = Annotated[str, typer.Option(help="The file's outcomes to ours: left=model_a,right=model_b,…")]
WinnerIsOption = Annotated[
    str, typer.Option(help="name: the column of the outcome holds the name of the winning model.")
]

MethodOption = Annotated[
    str,
    typer.Option(help="arena (the default), none (every vote counts), or a TOML file with rules that leave votes out."),
]
SkipBadOption = Annotated[
    bool, typer.Option("--skip-bad", help="Leave records out that are no votes, and say how many and why.")
]


def chosen_topic(option: str | None, in_url: str, options: Settings) -> str:
    """Return the name of the Kafka topic of votes.

    Args:
        option: the value of --topic; None if the option is not given.
        in_url: the topic in the kafka:// URL; "" if the URL has none.
        options: the settings. Their topic is used if neither --topic nor the URL names one.

    Raises:
        Usage: both --topic and the URL name a topic, or the name is not valid for a topic.
    """
    from pipeline.stream.source.kafka_url import check_topic  # noqa: PLC0415  # imports Kafka, which `rate` never needs

    if option and in_url and option != in_url:
        raise Usage(f"expected one topic, got {in_url!r} in the URL and {option!r} in --topic")
    return check_topic(option) if option else in_url or options.topic_votes


def progress_bar(quiet: bool) -> Progress:
    """Return a progress bar on standard error. It is hidden if `quiet`, or if standard error is not a terminal.

    The bar shows the number of records, records per second, the time so far, and, if the total is known, the time left.
    """
    return Progress(
        SpinnerColumn(),
        DescriptionColumn(),
        BarColumn(),
        TextColumn("{task.completed:,}", markup=False),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
        transient=True,
    )
