"""A board with votes of its own, on either database, for the tests of its ledger."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.detectors import VOTER
from pipeline.ledger.signed_note import VerifierKey
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.read import log_proofs, snapshot_bundles
from pipeline.stream.source import FileSource
from pipeline.stream.source.file_source import FILES
from pipeline.stream.worker import Worker

# Votes that follow a pattern are evidence against everybody; tests of evidence switch the backfill on.
OPTIONS = Settings(voter_key="ab" * 32, anchor="", lateness_minutes=60, backfill="off")
START = datetime(2026, 3, 1, tzinfo=UTC)
MODELS = ("ant", "bee", "cat", "dog")


def event(n: int, **more: Any) -> dict[str, Any]:
    """Every ordered pair in turn; the earlier model wins three times in five, one vote in five is a tie."""
    pairs = [(a, b) for a in MODELS for b in MODELS if a != b]
    a, b = pairs[n % len(pairs)]
    stronger, weaker = ("model_a", "model_b") if a < b else ("model_b", "model_a")
    return {
        "schema": 1,
        "vote_id": f"vote {n}",
        "voter_id": f"voter {n % 30}",
        "cast_at": (START + timedelta(seconds=10 * n)).isoformat(),
        "model_a": a,
        "model_b": b,
        "winner": (stronger, stronger, weaker, stronger, "tie")[n // len(pairs) % 5],
        "language": ("en", "fr", None)[n % 3],
        "network": f"net {n % 7}",
        "prompt_hash": f"{n % 50:032x}",
        **more,
    }


class Board:
    """A store, votes that are put into it, and its refreshes without the data-quality gate."""

    def __init__(self, url: str, folder: Path, options: Settings = OPTIONS) -> None:
        self.url = url
        self.folder = folder
        self.options = options
        self.votes = 0
        self.files = 0

    def read(self, *events: dict[str, Any]) -> None:
        """Events through the worker, as a file."""
        self.read_topic(FILES, *events)

    def read_topic(self, name: str, *events: dict[str, Any], progress: Callable[[], None] = lambda: None) -> None:
        """Events through the worker, as a source of its own: another topic has another name.

        Args:
            name: the source's name in the store.
            events: the votes.
            progress: called after every batch.
        """
        path = self.folder / f"part-{self.files}.jsonl"
        self.files += 1
        path.write_text("".join(json.dumps(one) + "\n" for one in events), encoding="utf-8")
        source = FileSource(path)
        source.name = name
        with closing(open_store(self.url, voter_key=self.options.key, worker=True)) as store:
            worker = Worker(source, store, self.options, VOTER, "test", progress=lambda _: progress())
            worker.run(until_end=True)

    def vote(self, number: int) -> None:
        """So many new votes."""
        self.read(*(event(n) for n in range(self.votes, self.votes + number)))
        self.votes += number

    def refresh(self) -> dict[str, Any]:
        return jobs.publish(self.url, jobs.rate(self.url, jobs.seal(self.url)))

    @contextmanager
    def store(self) -> Iterator[Store]:
        with closing(open_store(self.url, voter_key=self.options.key, create=False)) as store:
            yield store

    def trusted(self) -> list[VerifierKey]:
        with self.store() as store:
            return [VerifierKey.parse(text) for text in log_proofs.read_keys(store)]

    def bundle(self, snapshot: str | None = None) -> dict[str, bytes]:
        with self.store() as store:
            return dict(snapshot_bundles.read_bundle(store, snapshot))


def copied_board(path: Path, *votes: int) -> Board:
    """A board on SQLite that published a snapshot after each of these numbers of new votes.

    It is made once for a process, and copied: nothing in a store names its place.

    Args:
        path: the store, in a folder that gets its files.
        votes: the numbers of new votes.
    """
    shutil.copytree(_original(path.name, votes).name, path.parent, dirs_exist_ok=True)
    board = Board(str(path), path.parent)
    board.votes, board.files = sum(votes), len(votes)
    return board


@cache
def _original(name: str, votes: tuple[int, ...]) -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="board-")
    board = Board(f"{folder.name}/{name}", Path(folder.name))
    with using(OPTIONS):
        for number in votes:
            board.vote(number)
            board.refresh()
    return folder


@contextmanager
def using(options: Settings) -> Iterator[None]:
    with configuration.override(options):
        yield
