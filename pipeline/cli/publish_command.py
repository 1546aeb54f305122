"""Runs the command publish, which sends battle files and growing logs to Kafka."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from pipeline import settings
from pipeline.cli.app import JsonOption, app, emit_or_print, err, out
from pipeline.cli.follow_logs import FollowPlan, follow_logs, require_follow, state_folder
from pipeline.cli.ingest_notes import sent_notes, waiting_notes
from pipeline.cli.stream_options import ColumnsOption, OutcomesOption, WinnerIsOption, chosen_topic, progress_bar
from pipeline.errors import BrokerRefused, Usage
from pipeline.events.pseudonym import pseudonym
from pipeline.events.record_signature import parse_signer
from pipeline.formats import ColumnMapping
from pipeline.formats.battle_file import open_battles
from pipeline.formats.containers import STANDARD_INPUT, exists, readable_path
from pipeline.formats.format_notes import format_notes, time_notes
from pipeline.formats.left_out import LeftOut
from pipeline.formats.record_text import TEXT_COLUMNS
from pipeline.formats.row_estimate import estimate_rows
from pipeline.open_store import voter_key
from pipeline.stream.decoding import PseudonymCache
from pipeline.stream.follow.log_files import DEFAULT_PATTERN, LogFiles
from pipeline.stream.follow.log_follower import FollowPace
from pipeline.stream.kafka_publisher import RecordProducer, create_topics
from pipeline.stream.kafka_publisher import publish as publish_file
from pipeline.stream.record_preparation import RecordPreparer
from pipeline.stream.source.kafka_security import client_security
from pipeline.stream.source.kafka_url import parse_kafka_url
from pipeline.stream.text_reading import TextReading

_STORE = "The store whose voter key makes the pseudonyms; default: INTEGRITY_STORE. INTEGRITY_VOTER_KEY goes before."
_REGISTRY = "Registry events, JSON Lines: answers that tell their names leak an identity too."
_SKIP_BAD = (
    "Do not send records that are no votes, and say how many and why; default: the worker counts them as rejected."
)
_NO_TEXT_CHECKS = "Leave conversations unread: no identity_leak, and no prompt_hash of prompts."
_FOLLOW = "Follow a log of JSON Lines, or a folder of logs, as they grow and rotate; SIGTERM ends it cleanly."
_PATTERN = f"With --follow FOLDER: the names of its logs. Default: {DEFAULT_PATTERN}"
_UNTIL_END = "With --follow: stop when everything is sent that is there now."
_HEARTBEAT = "With --follow: seconds between two lines that say how far it is; 0 for none."
_STATE = "Folder of what is remembered between runs. Default: INTEGRITY_PUBLISH_STATE, else <store>.publish/."
_SHOW_KEY = "Print the entry of INTEGRITY_PUBLISH_KEY for the workers' INTEGRITY_PUBLISHERS, and publish nothing."


# Long because each option of a command is a parameter.
@app.command()
def publish(
    to: Annotated[str, typer.Option("--to", help="kafka://HOST:PORT,HOST:PORT/TOPIC")] = "",
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Battle files, folders or quoted globs of them, or -. Without a file only topics are created."
        ),
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Default: arena.votes.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of the votes topic, if it is created.")] = None,
    columns: ColumnsOption = "",
    outcomes: OutcomesOption = "",
    winner_is: WinnerIsOption = "",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help=_SKIP_BAD)] = False,
    store: Annotated[str | None, typer.Option(help=_STORE)] = None,
    raw_ids: Annotated[bool, typer.Option("--raw-ids", help="Send voter ids as they are.")] = False,
    show_key: Annotated[bool, typer.Option("--show-key", help=_SHOW_KEY)] = False,
    registry_file: Annotated[Path | None, typer.Option("--registry", help=_REGISTRY)] = None,
    no_text_checks: Annotated[bool, typer.Option("--no-text-checks", help=_NO_TEXT_CHECKS)] = False,
    follow: Annotated[Path | None, typer.Option("--follow", help=_FOLLOW)] = None,
    pattern: Annotated[str, typer.Option("--pattern", help=_PATTERN)] = "",
    until_end: Annotated[bool, typer.Option("--until-end", help=_UNTIL_END)] = False,
    poll: Annotated[float, typer.Option("--poll", min=0.01, help="With --follow: seconds between two polls.")] = 1.0,
    heartbeat: Annotated[float, typer.Option("--heartbeat", min=0, help=_HEARTBEAT)] = 60.0,
    state: Annotated[str, typer.Option("--state", help=_STATE)] = "",
    metrics_port: Annotated[int | None, typer.Option(help="With --follow: serve /metrics and /healthz there.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address for /metrics and /healthz.")] = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """Publish battle files to Kafka, or follow logs. Pseudonyms replace voter ids; every delivery is confirmed.

    Missing topics are created. With INTEGRITY_PUBLISH_KEY every record is signed.
    """
    options = settings.load()
    signer = parse_signer(options.publish_key)
    if show_key:
        if signer is None:
            raise Usage("--show-key: expected INTEGRITY_PUBLISH_KEY to be set, got none")
        emit_or_print(as_json, {"publisher": signer.verifier}, signer.verifier, out)
        return
    if not to:
        raise Usage("expected --to kafka://HOST:PORT, got none")
    bootstrap, topic_in_url = parse_kafka_url(to)
    name, security = chosen_topic(topic, topic_in_url, options), client_security(options)
    mapping = ColumnMapping.parse(columns, outcomes, winner_is)
    files = files or []
    require_follow(
        follow, files, {"--pattern": pattern, "--until-end": until_end, "--metrics-port": metrics_port is not None}
    )
    _require_readable(files, skip_bad=skip_bad, unchecked=raw_ids or follow is not None)
    logs, url = LogFiles.of(follow or Path(), pattern), store or options.store
    key = b"" if raw_ids or not (files or follow) else voter_key(url)
    mapping = replace(mapping, id_key=options.log_id_key(key))
    pseudonyms = PseudonymCache(partial(pseudonym, key), options.proxy_networks) if key else None
    preparer = RecordPreparer(name, options.topic_registry, pseudonyms, key, signer)
    pace = FollowPace(poll, heartbeat, options.progress_seconds)
    plan = FollowPlan(logs, state, url, pace, until_end, metrics_port, metrics_host)
    problems = create_topics(bootstrap, options, name, partitions or options.partitions, security)
    _tell(problems, bootstrap, only_topics=not (files or follow))
    reading = TextReading()
    if (files or follow) and not no_text_checks:
        from pipeline.stream.text_checks import open_text_reading  # noqa: PLC0415  # imports scipy: a second

        reading = open_text_reading(state_folder(state, url), key, registry_file)
    notes = list(reading.notes())
    try:
        if follow:
            connect = partial(RecordProducer, bootstrap, name, options, security)
            counts = follow_logs(plan, f"{bootstrap}/{name}", connect, preparer, mapping, reading)
        else:
            sender = partial(publish_file, bootstrap=bootstrap, topic=name, settings=options, mapping=mapping)
            sender = partial(sender, preparer=preparer, security=security, check=reading.check)
            text_columns: frozenset[str] = TEXT_COLUMNS if reading.check else frozenset()
            counts, more = _publish_files(files, mapping, text_columns, skip_bad, sender, as_json)
            notes += more
    finally:
        reading.close()
    texts, leaks = reading.count()
    if texts:
        notes.append(f"read {texts:,} battles with text, which was not sent: {leaks:,} with an identity leak")
    result = {
        "voter_ids": "raw" if raw_ids else "pseudonyms",
        "signed": signer is not None,
        "topic": name,
        **counts,
        "text_checks": {"battles": texts, "identity_leaks": leaks},
        "notes": notes,
    }
    raw = raw_ids and bool(files or follow)
    emit_or_print(as_json, result, _summary(counts, name, options.topic_registry, raw=raw))
    err.lines([] if as_json else notes)


def _summary(counts: dict[str, Any], topic: str, registry_topic: str, *, raw: bool) -> str:
    """Return the sentence that says what was published."""
    text = f"published {counts['published']:,} votes to {topic}"
    if counts["registry"]:
        text += f" and {counts['registry']:,} registry events to {registry_topic}"
    if raw:
        text += "; with raw voter ids, which stay on the topic as long as it keeps its records"
    return text


def _require_readable(files: list[Path], *, skip_bad: bool, unchecked: bool) -> None:
    for path in files:
        if path != STANDARD_INPUT and not exists(path):
            raise Usage(f"expected a file, a folder, a glob or -, got {path}")
    if skip_bad and unchecked:
        raise Usage("--skip-bad: expected it without --raw-ids and --follow, which send every record as it is")


def _publish_files(
    files: list[Path],
    mapping: ColumnMapping,
    text_columns: frozenset[str],
    skip_bad: bool,
    send: Callable[..., dict[str, int]],
    quiet: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Publish files; return the counts of the JSON document, and notes."""
    total = {"votes": 0, "registry": 0}
    notes: list[str] = []
    with progress_bar(quiet) as bar:
        for path in files:
            waiting: list[str] = []
            rejects = LeftOut(skip_bad)
            task = bar.add_task(path.name, total=None)
            with readable_path(path) as readable:
                file = open_battles(readable, mapping)
                notes += [*format_notes(file, text_columns), *time_notes(file)]
                bar.update(task, total=estimate_rows(file) or None)
                done = partial(_completed, bar, task)
                sent = send(readable, progress=done, waits=waiting.append, rejects=rejects)
            bar.update(task, completed=sum(sent.values()), total=sum(sent.values()))
            total = {kind: total[kind] + count for kind, count in sent.items()}
            notes += [*waiting_notes(path.name, waiting), *sent_notes(path.name, rejects)]
    return {"published": total["votes"], "registry": total["registry"], "files": len(files)}, notes


def _tell(problems: list[str], bootstrap: str, *, only_topics: bool) -> None:
    """Print the problems of topics; raise an error if the command was only asked to create topics."""
    if problems and only_topics:
        raise BrokerRefused(f"{bootstrap}: {'; '.join(problems)}")
    err.lines(problems)


def _completed(bar: Progress, task: TaskID, count: int) -> None:
    bar.update(task, completed=count)
