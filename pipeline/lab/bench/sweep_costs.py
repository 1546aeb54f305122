"""Measures the time and memory of a sweep, compared with reading the same votes once and fitting them once.

The store is synthetic: 300 models of 40 providers, and 2 million votes in sixty days, with as many voters per vote as a
real board. The store has a sampling policy, private variants, releases and claims. Half of the votes have style counts.
The votes are sealed, rated and published as usual, but without the keys for deduplication. Two kinds of runs alternate,
each in its own process:

    read    reads all sealed votes, counts them by pair, and fits a board with intervals
    sweep   runs all audits, evaluates the policy, and opens alerts

Targets: a sweep's peak memory is below 2 GB, and it takes at most three times as long as a read.
"""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sqlalchemy as sa

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.errors import BadCounts
from pipeline.jobs.audits.audit_input import read_audit_input
from pipeline.jobs.audits.board_audits import AUDITS
from pipeline.lab.bench.peers.timed_task import peak_mb
from pipeline.lab.bench.stream_throughput import in_fresh_process
from pipeline.lab.simulate import voter_population
from pipeline.open_store import open_store
from pipeline.ratings import PairCounts, compute_leaderboard
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.boards import audit_queries
from pipeline.store.db import schema
from pipeline.store.db.dialect import load
from pipeline.store.votes import partitions, registry_events
from pipeline.store.votes.dictionary import NameDictionary, model_names
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import DAY, to_microseconds

MOST_MB, MOST_TIMES = 2_048.0, 3.0
DAYS = 60
START = datetime(2026, 1, 1, tzinfo=UTC)
_CHUNK = 100_000
_VOTES_A_VOTER = 4.05
_TIES = 0.345
_SPREAD = 0.75


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """The time and memory of one run.

    Attributes:
        seconds: wall time, in seconds.
        cpu: CPU time, in seconds.
        peak_mb: peak memory of the process, in MB.
    """

    seconds: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class SweepCosts:
    """The costs of several sweeps and reads of one store.

    Attributes:
        votes: number of votes in the store.
        models: number of models in the store.
        providers: number of providers in the store.
        read: the cost of each read.
        sweep: the cost of each sweep.
        parts: name of a part of a sweep → its time in seconds, longest first.
    """

    votes: int
    models: int
    providers: int
    read: tuple[ProcessCost, ...]
    sweep: tuple[ProcessCost, ...]
    parts: dict[str, float]

    @property
    def ratio(self) -> float:
        """The median time of a sweep divided by the median time of a read."""
        return median(one.seconds for one in self.sweep) / median(one.seconds for one in self.read)

    @property
    def ratio_cpu(self) -> float:
        """The median CPU time of a sweep divided by the median CPU time of a read."""
        return median(one.cpu for one in self.sweep) / median(one.cpu for one in self.read)

    @property
    def memory_mb(self) -> float:
        """The largest peak memory of a sweep, in MB."""
        return max(one.peak_mb for one in self.sweep)

    @property
    def passed(self) -> bool:
        """Whether the targets for time and memory are met."""
        return self.ratio <= MOST_TIMES and self.memory_mb < MOST_MB


def measure(url: str, options: Settings, votes: int, models: int, providers: int, repeats: int = 2) -> SweepCosts:
    """Create a store, and measure reads and sweeps of it in turns.

    Args:
        url: address of the new store.
        options: the settings, which must have a voter key.
        votes: number of votes.
        models: number of models.
        providers: number of providers.
        repeats: number of reads, and number of sweeps.

    Returns:
        Time and memory of all reads and sweeps.
    """
    in_fresh_process(make_store, url, options, votes, models, providers)
    read: list[ProcessCost] = []
    swept: list[ProcessCost] = []
    for _ in range(repeats):
        read.append(in_fresh_process(timed_run, url, options, False))
        swept.append(in_fresh_process(timed_run, url, options, True))
    parts = in_fresh_process(time_audits, url, options)
    return SweepCosts(votes, models, providers, tuple(read), tuple(swept), parts)


def timed_run(url: str, options: Settings, whole: bool) -> ProcessCost:
    """Run a sweep in this process, or only read and rate the votes if `whole` is false. Return the cost."""
    begun, busy = time.perf_counter(), time.process_time()
    with configuration.override(options):
        if whole:
            jobs.sweep(url)
        else:
            _read(url, options)
    return ProcessCost(time.perf_counter() - begun, time.process_time() - busy, peak_mb())


def _read(url: str, options: Settings) -> None:
    store = open_store(url, voter_key=options.key, create=False)
    with store.read() as connection:
        columns, known = audit_queries.read_vote_columns(connection), model_names(connection)
    numbers = sorted(known)
    place = np.zeros(numbers[-1] + 1, dtype=np.int64)
    place[numbers] = np.arange(len(numbers))
    names = tuple(known[number] for number in numbers)
    counts = PairCounts.from_codes(names, place[columns.model_a], place[columns.model_b], columns.outcome)
    compute_leaderboard(counts, least_share=0.0)
    store.close()


def time_audits(url: str, options: Settings) -> dict[str, float]:
    """Return name of an audit, or "read_audit_input" for reading their input → time in seconds, longest first.

    An audit that raises BadCounts is timed until it raises the error.
    """
    found: dict[str, float] = {}
    store = open_store(url, voter_key=options.key, create=False)
    begun = time.perf_counter()
    with configuration.override(options), store.read() as connection:
        given = read_audit_input(connection)
        found["read_audit_input"] = time.perf_counter() - begun
        for name, audit in AUDITS.items():
            begun = time.perf_counter()
            with suppress(BadCounts):  # votes of one day have no change of the first rank
                audit(given)
            found[name] = time.perf_counter() - begun
    store.close()
    return dict(sorted(found.items(), key=lambda part: -part[1]))


def make_store(url: str, options: Settings, votes: int, models: int, providers: int, seed: int = 1) -> None:
    """Create a store with a registry and votes, seal and rate the votes, and publish a snapshot.

    Args:
        url: address of the new store.
        options: the settings.
        votes: number of votes.
        models: number of models.
        providers: number of providers.
        seed: seed of the simulation.
    """
    rng = np.random.default_rng(seed)
    names = [f"model-{i:03}" for i in range(models)]
    weights = np.exp(rng.normal(0, 0.8, models))
    folder = Path(url.removeprefix("sqlite:///")).parent if "://" not in url else Path.cwd()
    events = folder / "registry.jsonl"
    events.write_text("".join(json.dumps(one) + "\n" for one in _events(rng, names, weights, providers)))
    store = open_store(url, voter_key=options.key, worker=True)
    registry_events.load_file(store, events)
    _fill(store, rng, names, weights, votes)
    store.close()
    with configuration.override(options):
        jobs.publish(url, jobs.rate(url, jobs.seal(url)))


def _events(rng: np.random.Generator, names: list[str], weights: Float64, providers: int) -> list[Any]:
    """Return the events of a registry with a sampling policy, private and released models, and benchmark claims."""
    numbered = iter(range(10**6))

    def event(day: float, kind: str, **more: Any) -> dict[str, Any]:
        at = (START + timedelta(days=day)).isoformat()
        return {"schema": 1, "event_id": f"e{next(numbered)}", "at": at, "type": kind, **more}

    found = []
    for i, name in enumerate(names):
        visibility = "private" if i % 10 == 0 else "public"
        license_name = ("open", "proprietary")[i % 3 == 0]
        found.append(
            event(-2, "model.submitted", model=name, provider=f"provider {i % providers}", visibility=visibility,
                  license=license_name, family=f"family {i // 5}")
        )  # fmt: skip
        if i % 10 == 0:
            found.append(event(20, "model.released", model=name, variants_tested=3, **{"as": names[i + 1]}))
        if i % 5 == 0:
            score = round(float(rng.uniform(40, 90)), 1)
            found.append(event(10, "benchmark.claim", model=name, benchmark="b", score=score, source="release notes"))
            found.append(
                event(11, "benchmark.result", model=name, benchmark="b", score=score - 1, n=1000, evaluator="a lab")
            )
    found.append(event(-1, "sampling.policy", weights=dict(zip(names, weights.tolist(), strict=True))))
    return found


def _fill(store: Store, rng: np.random.Generator, names: list[str], weights: Float64, votes: int) -> None:
    """Insert simulated votes into one partition, in the order of time. Models are drawn by `weights`."""
    known = NameDictionary(store)
    model_no = known.numbers("model", names)
    terms = {kind: known.numbers(kind, [f"{kind} {i}" for i in range(5)]) for kind in ("category", "language")}
    theta = rng.normal(0, _SPREAD, len(names))
    first, second = _pairs(rng, weights, votes)
    outcome = _outcomes(rng, theta[first] - theta[second])
    begun = to_microseconds(START)
    columns = {
        "voter": rng.permutation(np.repeat(*_voters(rng, votes))),
        "cast_at": begun + np.sort(rng.integers(0, DAYS * DAY, votes)),
        "model_a": model_no[first],
        "model_b": model_no[second],
        "outcome": outcome,
        "category": terms["category"][rng.integers(0, 5, votes)],
        "language": terms["language"][rng.integers(0, 5, votes)],
        "prompt": voter_population.draw_prompts(rng, votes) + 1,
    }
    with store.write() as connection:
        source = partitions.register_source(connection, "bench")
        part = partitions.claim(connection, source, 0, 0, "bench", 0).partition_no
        for start in range(0, votes, _CHUNK):
            rows = slice(start, min(start + _CHUNK, votes))
            load(connection, schema.vote, _rows(rng, {k: v[rows] for k, v in columns.items()}, part, start))
        p = schema.partition.c
        moved = {"next_offset": votes, "event_time": int(columns["cast_at"][-1])}
        connection.execute(sa.update(schema.partition).where(p.partition_no == part).values(**moved))


def _voters(rng: np.random.Generator, votes: int) -> tuple[Int64, Int64]:
    voters = max(2, int(votes / _VOTES_A_VOTER))
    return np.arange(1, voters + 1), voter_population.draw_votes_per_voter(rng, votes, voters)


def _pairs(rng: np.random.Generator, weights: Float64, votes: int) -> tuple[Int64, Int64]:
    """Draw the positions of two different models for each vote, with probabilities proportional to `weights`."""
    edges = np.cumsum(weights / weights.sum())
    first = np.minimum(np.searchsorted(edges, rng.random(votes)), len(weights) - 1)
    second = first.copy()
    while len(same := np.flatnonzero(first == second)):
        second[same] = np.minimum(np.searchsorted(edges, rng.random(len(same))), len(weights) - 1)
    return first, second


def _outcomes(rng: np.random.Generator, gap: Float64) -> Int64:
    won = rng.random(len(gap)) < 1 / (1 + np.exp(-gap))
    tied = rng.random(len(gap)) < _TIES
    return np.where(tied, np.where(rng.random(len(gap)) < 0.5, 2, 3), np.where(won, 0, 1))


def _rows(rng: np.random.Generator, some: dict[str, Any], part: int, start: int) -> dict[str, Any]:
    n = len(some["cast_at"])
    style = rng.integers(0, 500, (n, 10)).astype("<i4")
    styled = rng.random(n) < 0.5
    none = np.zeros(n, dtype=np.int64)
    return {
        "partition_no": np.full(n, part),
        "offset": np.arange(start, start + n),
        "vote_id": [f"v{i}" for i in range(start, start + n)],
        **some,
        "appended_at": some["cast_at"],
        "fate": none,
        "network": none,
        "voter_since": np.ma.array(none, mask=True),
        "style": [row.tobytes() if there else None for row, there in zip(style, styled.tolist(), strict=True)],
    }
