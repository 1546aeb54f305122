"""publish, work, monitor: the way of a vote."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pipeline import settings as configuration
from pipeline.cli.app import JsonOption, StoreOption, app, emit, err
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import BrokerUnavailable, Usage
from pipeline.formats import ColumnMapping
from pipeline.jobs.open_store import open_store
from pipeline.metrics import WorkerMetrics, serve
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.votes import registry_events
from pipeline.stream.gc_tuning import tune_gc
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.kafka_publisher import create_producer, create_topics
from pipeline.stream.kafka_publisher import publish as publish_file
from pipeline.stream.monitor import Monitor
from pipeline.stream.outbox_sender import Send
from pipeline.stream.registry_reader import RegistryReader, keep_registry_current
from pipeline.stream.source import FileSource, KafkaSource, RegistryTopic, Source
from pipeline.stream.worker import Worker

Columns = Annotated[str, typer.Option(help="How a table calls our fields: model_a=left,winner=choice,…")]
Outcomes = Annotated[str, typer.Option(help="How it calls outcomes: left=model_a,right=model_b,…")]


@app.command()
def publish(
    to: Annotated[str, typer.Option("--to", help="kafka://HOST:PORT")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Battle files: .json, .jsonl, .csv, .parquet; none: make the topics.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Default: arena.votes.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Of a votes topic that must be made.")] = None,
    columns: Columns = "",
    outcomes: Outcomes = "",
    as_json: JsonOption = False,
) -> None:
    """Publish battle files to Kafka; every delivery is checked."""
    options = configuration.load()
    bootstrap, from_url = _kafka(to)
    name = topic or from_url or options.topic_votes
    mapping = ColumnMapping.parse(columns, outcomes)
    files = files or []
    for path in files:
        if not path.is_file():
            raise Usage(f"expected a file, got {path}")
    create_topics(bootstrap, options, name, partitions or options.partitions)
    total = {"votes": 0, "registry": 0}
    with _bar(as_json) as bar:
        for path in files:
            task = bar.add_task(path.name, total=None)
            step = partial(_completed, bar, task)
            sent = publish_file(path, bootstrap, name, options, mapping, step)
            bar.update(task, completed=sum(sent.values()), total=sum(sent.values()))
            total = {kind: total[kind] + count for kind, count in sent.items()}
    result = {"topic": name, "published": total["votes"], "registry": total["registry"], "files": len(files)}
    if as_json:
        emit(result)
    else:
        err.print(f"published {total['votes']:,} votes and {total['registry']:,} registry events to {name}")


@app.command()
def work(
    source: Annotated[str, typer.Option(help="FILE or kafka://HOST:PORT[/TOPIC]")],
    store: StoreOption = None,
    registry_file: Annotated[Path | None, typer.Option("--registry", help="Registry events, JSON Lines.")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the end that there is now.")] = False,
    topic: Annotated[str | None, typer.Option(help="Default: arena.votes.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve /metrics and /healthz here.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    columns: Columns = "",
    outcomes: Outcomes = "",
    as_json: JsonOption = False,
) -> None:
    """Read votes from a file or Kafka, judge them, store them. SIGTERM ends it cleanly."""
    options = configuration.load()
    opened = open_store(store or options.store, worker=True)
    if registry_file is not None:
        registry_events.load_file(opened, registry_file)
    metrics = WorkerMetrics()
    origin, send = _source(source, topic, opened, options, ColumnMapping.parse(columns, outcomes))
    tune_gc()
    with _bar(as_json) as bar:
        task = bar.add_task("votes", total=None)
        worker = Worker(
            origin, opened, options, VOTER, f"{socket.gethostname()}:{os.getpid()}", metrics, send,
            lambda tally: bar.update(task, completed=tally.read, description=_line(tally)),
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        server = (
            serve(metrics.registry, metrics_port, host=metrics_host, health=worker.healthy)
            if metrics_port is not None
            else None
        )
        started = time.monotonic()
        try:
            with _registry(source, opened, options, origin, worker.stop, until_end):
                tally = worker.run(until_end=until_end or isinstance(origin, FileSource))
        finally:
            origin.close()
            if server:
                server.close()
    seconds = time.monotonic() - started
    opened.close()
    result = _result(tally, seconds)
    if as_json:
        emit(result)
    else:
        err.print(", ".join(f"{name} {value:,}" for name, value in result.items()), highlight=False)


@app.command()
def monitor(
    store: StoreOption = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop when nothing is left to close.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Close windows above the watermark too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Close five-minute windows over all partitions, in order, once, and run the window detectors over them."""
    options = configuration.load()
    opened = open_store(store or options.store, create=False)
    running = Monitor(opened, options, f"{socket.gethostname()}:{os.getpid()}", WINDOW)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    closed = running.run(until_end=until_end or close, close=close)
    opened.close()
    if as_json:
        emit({"windows_closed": closed})
    else:
        err.print(f"closed {closed:,} windows")


def _completed(bar: Progress, task: TaskID, count: int) -> None:
    bar.update(task, completed=count)


def _source(
    given: str, topic: str | None, store: Store, options: Settings, mapping: ColumnMapping
) -> tuple[Source, Send | None]:
    if not given.startswith("kafka://"):
        return FileSource(Path(given), mapping), None
    bootstrap, from_url = _kafka(given)
    # One group a store: two stores that read the same topic must each see all of it.
    source = KafkaSource(
        bootstrap,
        topic or from_url or options.topic_votes,
        options.group or f"integrity-{store.store_id}",
        session_seconds=options.session_seconds,
        poll_seconds=options.poll_seconds,
    )
    return source, _sender(bootstrap)


def _registry(
    given: str, store: Store, options: Settings, votes: Source, halt: Callable[[], None], until_end: bool
) -> AbstractContextManager[None]:
    """The registry topic beside votes from Kafka; a file has its registry from `--registry`."""
    if isinstance(votes, FileSource):
        return nullcontext()
    bootstrap, _ = _kafka(given)
    connect = partial(RegistryTopic, bootstrap, options.topic_registry)
    reader = RegistryReader(connect, store, votes_source=votes.name, rejected_topic=options.topic_rejected)
    return keep_registry_current(reader, until_end=until_end, halt=halt)


def _sender(bootstrap: str) -> Send:
    client: Any = None

    def send(messages: Any) -> None:
        nonlocal client
        client = client or create_producer(bootstrap)
        try:
            futures = [client.send(name, value=value, key=key) for name, key, value in messages]
            client.flush()
            for future in futures:
                future.get(timeout=30)
        except Exception as error:  # the client raises many kinds; all mean "not there yet"
            raise BrokerUnavailable(f"outbox: {error}") from error

    return send


def _kafka(url: str) -> tuple[str, str]:
    """HOST:PORT and the topic, if the URL names one."""
    parts = urlsplit(url)
    if parts.scheme != "kafka" or not parts.hostname:
        raise Usage(f"expected kafka://HOST:PORT, got {url!r}")
    return f"{parts.hostname}:{parts.port or 9092}", parts.path.strip("/")


def _result(tally: IngestTally, seconds: float) -> dict[str, Any]:
    counts = {
        name: getattr(tally, name)
        for name in ("read", "accepted", "duplicate", "late", "quarantined", "rejected", "alerts")
    }
    return {**counts, "votes_per_second": round(tally.read / seconds, 1) if seconds > 0 else 0.0}


def _line(tally: IngestTally) -> str:
    return f"votes: {tally.accepted:,} accepted, {tally.rejected:,} rejected, {tally.alerts:,} alerts"


def _bar(quiet: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}"),
        TimeElapsedColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
        transient=True,
    )
