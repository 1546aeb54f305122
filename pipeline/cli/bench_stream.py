"""Runs the command bench stream: measures the throughput of the worker.

Results are ratios within one run, because absolute times differ between machines. The command starts its own Kafka and
PostgreSQL, and publishes one stream of votes. Three comparisons are made:

- The worker, as `integrity work` runs it, is compared with a loop that only polls and decodes the same topic.
- The worker that reads a file and writes SQLite is compared with a plain `executemany` of the same rows.
- Two workers are compared with one.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import bench
from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.devstack.postgres import SIZED
from pipeline.lab.bench import stream_throughput
from pipeline.lab.bench.stream_throughput import TOPIC, Throughput, combine, in_fresh_process
from pipeline.lab.simulate import HonestSpec, simulate_stream
from pipeline.settings import Settings
from pipeline.stream.kafka_publisher import create_topics, publish

# Share of the stream that is read and rated before the measurement: voters are evaluated against a snapshot.
_BEFORE = 0.1
# Cores that two workers, the broker and the database need.
_CORES = 4
_BARS = {"postgresql": 0.4, "sqlite": 0.3, "two_workers": 1.6, "detectors": 0.5}


@dataclass(frozen=True, slots=True)
class _Environment:
    """The servers and the folder of one benchmark run."""

    folder: Path
    kafka: KafkaServer
    postgres: PostgresServer
    options: Settings
    partitions: int

    def database(self, name: str) -> str:
        """Return the URL of a new store that has read and rated the first part of the stream."""
        url = self.postgres.create_database(name)
        in_fresh_process(stream_throughput.load_and_rate, url, self.folder / "before.jsonl", self.options)
        return url


@bench.command()
def stream(
    votes: Annotated[int, typer.Option(help="Votes in the stream.")] = 2_000_000,
    voters: Annotated[int | None, typer.Option(help="Voters; default: votes / 4.05, as on the real board.")] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of the topic, an even number.")] = 4,
    batch: Annotated[int, typer.Option(help="Votes in one transaction, at most.")] = Settings().batch_votes,
    file_votes: Annotated[int, typer.Option(help="Votes in the file that is read into SQLite.")] = 500_000,
    only_postgresql: Annotated[
        bool, typer.Option("--only-postgresql", help="Measure only the bare loop and PostgreSQL.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure votes per second of a bare client loop and of the worker, into SQLite and PostgreSQL."""
    options = Settings(batch_votes=batch, voter_key="00" * 32)
    with tempfile.TemporaryDirectory(prefix="integrity-bench-") as name, _servers(Path(name)) as (kafka, postgres):
        environment = _Environment(Path(name), kafka, postgres, options, partitions)
        result: dict[str, Any] = {"cores": os.cpu_count()}
        sent, result["voters"], result["publish"] = _published(environment, votes, voters or int(votes / 4.05))
        result["votes"] = sent
        url = environment.database("bench_one")
        before = _bare(environment, sent)
        err.print("worker into PostgreSQL …")
        worked = in_fresh_process(stream_throughput.measure_kafka_worker, kafka.bootstrap, url, options)
        bare = combine(before, _bare(environment, sent))
        result["bare_loop"] = _figures(bare)
        result["postgresql"] = _figures(worked) | _ratio("postgresql", worked.rate, bare.rate, "the bare loop")
        if not only_postgresql:
            result["postgresql_no_detectors"] = _without_detectors(environment, result["postgresql"]["rate"])
            result["sqlite"] = _sqlite(environment, min(file_votes, sent))
            result["two_workers"] = _two_workers(environment, result["postgresql"]["rate"])
    emit(result) if as_json else _print(result)


def _published(environment: _Environment, votes: int, voters: int) -> tuple[int, int, float]:
    err.print(f"making {votes:,} votes of {voters:,} voters …")
    # The first part is added to the votes that are measured.
    made = simulate_stream(HonestSpec(votes=int(votes / (1 - _BEFORE)), voters=voters, seed=1))
    cut = len(made) - votes
    made.take(slice(0, cut)).write_jsonl(environment.folder / "before.jsonl")
    made.take(slice(cut, None)).write_jsonl(environment.folder / "votes.jsonl")
    create_topics(environment.kafka.bootstrap, environment.options, TOPIC, environment.partitions)
    err.print("publishing …")
    started = time.perf_counter()
    sent = publish(environment.folder / "votes.jsonl", environment.kafka.bootstrap, TOPIC, environment.options)["votes"]
    return sent, len(set(made.voter.tolist())), round(sent / (time.perf_counter() - started), 1)


def _bare(environment: _Environment, votes: int) -> Throughput:
    """Measure the bare client loop over half of the votes.

    The loop is measured before and after the worker, because the speed of the machine changes during the benchmark.
    """
    err.print("bare client loop …")
    measure, batch = stream_throughput.measure_bare_loop, environment.options.batch_votes
    return in_fresh_process(measure, environment.kafka.bootstrap, votes // 2, batch)


def _without_detectors(environment: _Environment, watched: float) -> dict[str, Any]:
    err.print("worker into PostgreSQL without detectors …")
    url, measure = environment.database("bench_bare"), stream_throughput.measure_kafka_worker
    done = in_fresh_process(measure, environment.kafka.bootstrap, url, environment.options, False)
    return _figures(done) | _ratio("detectors", watched, done.rate, "the worker without detectors")


def _sqlite(environment: _Environment, votes: int) -> dict[str, Any]:
    err.print("worker from a file into SQLite …")
    file, filled = environment.folder / "file.jsonl", f"{environment.folder}/bench.db"
    with (environment.folder / "votes.jsonl").open("rb") as lines, file.open("wb") as part:
        part.writelines(line for _, line in zip(range(votes), lines, strict=False))
    in_fresh_process(stream_throughput.load_and_rate, filled, environment.folder / "before.jsonl", environment.options)
    done = in_fresh_process(stream_throughput.measure_file_worker, file, filled, environment.options)
    measure, empty = stream_throughput.measure_executemany, f"{environment.folder}/bare.db"
    bare = in_fresh_process(measure, filled, empty, environment.options, votes)
    ratio = _ratio("sqlite", done.rate, bare.rate, "a bare executemany of the same rows")
    return {**_figures(done), "executemany": round(bare.rate, 1), **ratio}


def _two_workers(environment: _Environment, one: float) -> dict[str, Any]:
    err.print("two workers into PostgreSQL …")
    url = environment.database("bench_two")
    bootstrap, options = environment.kafka.bootstrap, environment.options
    rate = stream_throughput.measure_group(bootstrap, url, options, 2, environment.partitions)
    figures = {"rate": round(rate, 1)} | _ratio("two_workers", rate, one, "one worker")
    cores = os.cpu_count() or 1
    if cores < _CORES:
        figures |= {"met": None, "why": f"{cores} cores; two workers, a broker and a database need {_CORES}"}
    return figures


def _figures(done: Throughput) -> dict[str, Any]:
    figures = {k: v for k, v in asdict(done).items() if k in {"votes", "peak_mb", "memory_mb"}}
    figures["peak_mb"], figures["memory_mb"] = round(done.peak_mb), [round(mb) for mb in done.memory_mb]
    return {"rate": round(done.rate, 1), **figures}


def _ratio(name: str, rate: float, other: float, of: str) -> dict[str, Any]:
    ratio = rate / other
    return {"ratio": round(ratio, 3), "of": of, "bar": _BARS[name], "met": ratio >= _BARS[name]}


_WHAT = {
    "bare_loop": "bare client loop (poll + decode)",
    "postgresql": "worker into PostgreSQL",
    "postgresql_no_detectors": "  without detectors",
    "sqlite": "worker from a file into SQLite",
    "two_workers": "two workers into PostgreSQL",
}


def _print(result: dict[str, Any]) -> None:
    """Print a line for each measurement: rate, ratio, whether the target is met, memory."""
    out.print(
        f"{result['votes']:,} votes, {result['voters']:,} voters, {result['cores']} cores;"
        f" published at {result['publish']:,.0f}/s"
    )
    for name, what in _WHAT.items():
        if name not in result:
            continue
        one = result[name]
        line = f"{what:34} {one['rate']:>10,.0f} votes/s"
        if "ratio" in one:
            verdict = {True: "met", False: "NOT MET", None: f"not evaluated: {one.get('why')}"}[one["met"]]
            line += f"   {one['ratio']:.2f} of {one['of']} (bar {one['bar']}: {verdict})"
        out.print(line, soft_wrap=True)
        if one.get("memory_mb"):
            after = ", ".join(f"{mb:,}" for mb in one["memory_mb"])
            out.print(f"{'':34} memory {after} MB after 20, 60 and 100%; peak {one['peak_mb']:,} MB")


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[KafkaServer, PostgresServer]]:
    with KafkaServer(folder / "kafka") as kafka, PostgresServer(folder / "postgres", settings=SIZED) as postgres:
        yield kafka, postgres
