"""Prepares the store and the requests of `bench api`, and starts its processes."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from pipeline.errors import Unavailable
from pipeline.lab.bench import stream_throughput
from pipeline.lab.simulate import HonestSpec, simulate_stream
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store.boards import snapshots
from pipeline.store.db import schema
from pipeline.store.read import page_queries

SNAPSHOTS = 3
# Votes from one snapshot to the next.
_PART = 20_000
RECEIPT = "/api/v1/receipt?vote="
# Requests of the mix, and the share of them that are receipts, each of another vote.
_READS = 20_000
_RECEIPTS = 0.01


def prepare_store(folder: Path, url: str, options: Settings, votes: int) -> Path:
    """Create a store with three snapshots, and a file with further votes for the worker.

    Args:
        folder: folder for the file with further votes.
        url: address of the store.
        options: the settings.
        votes: number of further votes.

    Returns:
        The path of the file with further votes.
    """
    stream = simulate_stream(
        HonestSpec(votes=SNAPSHOTS * _PART + votes, voters=(SNAPSHOTS * _PART + votes) // 4, seed=7)
    )
    for part in range(SNAPSHOTS):
        file = folder / f"part-{part}.jsonl"
        stream.take(slice(part * _PART, (part + 1) * _PART)).write_jsonl(file)
        stream_throughput.in_fresh_process(stream_throughput.load_and_rate, url, file, options)
    rest = folder / "rest.jsonl"
    stream.take(slice(SNAPSHOTS * _PART, None)).write_jsonl(rest)
    return rest


def request_mix(url: str, options: Settings, seed: int = 1) -> list[str]:
    """Return the paths that the load generator requests. A path occurs several times, in proportion to its weight.

    Args:
        url: address of the store.
        options: the settings.
        seed: seed of the order of the paths, and of the votes whose receipts are requested.
    """
    with closing(open_store(url, voter_key=options.key)) as store, store.read() as connection:
        ids = [one.snapshot_id for one in page_queries.list_snapshots(connection, SNAPSHOTS)]
        models = [row["model"] for row in snapshots.read_rows(connection, ids[0], "defended")]
        votes = list(connection.scalars(sa.select(schema.vote.c.vote_id).limit(_READS)))
    named = [quote(model, safe="") for model in models]
    drawn = [f"/charts/{ids[0]}/{kind}.svg?model={model}" for model in named[:10] for kind in ("rating", "share")]
    parts = ("", "/leaderboard", "/leaderboard?view=raw", "/standings", "/proof", "/manifest")
    forms = ("leaderboard?format=csv", "leaderboard?format=parquet")
    weighted: list[tuple[float, list[str]]] = [
        (15, ["/", "/?by=raw"]),
        (10, ["/changes", f"/diff/{ids[1]}..{ids[0]}", f"/diff/{ids[2]}..{ids[0]}"]),
        (10, [f"/model?model={model}" for model in named]),
        (8, drawn),
        (8, ["/alerts", "/snapshots", "/verify", "/api", "/static/site.css", *(f"/snapshots/{one}" for one in ids)]),
        (10, ["/api/v1/latest", "/api/v1/leaderboard", "/api/v1/checkpoint"]),
        (15, [f"/api/v1/snapshots/{one}{rest}" for one in ids for rest in parts]),
        (6, [f"/api/v1/snapshots/{one}/{form}" for one in ids for form in forms]),
        (8, [f"/api/v1/history?model={model}" for model in named]),
        (4, [f"/api/v1/diff/{ids[1]}..{ids[0]}", f"/api/v1/diff/{ids[1]}..{ids[0]}?format=csv"]),
        (4, ["/api/v1/alerts", "/api/v1/models", "/api/v1/exclusions", "/api/v1/snapshots?limit=1"]),
        (1, ["/api/v1/status"]),
    ]
    draws = random.Random(seed)  # noqa: S311  # not for secrets
    kinds = draws.choices([addresses for _, addresses in weighted], [weight for weight, _ in weighted], k=_READS)
    chosen = [draws.choice(addresses) for addresses in kinds]
    for place, vote in zip(range(0, _READS, round(1 / _RECEIPTS)), votes, strict=False):
        chosen[place] = RECEIPT + quote(vote, safe="")
    return chosen


@contextmanager
def run_integrity(url: str, options: Settings, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `integrity` with the arguments `words` on this store, for the duration of a `with` block.

    Yields the process.
    """
    environment = os.environ | {"INTEGRITY_STORE": url, "INTEGRITY_VOTER_KEY": options.voter_key}
    integrity = Path(sys.executable).with_name("integrity")
    process = subprocess.Popen(
        [integrity, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def count_votes_read(url: str, options: Settings) -> int:
    """Return the number of votes that workers have read into a store."""
    with closing(open_store(url, voter_key=options.key)) as store, store.read() as connection:
        return int(connection.scalar(sa.select(sa.func.sum(schema.batch.c.read))) or 0)


def wait_for_worker(url: str, options: Settings, worker: subprocess.Popen[bytes], seconds: float = 60.0) -> int:
    """Wait until a worker begins to read votes. Returns the number of votes in the store before the wait.

    Raises:
        Unavailable: the worker ended, or read no vote within this number of seconds.
    """
    before, until = count_votes_read(url, options), time.monotonic() + seconds
    while time.monotonic() < until and worker.poll() is None:
        if count_votes_read(url, options) > before:
            return before
        time.sleep(0.1)
    raise Unavailable(f"expected the worker to read votes within {seconds:g} s, got none")
