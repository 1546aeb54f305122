"""The monitor closes every window once, in order, whoever runs it and however often it dies."""

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.detectors import VOTER
from pipeline.settings import Settings
from pipeline.simulate import Honest, plant
from pipeline.store import Store, schema, windows
from pipeline.stream.monitor import Monitor
from pipeline.stream.source import FileSource
from pipeline.stream.windows import WIDTH
from pipeline.stream.worker import Worker

OPTIONS = Settings(voter_key="22" * 32, lease_seconds=1.0)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = str(tmp_path / "a.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Store.open(url, voter_key=OPTIONS.key)
    request.addfinalizer(opened.close)
    return opened


def worked(store: Store, tmp_path: Path, parts: int = 1) -> int:
    """Votes of four days from so many files, each a partition of its own."""
    stream = plant(Honest(votes=4_000, seed=3, days=4.0))
    for part in range(parts):
        path = tmp_path / f"part{part}.jsonl"
        stream.take(slice(part, None, parts)).write_jsonl(path)
        Worker(FileSource(path), store, OPTIONS, VOTER, "test").run(until_end=True)
    return len(stream)


def closed(store: Store) -> dict[int, int]:
    with store.read() as connection:
        c = schema.closed_window.c
        return {
            start: accepted + late
            for start, accepted, late in connection.execute(sa.select(c["start", "accepted", "late"]))
        }


def counted(store: Store) -> dict[int, int]:
    """The same by counting the votes again."""
    v = schema.vote.c
    totals: dict[int, int] = {}
    with store.read() as connection:
        for (at,) in connection.execute(sa.select(v.cast_at).where(v.fate != 2)):
            totals[at - at % WIDTH] = totals.get(at - at % WIDTH, 0) + 1
    return totals


@pytest.mark.parametrize("parts", [1, 3])
def test_closed_windows_are_a_recount_of_the_votes_however_many_partitions(
    store: Store, tmp_path: Path, parts: int
) -> None:
    votes = worked(store, tmp_path, parts)
    Monitor(store, OPTIONS, "one").run(until_end=True, close=True)
    assert closed(store) == counted(store)
    assert sum(closed(store).values()) == votes


def test_nothing_above_the_watermark_is_closed_without_being_told_to(store: Store, tmp_path: Path) -> None:
    worked(store, tmp_path)
    Monitor(store, OPTIONS, "one").run(until_end=True)
    with store.read() as connection:
        mark = windows.watermark(connection, OPTIONS.lateness)
        end = windows.position(connection)
    assert mark is not None
    assert end == mark - mark % WIDTH
    assert max(closed(store)) + WIDTH <= mark
    assert closed(store) == {start: n for start, n in counted(store).items() if start + WIDTH <= mark}


def test_a_monitor_that_comes_back_closes_nothing_twice_and_skips_nothing(store: Store, tmp_path: Path) -> None:
    worked(store, tmp_path)
    first = Monitor(store, OPTIONS, "one")
    assert first._step(close=True)  # the first two days, and then it is gone without a word
    before = closed(store)
    time.sleep(OPTIONS.lease_seconds)  # its lease runs out
    Monitor(store, OPTIONS, "two").run(until_end=True, close=True)
    assert before.items() <= closed(store).items()
    assert closed(store) == counted(store)
    assert Monitor(store, OPTIONS, "three").run(until_end=True, close=True) == 0


def test_while_one_monitor_holds_the_lease_another_waits_and_then_goes_on(store: Store, tmp_path: Path) -> None:
    worked(store, tmp_path)
    with store.write() as connection:
        assert windows.take_lease(connection, "monitor", "somebody", time.time_ns() // 1000, 2.0)
    waiting = Monitor(store, OPTIONS, "me")
    assert waiting._step(close=True) is None
    assert closed(store) == {}
    thread = threading.Thread(target=lambda: waiting.run(until_end=True, close=True))
    thread.start()
    thread.join(30)
    assert closed(store) == counted(store)


def test_a_stopped_monitor_gives_its_lease_back(store: Store, tmp_path: Path) -> None:
    worked(store, tmp_path)
    running = Monitor(store, OPTIONS, "one")
    thread = threading.Thread(target=lambda: running.run(close=True))
    thread.start()
    deadline = time.monotonic() + 30
    while closed(store) != counted(store) and time.monotonic() < deadline:
        time.sleep(0.1)
    running.stop()
    thread.join(10)
    with store.write() as connection:
        assert windows.take_lease(connection, "monitor", "two", time.time_ns() // 1000, 1.0)
