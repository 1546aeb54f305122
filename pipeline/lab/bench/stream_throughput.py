"""Measures the throughput of the worker in votes per second.

Each measurement runs in its own process. So the peak memory is that of this measurement, and memory that an earlier
measurement left behind does not slow it down. The measured time begins at the end of the first batch, so that joining a
consumer group is not included. The time ends after the last voter states are written.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, TypeVar
from uuid import uuid4

import sqlalchemy as sa

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.detectors import VOTER
from pipeline.errors import Unavailable
from pipeline.events import decode_votes
from pipeline.lab.bench.peers.timed_task import peak_mb
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.db import schema
from pipeline.stream.gc_tuning import tune_gc
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.source import FileSource, KafkaSource
from pipeline.stream.worker import Worker

Result = TypeVar("Result")

TOPIC = "bench.votes"
# Rows of one bare executemany.
_ROWS = 5_000
# Timeout of the workers of one group that wait for each other.
_JOIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """The result of one measurement of throughput.

    Attributes:
        votes: number of votes after the first batch.
        seconds: wall time from the end of the first batch to the end, in seconds.
        peak_mb: peak memory of the process, in MB.
        memory_mb: memory of the process after 20, 60 and 100% of the votes, in MB.
    """

    votes: int
    seconds: float
    peak_mb: float
    memory_mb: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """Votes per second after the first batch."""
        return self.votes / self.seconds if self.seconds > 0 else float("nan")


def combine(one: Throughput, other: Throughput) -> Throughput:
    """Combine two measurements of the same work into one.

    Returns:
        A measurement with the sums of votes and seconds, the larger peak memory, and `memory_mb` of `other`.
    """
    peak = max(one.peak_mb, other.peak_mb)
    return Throughput(one.votes + other.votes, one.seconds + other.seconds, peak, other.memory_mb)


@dataclass
class _ProgressLog:
    """Time, votes and memory (MB) at the end of each batch."""

    seen: list[tuple[float, int, float]] = field(default_factory=list)

    def add(self, votes: int) -> None:
        import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - in the extra `local`, which commands must not need

        self.seen.append((time.perf_counter(), votes, psutil.Process().memory_info().rss / 2**20))

    def throughput(self) -> Throughput:
        end, (start, first, _), votes = time.perf_counter(), self.seen[0], self.seen[-1][1]
        memory = [next(rss for _, n, rss in self.seen if n >= share * votes) for share in (0.2, 0.6, 1.0)]
        return Throughput(votes - first, end - start, peak_mb(), tuple(memory))


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function with these arguments in a new process, and return its result.

    An error of the function is raised here.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure_bare_loop(bootstrap: str, votes: int, batch: int) -> Throughput:
    """Measure the bare client loop, which polls and decodes all records and stores nothing.

    Args:
        bootstrap: HOST:PORT of the broker.
        votes: number of votes in the topic.
        batch: largest number of records in one poll.

    Returns:
        Votes per second and memory.
    """
    log, seen, generation = _ProgressLog(), 0, -1
    with closing(KafkaSource(bootstrap, TOPIC, f"bench-{uuid4().hex}")) as source:
        while seen < votes:
            if source.generation() != generation:
                generation = source.generation()
                source.seek(dict.fromkeys(source.assigned_partitions(), 0))
            for chunk in source.poll(batch, 0.25):
                decoded, _, _ = decode_votes(chunk.values)
                seen += len(decoded)
                log.add(seen)
        return log.throughput()


def load_and_rate(url: str, before: Path, options: Settings) -> None:
    """Read the votes of the file `before` into a store, and publish a snapshot by which later votes are evaluated."""
    with closing(open_store(url, voter_key=options.key, worker=True)) as store:
        Worker(FileSource(before), store, options, VOTER, "bench").run(until_end=True)
    with configuration.override(options):
        jobs.publish(url, jobs.rate(url, jobs.seal(url)))


def measure_kafka_worker(bootstrap: str, url: str, options: Settings, watched: bool = True) -> Throughput:
    """Measure the throughput of one worker that reads all votes from Kafka into the store `url`.

    Args:
        bootstrap: HOST:PORT of the broker.
        url: address of the store.
        options: the settings.
        watched: whether all voter detectors run; otherwise none runs.
    """
    with (
        closing(open_store(url, voter_key=options.key, worker=True)) as store,
        closing(KafkaSource(bootstrap, TOPIC, f"bench-{uuid4().hex}")) as source,
    ):
        return _run(source, store, options, watched)


def measure_file_worker(file: Path, url: str, options: Settings) -> Throughput:
    """Measure the throughput of one worker that reads a file into the store `url`. All voter detectors run."""
    with closing(open_store(url, voter_key=options.key, worker=True)) as store:
        return _run(FileSource(file), store, options, True)


def _run(source: FileSource | KafkaSource, store: Store, options: Settings, watched: bool) -> Throughput:
    log = _ProgressLog()
    tune_gc()  # as `integrity work` does
    detectors = VOTER if watched else ()

    def progress(tally: IngestTally) -> None:
        log.add(tally.read)

    Worker(source, store, options, detectors, "bench", progress=progress, decode_apart=True).run(until_end=True)
    return log.throughput()


def measure_group(bootstrap: str, url: str, options: Settings, workers: int, partitions: int) -> float:
    """Return the votes per second of all workers of a consumer group together. The workers share the partitions."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        joined, group = manager.Barrier(workers, timeout=_JOIN_SECONDS), f"bench-{uuid4().hex}"
        share = partitions // workers
        started = [pool.submit(_member, bootstrap, url, options, group, share, joined) for _ in range(workers)]
        spans = [each.result() for each in started]
    return sum(votes for _, _, votes in spans) / (max(e for _, e, _ in spans) - min(s for s, _, _ in spans))


def _member(
    bootstrap: str, url: str, options: Settings, group: str, share: int, joined: Any
) -> tuple[float, float, int]:
    """Run one worker of a consumer group until the topic ends.

    Args:
        bootstrap: HOST:PORT of the broker.
        url: address of the store.
        options: the settings.
        group: the consumer group.
        share: number of partitions that each worker of the group must get.
        joined: a barrier at which the worker waits until every worker has its partitions.

    Returns:
        When the worker began and ended (Unix seconds), and how many votes it read.
    """
    with (
        closing(open_store(url, voter_key=options.key, worker=True)) as store,
        closing(KafkaSource(bootstrap, TOPIC, group)) as source,
    ):
        deadline = time.monotonic() + _JOIN_SECONDS
        while len(source.assigned_partitions()) != share and time.monotonic() < deadline:
            source.poll(1, 0.1)  # without a seek it reads nothing
        try:
            joined.wait()
        except BrokenBarrierError as error:
            raise Unavailable(f"expected every worker to have {share} partitions, got another share") from error
        tune_gc()
        start = time.time()
        tally = Worker(source, store, options, VOTER, f"bench {os.getpid()}", decode_apart=True).run(until_end=True)
        return start, time.time(), tally.read


def measure_executemany(filled: str, url: str, options: Settings, votes: int) -> Throughput:
    """Measure the throughput of a plain `executemany`, which copies the rows of a filled store to an empty store.

    Args:
        filled: address of the filled store.
        url: address of the empty store.
        options: the settings.
        votes: number of votes in the filled store.

    Returns:
        Votes per second and memory.
    """
    seconds = 0.0
    with (
        closing(open_store(filled, voter_key=options.key)) as full,
        closing(open_store(url, voter_key=options.key, worker=True)) as empty,
    ):
        for rows in _stored(full, votes):
            started = time.perf_counter()
            with empty.write() as connection:
                for table, values in rows.items():
                    marks = ", ".join("?" * len(values[0]))
                    connection.exec_driver_sql(f'INSERT INTO "{table}" VALUES ({marks})', values)  # noqa: S608
            seconds += time.perf_counter() - started
    return Throughput(votes, seconds, peak_mb())


def _stored(store: Store, votes: int) -> Iterator[Mapping[str, list[tuple[Any, ...]]]]:
    """Yield table → rows for 5,000 votes of a store's last partition at a time.

    The tables are `vote` and `vote_key`; the rows of `vote_key` are sorted.
    """
    v = schema.vote.c
    with store.read() as connection:
        last = connection.scalar(sa.select(sa.func.max(v.partition_no)))
        for first in range(0, votes, _ROWS):
            span = (v.partition_no == last, v.offset >= first, v.offset < min(first + _ROWS, votes))
            rows = connection.execute(sa.select(schema.vote).where(*span).order_by(v.offset)).all()
            keys = sorted((sha256(r.vote_id.encode()).digest()[:16], r.partition_no, r.offset) for r in rows)
            yield {"vote": [tuple(row) for row in rows], "vote_key": keys}
