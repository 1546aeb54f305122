"""bench: measurements as ratios within one run, because a machine's speed drifts twofold.

`bench stream` starts a real Kafka and a real PostgreSQL of its own, publishes one stream, and reads it
three times: the bare client loop (poll and decode), the worker into SQLite, the worker into PostgreSQL.
A rate counts from the end of the first batch to the end of the last: joining a group is not work.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.cli.app import JsonOption, app, emit, err, out
from pipeline.detectors import VOTER
from pipeline.events import decode_votes
from pipeline.local import KafkaServer, PostgresServer
from pipeline.settings import Settings
from pipeline.simulate import Honest, plant
from pipeline.store import Store
from pipeline.stream.commit import Tally
from pipeline.stream.publisher import create_topics, publish
from pipeline.stream.source import FileSource, KafkaSource
from pipeline.stream.worker import Worker

bench = typer.Typer(help="Measure, as ratios within one run.", no_args_is_help=True)
app.add_typer(bench, name="bench")

_TOPIC = "bench.votes"
# Of the stream, read and rated before the clock starts: voters are judged against a snapshot.
_BEFORE = 0.1


class _Clock:
    """A rate from the end of the first batch to the end of the last."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def mark(self, votes: int) -> None:
        self._marks.append((time.perf_counter(), votes))

    @property
    def rate(self) -> float:
        (start, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - start) if end > start else float("nan")


@bench.command()
def stream(
    votes: Annotated[int, typer.Option(help="Votes of the stream.")] = 200_000,
    voters: Annotated[int | None, typer.Option(help="Voters; default: as on the real board.")] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of the topic.")] = 4,
    batch: Annotated[int, typer.Option(help="Most votes of one transaction.")] = 5_000,
    as_json: JsonOption = False,
) -> None:
    """Votes per second of the bare client loop, and of the worker into SQLite and PostgreSQL."""
    options = Settings(batch_votes=batch, voter_key="00" * 32)
    with tempfile.TemporaryDirectory(prefix="integrity-bench-") as name, _servers(Path(name)) as (kafka, postgres):
        folder = Path(name)
        err.print(f"making {votes:,} votes …")
        made = plant(Honest(votes=votes, voters=voters, seed=1))
        cut = int(len(made) * _BEFORE)
        made.take(slice(0, cut)).write_jsonl(folder / "before.jsonl")
        made.take(slice(cut, None)).write_jsonl(folder / "votes.jsonl")
        create_topics(kafka.bootstrap, options, _TOPIC, partitions)
        started = time.perf_counter()
        sent = publish(folder / "votes.jsonl", kafka.bootstrap, _TOPIC, options)["votes"]
        result: dict[str, Any] = {
            "votes": sent,
            "voters": len(set(made.voter.tolist())),
            "publish": sent / (time.perf_counter() - started),
            "bare_loop": _bare(kafka, sent, batch),
        }
        del made
        for kind, url in (("sqlite", f"{folder}/bench.db"), ("postgresql", postgres.create_database("bench"))):
            err.print(f"worker into {kind} …")
            result[kind] = _worked(kafka, url, folder / "before.jsonl", options)
            result[f"{kind}_ratio"] = result[kind] / result["bare_loop"]
        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if as_json:
        emit({k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()})
        return
    for key, what in (("publish", "publish"), ("bare_loop", "bare client loop (poll + decode)"),
                      ("sqlite", "worker into SQLite"), ("postgresql", "worker into PostgreSQL")):  # fmt: skip
        ratio = f"{result[f'{key}_ratio']:.2f} of the bare loop" if f"{key}_ratio" in result else ""
        out.print(f"{what:36} {result[key]:>10,.0f} votes/s  {ratio}", highlight=False)
    out.print(f"{sent:,} votes, {result['voters']:,} voters, peak memory {result['peak_mb']:,.0f} MB", highlight=False)


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[KafkaServer, PostgresServer]]:
    with KafkaServer(folder / "kafka") as kafka, PostgresServer(folder / "postgres") as postgres:
        yield kafka, postgres


def _source(kafka: KafkaServer) -> KafkaSource:
    return KafkaSource(kafka.bootstrap, _TOPIC, f"bench-{uuid4().hex}")


def _bare(kafka: KafkaServer, votes: int, batch: int) -> float:
    """What the client alone can do: every record polled and decoded, nothing kept."""
    source, clock, seen = _source(kafka), _Clock(), 0
    generation = -1
    while seen < votes:
        if source.generation() != generation:
            generation = source.generation()
            source.seek(dict.fromkeys(source.partitions(), 0))
        for chunk in source.poll(batch, 0.25):
            decoded, _, _ = decode_votes(chunk.values)
            seen += len(decoded)
            clock.mark(seen)
    source.close()
    return clock.rate


def _worked(kafka: KafkaServer, url: str, before: Path, options: Settings) -> float:
    """The worker with every detector on, over a store that has a snapshot."""
    store = Store.open(url, voter_key=options.key, worker=True)
    Worker(FileSource(before), store, options, VOTER, "bench").run(until_end=True)
    _refresh(url, options)
    source, clock = _source(kafka), _Clock()

    def mark(tally: Tally) -> None:
        clock.mark(tally.read)

    Worker(source, store, options, VOTER, "bench", progress=mark).run(until_end=True)
    source.close()
    store.close()
    return clock.rate


def _refresh(url: str, options: Settings) -> None:
    """A refresh under the benchmark's own key, whatever the environment says."""
    with configuration.override(options):
        jobs.refresh(url)
