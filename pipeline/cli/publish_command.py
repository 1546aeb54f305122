"""publish: battle files to Kafka."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from pipeline import settings
from pipeline.cli.app import JsonOption, app, emit_or_print, err, out
from pipeline.cli.ingest_notes import waiting_notes
from pipeline.cli.stream_options import ColumnsOption, OutcomesOption, chosen_topic, progress_bar
from pipeline.errors import BrokerRefused, Usage
from pipeline.events.pseudonym import pseudonym
from pipeline.events.record_signature import parse_signer
from pipeline.formats import ColumnMapping
from pipeline.open_store import voter_key
from pipeline.stream.decoding import PseudonymCache
from pipeline.stream.kafka_publisher import create_topics
from pipeline.stream.kafka_publisher import publish as publish_file
from pipeline.stream.record_preparation import RecordPreparer
from pipeline.stream.source.kafka_security import client_security
from pipeline.stream.source.kafka_url import parse_kafka_url

_STORE = "The store whose voter key makes the pseudonyms; default: INTEGRITY_STORE. INTEGRITY_VOTER_KEY goes before."
_SHOW_KEY = "Print the entry of INTEGRITY_PUBLISH_KEY for the workers' INTEGRITY_PUBLISHERS, and publish nothing."


# Long because each option of a command is a parameter.
@app.command()
def publish(
    to: Annotated[str, typer.Option("--to", help="kafka://HOST:PORT,HOST:PORT/TOPIC")] = "",
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Battle files: .json, .jsonl, .csv, .parquet. Without a file only topics are created."),
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Default: arena.votes.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of the votes topic, if it is created.")] = None,
    columns: ColumnsOption = "",
    outcomes: OutcomesOption = "",
    store: Annotated[str | None, typer.Option(help=_STORE)] = None,
    raw_ids: Annotated[bool, typer.Option("--raw-ids", help="Send voter ids as they are.")] = False,
    show_key: Annotated[bool, typer.Option("--show-key", help=_SHOW_KEY)] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish battle files to Kafka, with pseudonyms in place of voter ids. The broker confirms every delivery.

    With INTEGRITY_PUBLISH_KEY every record is signed.
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
    mapping = ColumnMapping.parse(columns, outcomes)
    files = files or []
    for path in files:
        if not path.is_file():
            raise Usage(f"expected a file, got {path}")
    problems = create_topics(bootstrap, options, name, partitions or options.partitions, security)
    _tell(problems, bootstrap, files)
    total = {"votes": 0, "registry": 0}
    key = b"" if raw_ids or not files else voter_key(store or options.store)
    pseudonyms = PseudonymCache(partial(pseudonym, key), options.proxy_networks) if key else None
    preparer = RecordPreparer(name, options.topic_registry, pseudonyms, key, signer)
    notes: list[str] = []
    with progress_bar(as_json) as bar:
        for path in files:
            waiting: list[str] = []
            task = bar.add_task(path.name, total=None)
            done = partial(_completed, bar, task)
            sent = publish_file(path, bootstrap, name, options, mapping, done, preparer, security, waiting.append)
            bar.update(task, completed=sum(sent.values()), total=sum(sent.values()))
            total = {kind: total[kind] + count for kind, count in sent.items()}
            notes += waiting_notes(path.name, waiting)
    result = {
        "voter_ids": "raw" if raw_ids else "pseudonyms",
        "signed": signer is not None,
        "topic": name,
        "published": total["votes"],
        "registry": total["registry"],
        "files": len(files),
        "notes": notes,
    }
    text = f"published {total['votes']:,} votes to {name}"
    if total["registry"]:
        text += f" and {total['registry']:,} registry events to {options.topic_registry}"
    if raw_ids and files:
        text += "; with raw voter ids, which stay on the topic as long as it keeps its records"
    emit_or_print(as_json, result, text)
    err.lines([] if as_json else notes)


def _tell(problems: list[str], bootstrap: str, files: list[Path]) -> None:
    """Print the problems of topics; raise an error if the command was only asked to create topics."""
    if problems and not files:
        raise BrokerRefused(f"{bootstrap}: {'; '.join(problems)}")
    err.lines(problems)


def _completed(bar: Progress, task: TaskID, count: int) -> None:
    bar.update(task, completed=count)
