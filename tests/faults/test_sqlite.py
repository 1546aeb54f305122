"""Fault 22: an embedded store whose disk is full, or whose file somebody else has locked.

Full is tried in two ways that need no privilege: the largest file that the process may write (the write fails in the
kernel, a part of it may have been written), and SQLite's own bound on pages (the code of SQLITE_FULL).
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.detectors import VOTER
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from tests.copies import copy_files
from tests.faults.held import Held, read
from tests.faults.log import Log, file_log
from tests.faults.promises import Case, expect_kept
from tests.faults.scene import INTEGRITY, KEY, SETTINGS, ended, killed_at_the_end, make_stream, refresh, wait

pytestmark = pytest.mark.faults


@dataclass(frozen=True)
class Embedded:
    """A file of votes, a store that has read and rated its first part, and what an undisturbed one holds at the end.

    Attributes:
        votes: all of the file.
        begun: the store after the first part.
        log: what the file holds.
        undisturbed: the tables at the end.
        size: bytes of the undisturbed store and its log of writes.
    """

    votes: Path
    begun: Path
    log: Log
    undisturbed: Held
    size: int

    def copy(self, folder: Path) -> Path:
        """A store of the test's own, to go on with."""
        path = folder / "store.db"
        with sqlite3.connect(self.begun) as source, sqlite3.connect(path) as target:
            source.backup(target)
        copy_files(str(self.begun), str(path), KEY)
        return path

    def expect_kept(self, store: Path) -> None:
        """The file is whole, and so are the promises."""
        with sqlite3.connect(store) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        refresh(str(store))
        acknowledged = Counter(record.vote["vote_id"] for record in self.log.records.values() if record.vote)
        expect_kept(Case(self.log, str(store), KEY, acknowledged, self.undisturbed))


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    folder = tmp_path_factory.mktemp("embedded")
    stream = make_stream(12_000, 2_400, seed=22, late=50)
    votes, begun, whole = folder / "votes.jsonl", folder / "begun.db", folder / "whole"
    whole.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        votes.write_bytes(b"".join(line + b"\n" for line in stream.before))
        work(votes, begun)
        refresh(str(begun))
        with votes.open("ab") as file:
            file.writelines(line + b"\n" for line in stream.after)
        one = Embedded(votes, begun, file_log(stream.before, stream.after), None, 0)  # type: ignore[arg-type]
        store = one.copy(whole)
        work(votes, store)
        return Embedded(votes, begun, one.log, read(str(store), KEY), store.stat().st_size)


def work(votes: Path, path: Path) -> None:
    store = open_store(str(path), voter_key=KEY, worker=True)
    Worker(FileSource(votes), store, Settings(batch_votes=300), VOTER, "test").run(until_end=True)
    store.close()


def start(embedded: Embedded, store: Path, largest: int | None = None) -> subprocess.Popen[str]:
    """A worker; no file that it writes may grow beyond `largest` bytes."""

    def limited() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    return subprocess.Popen(
        [INTEGRITY, "work", "--source", embedded.votes, "--store", store, "--json"],
        env=os.environ | SETTINGS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limited,  # noqa: PLW1509  # no other thread of this process holds a lock that the child needs
    )


def progress(store: Path) -> int:
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=20) as connection:
        return int(connection.execute("SELECT max(next_offset) FROM partition").fetchone()[0])


def stands_still(store: Path, seconds: float) -> bool:
    before = progress(store)
    time.sleep(seconds)
    return progress(store) == before


@pytest.mark.long
def test_a_full_disk_is_waited_for_and_what_is_stored_is_whole(embedded: Embedded, tmp_path: Path) -> None:
    store, end = embedded.copy(tmp_path), embedded.log.bounds[0][1]
    begun = progress(store)
    with killed_at_the_end(worker := start(embedded, store, embedded.size // 2)):
        wait(lambda: progress(store) > begun, what="some progress")
        wait(lambda: stands_still(store, 3), what="the disk full")
        stuck = progress(store)
        assert begun < stuck < end
        assert worker.poll() is None, "expected the worker to wait for room"
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        ended(worker)
    assert progress(store) == end
    embedded.expect_kept(store)


@pytest.mark.long
def test_a_store_that_may_have_no_more_pages_is_waited_for(embedded: Embedded, tmp_path: Path) -> None:
    """SQLITE_FULL, as on a file system without room."""
    path, end = embedded.copy(tmp_path), embedded.log.bounds[0][1]
    begun, pages = progress(path), {"most": embedded.size // 4096 * 2 // 3}
    store = open_store(str(path), voter_key=KEY, worker=True)

    def bound(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages['most']}")

    sa.event.listen(store.engine, "checkout", bound)
    worker = Worker(FileSource(embedded.votes), store, Settings(batch_votes=300), VOTER, "test")
    thread = Thread(target=lambda: worker.run(until_end=True), daemon=True)
    thread.start()
    wait(lambda: progress(path) > begun)
    wait(lambda: stands_still(path, 3), what="the store full")
    assert begun < progress(path) < end
    pages["most"] = 1 << 30
    thread.join(60)
    assert not thread.is_alive()
    store.close()
    embedded.expect_kept(path)


@pytest.mark.long
def test_a_file_locked_beyond_the_busy_timeout_is_waited_for(embedded: Embedded, tmp_path: Path) -> None:
    store, end = embedded.copy(tmp_path), embedded.log.bounds[0][1]
    begun = progress(store)
    with killed_at_the_end(worker := start(embedded, store)):
        wait(lambda: progress(store) > begun)
        with sqlite3.connect(store, timeout=30, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            stuck = progress(store)
            assert stuck < end
            time.sleep(13)  # the store's own busy_timeout is 10 s
            assert progress(store) == stuck
            assert worker.poll() is None
            other.execute("ROLLBACK")
        ended(worker)
    assert progress(store) == end
    embedded.expect_kept(store)


@pytest.mark.slow
def test_a_disk_that_stays_full_ends_the_worker_and_names_the_store_and_the_next_one_goes_on(
    embedded: Embedded, tmp_path: Path
) -> None:
    store = embedded.copy(tmp_path)
    with killed_at_the_end(worker := start(embedded, store, embedded.size // 2)):
        output = ended(worker, 150, code=3)
    assert output["error"] == "StoreUnavailable"
    assert store.name in output["message"]
    stuck = progress(store)
    result = ended(start(embedded, store))
    assert result["read"] == embedded.log.bounds[0][1] - stuck > 0
    embedded.expect_kept(store)
