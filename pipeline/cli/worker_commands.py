"""Runs the commands work and monitor.

`work` reads votes from Kafka or files, and writes them to the store. `monitor` closes windows of five minutes, and runs
the window detectors on them.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import settings
from pipeline.cli.app import JsonOption, StoreOption, app, emit_or_print, err, store_url
from pipeline.cli.ingest_notes import changed_notes, reject_notes, waiting_notes
from pipeline.cli.stream_options import ColumnsOption, OutcomesOption, WinnerIsOption, chosen_topic, progress_bar
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import Usage
from pipeline.formats import ColumnMapping
from pipeline.formats.containers import readable_path
from pipeline.formats.format_notes import repeat_notes
from pipeline.metrics import WorkerMetrics
from pipeline.metrics_server import serve
from pipeline.open_store import now, open_store, publish_folder
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import voter_share
from pipeline.store.votes import registry_events, unchecked_votes
from pipeline.stream.battle_reader import BattleReader
from pipeline.stream.gc_tuning import tune_gc
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.kafka_sender import KafkaSender
from pipeline.stream.outbox_sender import Send
from pipeline.stream.record_screening import verifier_of
from pipeline.stream.registry_reader import RegistryReader, keep_registry_current
from pipeline.stream.source import FileSource, KafkaSource, RegistryTopic, Source
from pipeline.stream.source.kafka_security import client_security
from pipeline.stream.source.kafka_url import EXPECTED, is_kafka_url, parse_kafka_url
from pipeline.stream.text_reading import TextReading, delayed_text_reading
from pipeline.stream.topic_check import missing_topics
from pipeline.stream.window_monitor import Monitor
from pipeline.stream.worker import Worker
from pipeline.vocabulary.coverage_notes import late_notes, unchecked_notes

_NO_TEXT_CHECKS = "Leave conversations of a file unread: no identity_leak, and no prompt_hash of prompts."


@app.command()
def work(
    context: typer.Context,
    source: Annotated[str, typer.Option(help="FILE, a folder, a quoted glob, -, or kafka://HOST:PORT,HOST:PORT/TOPIC")],
    store: StoreOption = None,
    registry_file: Annotated[Path | None, typer.Option("--registry", help="Registry events, JSON Lines.")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the end that the source has now.")] = False,
    topic: Annotated[str | None, typer.Option(help="Default: arena.votes.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve /metrics and /healthz on this port.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address for /metrics and /healthz.")] = "127.0.0.1",
    columns: ColumnsOption = "",
    outcomes: OutcomesOption = "",
    winner_is: WinnerIsOption = "",
    no_text_checks: Annotated[bool, typer.Option("--no-text-checks", help=_NO_TEXT_CHECKS)] = False,
    as_json: JsonOption = False,
) -> None:
    """Read votes from files or from Kafka, evaluate and store them. SIGTERM stops the worker cleanly."""
    options = settings.load()
    _expect_source(source, topic, options)  # before a store is made for it
    mapping = ColumnMapping.parse(columns, outcomes, winner_is)
    opened = open_store(store or options.store, worker=True)
    if registry_file is not None:
        registry_events.load_file(opened, registry_file)
    metrics = WorkerMetrics()
    # A copy of standard input lasts until the command ends.
    path = source if is_kafka_url(source) else context.with_resource(readable_path(Path(source)))
    texts = TextReading() if no_text_checks else _text_reading(opened, store or options.store)
    mapping = replace(mapping, id_key=options.log_id_key(opened.voter_key))
    origin, send = _source(str(path), topic, opened, options, mapping, texts)
    tune_gc()
    with progress_bar(as_json) as bar:
        task = bar.add_task("votes", total=None)
        worker = Worker(
            origin, opened, options, VOTER, f"{socket.gethostname()}:{os.getpid()}", metrics, send, decode_apart=True,
            progress=lambda tally: bar.update(task, completed=tally.read, description=_progress_line(tally)),
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        server = None
        if metrics_port is not None:
            server = serve(metrics.registry, metrics_port, host=metrics_host, health=worker.healthy)
        started = time.monotonic()
        try:
            with _registry_topic(source, opened, options, origin, worker.stop, until_end):
                tally = worker.run(until_end=until_end or isinstance(origin, FileSource))
        finally:
            origin.close()
            texts.close()
            if server:
                server.close()
    seconds = time.monotonic() - started
    with opened.write() as connection:
        dominant = voter_share.update_alert(connection, now())
        unchecked = unchecked_votes.count_unchecked(connection)
    opened.close()
    result, notes = _result(tally, seconds), [*_notes(tally, origin, unchecked), *texts.notes()]
    notes += [] if dominant is None else [voter_share.describe(dominant)]
    more = {"conflicting": tally.conflicting, "reasons": tally.reasons, "unchecked": unchecked, "notes": notes}
    emit_or_print(as_json, {**result, **more}, ", ".join(f"{name} {value:,}" for name, value in result.items()))
    for note in () if as_json else notes:
        err.print(note)


@app.command()
def monitor(
    store: StoreOption = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop when no window is left to close.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Also close the windows after the watermark.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Close the five-minute windows of all partitions in order, and run the window detectors on each window."""
    opened = open_store(store_url(store), create=False)
    running = Monitor(opened, settings.load(), f"{socket.gethostname()}:{os.getpid()}", WINDOW)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    closed = running.run(until_end=until_end or close, close=close)
    waits = running.explain_waiting()
    opened.close()
    told = f"closed {closed:,} windows" + (f"; {waits}" if waits else "")
    emit_or_print(as_json, {"windows_closed": closed, "waits": waits}, told)


def _expect_source(given: str, topic: str | None, options: Settings) -> None:
    """Check the address of the source as far as that is possible without a connection.

    Raises:
        Usage: the address is not a known kind of URL, or the security settings contradict each other.
    """
    if is_kafka_url(given):
        chosen_topic(topic, parse_kafka_url(given)[1], options)
        client_security(options)
    elif "://" in given:
        raise Usage(f"expected FILE or {EXPECTED}, got a URL of {given.partition('://')[0]!r}")
    elif topic:
        raise Usage(f"expected a source on Kafka with --topic {topic}, got the file {given}")


def _source(
    given: str, topic: str | None, store: Store, options: Settings, mapping: ColumnMapping, texts: TextReading
) -> tuple[Source, Send | None]:
    if not is_kafka_url(given):
        return FileSource(Path(given), mapping, texts), None
    bootstrap, topic_in_url = parse_kafka_url(given)
    # One consumer group for each store: two stores that read the same topic must each see all of it.
    group = options.group or f"integrity-{store.store_id}"
    name, security = chosen_topic(topic, topic_in_url, options), client_security(options)
    source = KafkaSource(
        bootstrap,
        name,
        group,
        security=security,
        session_seconds=options.session_seconds,
        poll_seconds=options.poll_seconds,
    )
    for sentence in missing_topics(bootstrap, options, security):
        err.print(f"{sentence}; `integrity publish --to` creates the topics", soft_wrap=True)
    return source, KafkaSender(bootstrap, security)


def _text_reading(store: Store, url: str) -> TextReading:
    """Return the text checks of `integrity publish`, with the same folder and key.

    So a vote in a file gets the same fields, whether `integrity work` reads the file or `integrity publish` sends it.
    """

    def open_reading() -> TextReading:
        from pipeline.stream.text_checks import open_text_reading  # noqa: PLC0415  # imports scipy: a second

        return open_text_reading(publish_folder(url), store.voter_key)

    return delayed_text_reading(open_reading)


def _registry_topic(
    given: str, store: Store, options: Settings, votes: Source, halt: Callable[[], None], until_end: bool
) -> AbstractContextManager[None]:
    """Return a context in which the topics of registry events and issued battles are read in the background.

    If votes come from a file, the context does nothing, because the option `--registry` names the registry events.
    """
    if isinstance(votes, FileSource):
        return nullcontext()
    bootstrap, _ = parse_kafka_url(given)
    connect = partial(RegistryTopic, bootstrap, options.topic_registry, client_security(options))
    verifier = verifier_of(f"kafka:{options.topic_registry}", options.publishers)
    reader = RegistryReader(
        connect, store, votes_source=votes.name, rejected_topic=options.topic_rejected, verifier=verifier
    )
    shown = partial(RegistryTopic, bootstrap, options.topic_battles, client_security(options))
    battles = BattleReader(
        shown,
        store,
        votes_source=votes.name,
        rejected_topic=options.topic_rejected,
        verifier=verifier_of(f"kafka:{options.topic_battles}", options.publishers),
    )
    return _both(*(keep_registry_current(one, until_end=until_end, halt=halt) for one in (reader, battles)))


@contextmanager
def _both(first: AbstractContextManager[None], second: AbstractContextManager[None]) -> Iterator[None]:
    with first, second:
        yield


def _result(tally: IngestTally, seconds: float) -> dict[str, Any]:
    names = ("read", "accepted", "duplicate", "late", "quarantined", "rejected", "alerts")
    counts = {name: getattr(tally, name) for name in names}
    return {**counts, "votes_per_second": round(tally.read / seconds, 1) if seconds > 0 else 0.0}


def _notes(tally: IngestTally, origin: Source, unchecked: int) -> list[str]:
    """Return sentences for a person about this run, and about votes of the store that no detector checked."""
    about_file = []
    if isinstance(origin, FileSource):
        name = origin.path.name
        about_file = [*origin.notes, *changed_notes(name, origin.changed), *waiting_notes(name, [origin.waits])]
    return [
        *repeat_notes(tally.conflicting, tally.conflicting),
        *about_file,
        *reject_notes(tally.reasons, tally.first),
        *late_notes(tally.late, tally.accepted + tally.late),
        *unchecked_notes(unchecked),
    ]


def _progress_line(tally: IngestTally) -> str:
    return f"votes: {tally.accepted:,} accepted, {tally.rejected:,} rejected, {tally.alerts:,} alerts"
