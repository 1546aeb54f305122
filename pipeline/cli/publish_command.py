"""publish: battle files to Kafka."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from pipeline import settings
from pipeline.cli.app import JsonOption, app, emit_or_print
from pipeline.cli.stream_options import ColumnsOption, OutcomesOption, parse_kafka_url, progress_bar
from pipeline.errors import Usage
from pipeline.formats import ColumnMapping
from pipeline.stream.kafka_publisher import create_topics
from pipeline.stream.kafka_publisher import publish as publish_file


@app.command()
def publish(
    to: Annotated[str, typer.Option("--to", help="kafka://HOST:PORT")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Battle files: .json, .jsonl, .csv, .parquet. Without a file only topics are created."),
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Default: arena.votes.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of the votes topic, if it is created.")] = None,
    columns: ColumnsOption = "",
    outcomes: OutcomesOption = "",
    as_json: JsonOption = False,
) -> None:
    """Publish battle files to Kafka. Every delivery is confirmed by the broker."""
    options = settings.load()
    bootstrap, topic_in_url = parse_kafka_url(to)
    name = topic or topic_in_url or options.topic_votes
    mapping = ColumnMapping.parse(columns, outcomes)
    files = files or []
    for path in files:
        if not path.is_file():
            raise Usage(f"expected a file, got {path}")
    create_topics(bootstrap, options, name, partitions or options.partitions)
    total = {"votes": 0, "registry": 0}
    with progress_bar(as_json) as bar:
        for path in files:
            task = bar.add_task(path.name, total=None)
            sent = publish_file(path, bootstrap, name, options, mapping, partial(_completed, bar, task))
            bar.update(task, completed=sum(sent.values()), total=sum(sent.values()))
            total = {kind: total[kind] + count for kind, count in sent.items()}
    result = {"topic": name, "published": total["votes"], "registry": total["registry"], "files": len(files)}
    text = f"published {total['votes']:,} votes to {name}"
    if total["registry"]:
        text += f" and {total['registry']:,} registry events to {options.topic_registry}"
    emit_or_print(as_json, result, text)


def _completed(bar: Progress, task: TaskID, count: int) -> None:
    bar.update(task, completed=count)
