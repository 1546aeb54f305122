"""The monitor closes every window once and in order, however many monitors run and however often one dies."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.detectors import VOTER, WINDOW
from pipeline.errors import Usage
from pipeline.lab.simulate import Burst, HonestSpec, SimulatedStream, simulate_stream
from pipeline.open_store import open_store
from pipeline.scoring.window_counter import WINDOW_WIDTH
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.alerting import alert_queries
from pipeline.store.db import leases, schema
from pipeline.store.votes import closed_windows, detector_states, partitions
from pipeline.stream.merged_watermark import merged_watermark
from pipeline.stream.source import FileSource
from pipeline.stream.window_monitor import Monitor
from pipeline.stream.worker import Worker

OPTIONS = Settings(voter_key="22" * 32, lease_seconds=1.0)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = str(tmp_path / "a.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store")
    opened = open_store(url, voter_key=OPTIONS.key)
    request.addfinalizer(opened.close)
    return opened


def worked(store: Store, tmp_path: Path, parts: int = 1) -> int:
    """Votes of four days from so many files, each a partition of its own."""
    stream = simulate_stream(HonestSpec(votes=4_000, seed=3, days=4.0))
    for part in range(parts):
        path = tmp_path / f"part{part}.jsonl"
        stream.take(slice(part, None, parts)).write_jsonl(path)
        Worker(_partition(path, part), store, OPTIONS, VOTER, "test").run(until_end=True)
    return len(stream)


def _partition(path: Path, part: int) -> FileSource:
    """A file as a source of its own, as another partition of a broker would be."""
    source = FileSource(path)
    source.name = f"file:{part}"
    return source


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
            totals[at - at % WINDOW_WIDTH] = totals.get(at - at % WINDOW_WIDTH, 0) + 1
    return totals


@pytest.mark.long
@pytest.mark.parametrize("parts", [1, 3])
def test_closed_windows_are_a_recount_of_the_votes_however_many_partitions(
    store: Store, tmp_path: Path, parts: int
) -> None:
    votes = worked(store, tmp_path, parts)
    Monitor(store, OPTIONS, "one").run(until_end=True, close=True)
    assert closed(store) == counted(store)
    assert sum(closed(store).values()) == votes


def test_windows_above_the_watermark_are_closed_only_on_request(store: Store, tmp_path: Path) -> None:
    worked(store, tmp_path)
    Monitor(store, OPTIONS, "one").run(until_end=True)
    with store.read() as connection:
        mark = merged_watermark(partitions.read_progress(connection), OPTIONS.lateness, 10**18, 0).at
        end = closed_windows.closed_until(connection)
        newest = max(one.event_time for one in partitions.read_progress(connection))
    assert mark == newest  # the file is read: nothing late is waited for
    assert end == mark - mark % WINDOW_WIDTH
    assert max(closed(store)) + WINDOW_WIDTH <= mark
    assert closed(store) == {start: n for start, n in counted(store).items() if start + WINDOW_WIDTH <= mark}


@pytest.mark.long
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


@pytest.mark.long
def test_while_one_monitor_has_the_lease_another_waits_and_then_continues(store: Store, tmp_path: Path) -> None:
    worked(store, tmp_path)
    with store.write() as connection:
        assert leases.acquire(connection, "monitor", "somebody", time.time_ns() // 1000, 2.0)
    waiting = Monitor(store, OPTIONS, "me")
    assert waiting._step(close=True) is None
    assert closed(store) == {}
    thread = threading.Thread(target=lambda: waiting.run(until_end=True, close=True))
    thread.start()
    thread.join(30)
    assert closed(store) == counted(store)


@pytest.mark.long
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
        assert leases.acquire(connection, "monitor", "two", time.time_ns() // 1000, 1.0)


# -- the window detectors ---------------------------------------------------------------------

ATTACKED = HonestSpec(votes=30_000, seed=8, days=6.0, models=30)
ATTACK = Burst(target="claude-3-haiku-20240307", voters=60, votes=240, minutes=90, from_day=5.5)


@pytest.fixture(scope="module")
def attacked() -> tuple[SimulatedStream, SimulatedStream]:
    """Five honest days, and one with a burst of bought votes in it."""
    stream = simulate_stream(ATTACKED, [ATTACK])
    parting = np.searchsorted(stream.cast_at, stream.cast_at[0] + 5 * 86_400_000_000)
    return stream.take(slice(0, parting)), stream.take(slice(parting, None))


def watched(url: str, folder: Path, streams: tuple[SimulatedStream, SimulatedStream], parts: int) -> Store:
    """Both parts over so many partitions, a refresh between them; nothing is closed yet.

    As on a topic, the votes of a voter are in one partition: the reference counts each voter's newest votes.
    """
    options = OPTIONS.model_copy(update={"lateness_minutes": 60 * 24.0})
    store = open_store(url, voter_key=OPTIONS.key)
    for name, stream in zip(("before", "after"), streams, strict=True):
        for part in range(parts):
            path = folder / f"{parts}-{name}-{part}.jsonl"
            stream.take(np.flatnonzero(stream.voter % parts == part)).write_jsonl(path)
            Worker(_partition(path, part), store, options, (), "test").run(until_end=True)
        if name == "before":
            with configuration.override(options):
                jobs.refresh_board(url)
    return store


def reported(store: Store) -> list[tuple[object, ...]]:
    """Everything that was said about windows, and when."""
    with store.read() as connection:
        listed = alert_queries.list_alerts(connection)
        history = [
            (a["id"], h["action"], h["reason"])
            for a in listed
            for h in alert_queries.find_alert(connection, a["id"])["history"]
        ]
    shown = [
        (a["id"], a["detector"], a["severity"], a["state"], a["window"], a["e_value"], str(a["evidence"]))
        for a in listed
    ]
    return sorted([*shown, *history], key=str)


def states_of(store: Store) -> dict[str, dict[str, list[object]]]:
    with store.read() as connection:
        return {n: {k: v.tolist() for k, v in s.items()} for n, s in detector_states.read(connection).items()}


@pytest.mark.long
def test_a_burst_raises_the_same_alert_with_one_partition_or_eight_and_however_often_the_monitor_dies(
    attacked: tuple[SimulatedStream, SimulatedStream], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = watched(str(tmp_path / "one.db"), tmp_path, attacked, 1)
    assert Monitor(one, OPTIONS, "a", WINDOW).run(until_end=True, close=True)
    expected, states = reported(one), states_of(one)
    assert any(row[1] == "vote_burst" for row in expected)
    eight = watched(str(tmp_path / "eight.db"), tmp_path, attacked, 8)
    monkeypatch.setattr("pipeline.stream.window_monitor._BATCH", 100)
    number, step = 0, 1
    while step:  # every step by another monitor, which dies without a word
        with eight.write() as connection:
            connection.execute(sa.delete(schema.lease))
        number += 1
        step = Monitor(eight, OPTIONS, f"monitor {number}", WINDOW)._step(close=True) or 0
    assert number > 15
    assert reported(eight) == expected
    assert states_of(eight) == states
    one.close()
    eight.close()


def _replayed(url: str, detector: str, write: bool = False) -> list[dict[str, Any]]:
    with configuration.override(OPTIONS):
        return jobs.replay_detector(url, detector, write)


@pytest.mark.long
def test_a_replay_returns_what_the_monitor_and_the_worker_raised_and_writes_nothing(
    attacked: tuple[SimulatedStream, SimulatedStream], tmp_path: Path
) -> None:
    url = str(tmp_path / "one.db")
    store = watched(url, tmp_path, attacked, 1)
    Monitor(store, OPTIONS, "a", WINDOW).run(until_end=True, close=True)
    before = reported(store)
    again = _replayed(url, "vote_burst")
    levels = {(one["subject"]["id"], one["level"]) for one in again if one["severity"] != "cleared"}
    with store.read() as connection:
        listed = [a for a in alert_queries.list_alerts(connection) if a["detector"] == "vote_burst"]
    assert levels
    assert {a["subject"]["id"] for a in listed} == {subject for subject, _ in levels}
    assert again[0]["at"] == min(a["opened_at"] for a in listed)
    # The worker ran no detector; asked afterwards, one says what it would have found.
    assert _replayed(url, "voter_rate") == []
    biased = _replayed(url, "voter_bias")
    assert all(one["subject"]["kind"] == "voter" for one in biased)
    assert reported(store) == before
    written = _replayed(url, "voter_bias", write=True)
    assert written == biased
    with store.read() as connection:
        kept = {a["subject"]["id"] for a in alert_queries.list_alerts(connection) if a["detector"] == "voter_bias"}
    assert kept == {one["subject"]["id"] for one in biased}
    with pytest.raises(Usage, match="vote_burst"):
        _replayed(url, "nobody")
    store.close()


@pytest.mark.long
def test_a_step_that_fails_leaves_nothing_behind(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked(store, tmp_path)
    running = Monitor(store, OPTIONS, "one", WINDOW)
    assert running._step(close=True)
    before = (closed(store), states_of(store), reported(store))

    def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(closed_windows, "close_windows", broken)
        with pytest.raises(RuntimeError, match="disk"):
            running._step(close=True)
    assert (closed(store), states_of(store), reported(store)) == before
    assert running._step(close=True)
    fresh_states = states_of(store)
    other = open_store(str(tmp_path / "other.db"), voter_key=OPTIONS.key)
    worked(other, tmp_path)
    Monitor(other, OPTIONS, "two", WINDOW).run(until_end=True, close=True)
    running.run(until_end=True, close=True)
    assert states_of(store) == states_of(other)
    assert fresh_states != before[1]
    other.close()


@pytest.mark.long
def test_windows_are_closed_without_a_partition_that_has_gone_idle_and_that_is_kept(
    store: Store, tmp_path: Path
) -> None:
    worked(store, tmp_path, parts=2)
    hour = 3_600_000_000
    now = time.time_ns() // 1000
    with store.write() as connection:  # as if both were brokers, of which the second fell silent yesterday
        p, s = schema.partition.c, schema.source.c
        last = connection.scalar(sa.select(p.event_time).where(p.partition_no == 2))
        assert last is not None
        connection.execute(sa.update(schema.source).where(s.source_no == 1).values(name="kafka:other"))
        connection.execute(sa.update(schema.source).where(s.source_no == 2).values(name="kafka:topic"))
        connection.execute(sa.update(schema.partition).where(p.partition_no == 2).values(event_time=last - 24 * hour))
        connection.execute(sa.update(schema.partition).where(p.partition_no == 2).values(updated_at=now - hour))
    Monitor(store, OPTIONS, "one", WINDOW).run(until_end=True)
    with store.read() as connection:
        end = closed_windows.closed_until(connection)
        c = schema.left_out.c
        left = [tuple(row) for row in connection.execute(sa.select(c.partition_no, c.first, c.end))]
    assert end is not None
    assert end > last - 24 * hour
    assert left == [(2, left[0][1], end)]
