"""Measures the costs of the public ledger, as ratios to the times of the least necessary work in the same run.

    seal      time to seal all votes and to write the tiles (files with hashes of the log), divided by the time of one
              SHA-256 loop over the same leaves
    verify    time of `verify_bundle` (hashes, counts, ratings), divided by the time to read the bundle's Parquet files
              and to run the same loop
    refresh   time of a refresh after 10,000 more votes, divided by the time of a refresh of the first 10,000 votes on
              an empty log; both are medians of three. Two steps are not counted: the backfill, which only the first
              refresh of a store has, and the clustered intervals, whose times are stated separately
    proof     number of tiles that are read for the receipt of one vote

The store is synthetic: it has votes on 129 models in four partitions, and as many voters per vote as a real board. The
votes are inserted in the way a worker does, but without evidence. A vote has one to five of 30 categories, and one in
ten has a flag by which the method leaves it out. No vote has style counts: the view under style control is fitted to
all votes at every refresh, which would hide the other costs.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.ledger import bundle, leaf_encoding, segment
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.manifest import load as load_manifest
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.db import schema
from pipeline.store.db.dialect import load
from pipeline.store.read import log_proofs, snapshot_bundles
from pipeline.store.votes.dictionary import NameDictionary
from pipeline.vocabulary import vote_flags
from pipeline.vocabulary.time import SECOND

LEAST_SEAL, MOST_VERIFY, MOST_REFRESH = 0.15, 6.0, 1.5
NEW_VOTES = 10_000
CATEGORIES = 30
"""The number of categories of the synthetic votes. Each category has a board."""
PARTITIONS = 4
_MODELS = 129
_VOTES_A_VOTER = 4.05
_START = 1_767_225_600_000_000
_CHUNK = 100_000
_ROUNDS = 3
_LISTS = 1_000
_FLAGGED = 0.1


UNCOUNTED = ("backfill", "intervals")
"""Steps of a refresh (`step_times`) that the ratio leaves out."""


@dataclass(frozen=True, slots=True)
class LedgerCosts:
    """The times of the steps of one run in seconds, and the sizes of its proofs.

    Attributes:
        votes: number of votes in the log.
        seal: time to seal all votes.
        bare_hashing: time of SHA-256 over the leaves of the votes, one after another.
        reading: time to read the Parquet files of the leaves.
        verify: time to verify the bundle.
        first: times of three refreshes of the first 10,000 votes, without the steps in `UNCOUNTED`.
        later: times of three refreshes after 10,000 more votes each, without the steps in `UNCOUNTED`.
        uncounted: times of the steps in `UNCOUNTED`, in the refreshes of `later`.
        tiles_read: largest number of tiles read for a receipt, over the receipts of 100 votes.
        path: number of hashes in the longest proof of these receipts.
    """

    votes: int
    seal: float
    bare_hashing: float
    reading: float
    verify: float
    first: tuple[float, ...]
    later: tuple[float, ...]
    uncounted: tuple[float, ...]
    tiles_read: int
    path: int

    @property
    def ratios(self) -> dict[str, float]:
        """Name of a step (seal, verify or refresh) → its time divided by the time of the least necessary work."""
        return {
            "seal": self.bare_hashing / self.seal,
            "verify": self.verify / (self.reading + self.bare_hashing),
            "refresh": median(self.later) / median(self.first),
        }

    @property
    def most_tiles(self) -> int:
        """The target for `tiles_read`. A proof needs at most two tiles for every eight levels of the tree."""
        return 2 * -(-self.votes.bit_length() // 8)

    @property
    def passed(self) -> bool:
        """Whether the targets for the three ratios and for `tiles_read` are met."""
        ratios = self.ratios
        return (
            ratios["seal"] >= LEAST_SEAL
            and ratios["verify"] <= MOST_VERIFY
            and ratios["refresh"] <= MOST_REFRESH
            and self.tiles_read <= self.most_tiles
        )


def measure(make_url: Callable[[str], str], folder: Path, votes: int, report: Callable[[str], None]) -> LedgerCosts:
    """Create stores with simulated votes, and measure the costs of their ledgers.

    Args:
        make_url: takes the name of a new store, and returns its URL.
        folder: folder for the bundle.
        votes: number of votes in the large log.
        report: called with a line of text for each step.
    """
    options = Settings(voter_key="00" * 32, ledger_key="11" * 32, anchor="", ledger=str(folder / "ledger"))
    with configuration.override(options):
        report("small logs …")
        first = [_first_refresh(make_url(f"small_{number}"), number) for number in range(_ROUNDS + 1)][1:]
        url = make_url("large")
        report(f"inserting {votes:,} votes …")
        insert_votes(url, options, votes, seed=0)
        report("sealing …")
        seal = _timed(lambda: jobs.seal(url))
        jobs.refresh_board(url)
        store = open_store(url, voter_key=options.key, create=False)
        bundle.write_folder(folder / "bundle", snapshot_bundles.read_bundle(store))
        report("hashing, reading and verifying …")
        bare, reading = _floor(folder / "bundle")
        verified = _timed(lambda: verify_bundle(bundle.BundleFolder(folder / "bundle")))
        report("10,000 more votes …")
        later = [_later_refresh(url, options, number) for number in range(_ROUNDS)]
        tiles, path = _proofs(store)
        store.close()
    without, uncounted = zip(*later, strict=True)
    return LedgerCosts(
        votes, seal, bare, reading, verified, tuple(one[0] for one in first), without, uncounted, tiles, path
    )


def _timed(what: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def _first_refresh(url: str, seed: int) -> tuple[float, float]:
    """Insert votes into a new store, and return the two times of `_refresh_times` for its first refresh.

    The caller ignores the first result of a process, because it contains the time to import modules.
    """
    insert_votes(url, configuration.load(), NEW_VOTES, seed)
    return _refresh_times(url)


def _later_refresh(url: str, options: Settings, number: int) -> tuple[float, float]:
    insert_votes(url, options, NEW_VOTES, seed=100 + number)
    return _refresh_times(url)


def _refresh_times(url: str) -> tuple[float, float]:
    """Return the seconds of a refresh without the steps in UNCOUNTED, and the seconds of these steps."""
    begun = time.perf_counter()
    steps = jobs.refresh_board(url)["seconds"]
    uncounted = sum(steps.get(name, 0.0) for name in UNCOUNTED)
    return time.perf_counter() - begun - uncounted, uncounted


def _floor(folder: Path) -> tuple[float, float]:
    """Return the seconds to hash every leaf of a bundle, and the seconds to read its Parquet files.

    No audit can be faster than both together.
    """
    manifest = load_manifest((folder / bundle.MANIFEST).read_bytes())
    hashing = reading = 0.0
    for one in manifest.segments:
        reading += _timed(lambda path=folder / one.path: pq.read_table(path, use_threads=False))  # type: ignore[misc]
        rows, _ = segment.read((folder / one.path).read_bytes(), one.path)
        leaves = [b"\0" + entry for entry in leaf_encoding.entries(rows)]
        hashing += _timed(lambda leaves=leaves: [sha256(one).digest() for one in leaves])  # type: ignore[misc]
    return hashing, reading


def _proofs(store: Store) -> tuple[int, int]:
    """Return the largest number of tiles read, and the largest number of hashes, over the proofs of a hundred votes."""
    with store.read() as connection:
        ids = list(connection.scalars(sa.select(schema.vote.c.vote_id).limit(100_000)))
    found = [log_proofs.prove_vote(store, vote) for vote in ids[:: len(ids) // 100]]
    return max(one.tiles_read for one in found), max(len(one.path) for one in found)


def insert_votes(url: str, options: Settings, votes: int, seed: int) -> None:
    """Append simulated votes to a store, which is created if it is missing.

    Args:
        url: address of the store.
        options: the settings, which must have a voter key.
        votes: number of votes.
        seed: seed of the simulation.
    """
    rng = np.random.default_rng(seed)
    store = open_store(url, voter_key=options.key, worker=True)
    number = NameDictionary(store).numbers("model", [f"model-{i:03}" for i in range(_MODELS)])
    lists = _category_lists(store)
    strength = np.random.default_rng(7).normal(0, 0.8, _MODELS)
    for at in range(0, votes, _CHUNK):
        size = min(_CHUNK, votes - at)
        a = rng.integers(0, _MODELS, size)
        b = (a + 1 + rng.integers(0, _MODELS - 1, size)) % _MODELS
        won = rng.random(size) < 1 / (1 + np.exp(strength[b] - strength[a]))
        outcome = np.where(rng.random(size) < 0.33, rng.integers(2, 4, size), np.where(won, 0, 1))
        with store.write() as connection:
            labels = lists[rng.integers(0, len(lists), size)]
            _insert(connection, rng, number[a], number[b], outcome, labels, int(votes / _VOTES_A_VOTER))
    store.close()


def _category_lists(store: Store) -> Any:
    """Store a thousand random lists of categories, and return their numbers. A vote refers to a list by its number."""
    rng = np.random.default_rng(11)
    names = [f"category {number:02}" for number in range(CATEGORIES)]
    chosen = (sorted(rng.choice(names, rng.integers(1, 6), replace=False).tolist()) for _ in range(_LISTS))
    return NameDictionary(store).numbers("categories", [json.dumps(one) for one in chosen])


def _insert(
    connection: sa.Connection, rng: np.random.Generator, a: Any, b: Any, outcome: Any, labels: Any, voters: int
) -> None:
    parts = _partitions(connection)
    size = len(a)
    partition = np.sort(rng.integers(0, PARTITIONS, size))
    offset = np.empty(size, dtype=np.int64)
    for nth, (part, first) in enumerate(parts):
        mine = np.flatnonzero(partition == nth)
        offset[mine] = first + np.arange(len(mine))
        end = first + len(mine)
        p = schema.partition.c
        connection.execute(sa.update(schema.partition).where(p.partition_no == part).values(next_offset=end))
    numbers = np.array([part for part, _ in parts], dtype=np.int64)[partition]
    cast_at = _START + offset * PARTITIONS * SECOND + rng.integers(0, SECOND, size)
    ids = [sha256(b"%d %d" % place).hexdigest()[:32] for place in zip(numbers.tolist(), offset.tolist(), strict=True)]
    zeros = np.zeros(size, dtype=np.int32)
    columns = {
        "partition_no": numbers,
        "offset": offset,
        "vote_id": ids,
        "voter": 1 + rng.integers(0, max(1, voters), size) * 2**20,
        "cast_at": cast_at,
        "appended_at": cast_at,
        "model_a": a,
        "model_b": b,
        "outcome": outcome.astype(np.int16),
        "fate": zeros.astype(np.int16),
        "language": zeros,
        "category": zeros,
        "network": zeros,
        "prompt": rng.integers(1, 2**62, size),
        "voter_since": np.ma.masked_equal(zeros.astype(np.int64), 0),
        "style": [None] * size,
        "flags": np.where(rng.random(size) < _FLAGGED, vote_flags.REFUSAL, 0).astype(np.int32),
        "categories": labels.astype(np.int32),
    }
    load(connection, schema.vote, columns)
    keys = np.frombuffer(b"".join(sha256(one.encode()).digest()[:16] for one in ids), dtype="V16")
    order = np.argsort(keys.view("S16"), kind="stable")
    load(
        connection,
        schema.vote_key,
        {"key": keys[order], "partition_no": numbers[order], "offset": offset[order]},
    )


def _partitions(connection: sa.Connection) -> list[tuple[int, int]]:
    """Return the partitions with their next offsets; creates them if there are none."""
    p = schema.partition.c
    found = connection.execute(sa.select(p.partition_no, p.next_offset).order_by(p.partition_no)).all()
    if found:
        return [(int(row.partition_no), int(row.next_offset)) for row in found]
    source = connection.execute(
        schema.source.insert().returning(schema.source.c.source_no), {"name": "kafka:arena.votes"}
    ).scalar_one()
    for nth in range(PARTITIONS):
        row = {"source_no": source, "number": nth, "next_offset": 0, "epoch": 1, "owner": "bench", "sealed_offset": 0,
               "state_offset": 0, "updated_at": 0}  # fmt: skip
        connection.execute(schema.partition.insert(), row)
    return _partitions(connection)
