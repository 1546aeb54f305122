"""Files: all are one partition, read in turn and in the order of time; what grew is read on, what changed is told."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from pipeline.detectors import VOTER
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.db import leases, schema
from pipeline.store.votes import file_readings, partitions, window_counts
from pipeline.stream.ingest_tally import IngestTally
from pipeline.stream.source import FileSource
from pipeline.stream.window_monitor import Monitor
from pipeline.stream.worker import Worker
from pipeline.vocabulary.fates import FATES
from tests.command import called

KEY = "5a" * 32
OPTIONS = Settings(voter_key=KEY, anchor="", batch_votes=7)
START = datetime(2024, 5, 6, 12, tzinfo=UTC)
MODELS = ("alder", "birch", "cedar")

Row = dict[str, Any]


def battle(number: int, **more: Any) -> Row:
    """One of a cycle of battles, two hours after the one before."""
    return {
        "question_id": f"q{number:05d}",
        "model_a": MODELS[number % 3],
        "model_b": MODELS[(number + 1) % 3],
        "winner": ("model_a", "model_b", "tie")[number // 3 % 3],
        "judge": f"u{number % 5}",
        "language": "English",
        "tstamp": int((START + timedelta(hours=2 * number)).timestamp()),
        **more,
    }


def write_jsonl(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(json.dumps(list(rows), indent=1))


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: Sequence[Row]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


WRITERS: dict[str, Callable[[Path, Sequence[Row]], None]] = {
    "jsonl": write_jsonl, "ndjson": write_jsonl, "json": write_json, "csv": write_csv, "parquet": write_parquet,
}  # fmt: skip
formats = pytest.mark.parametrize("suffix", sorted(WRITERS))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("postgres_store"))


@contextmanager
def opened(url: str) -> Iterator[Store]:
    with closing(open_store(url, voter_key=OPTIONS.key, worker=True)) as store:
        yield store


def read(url: str, path: Path, options: Settings = OPTIONS, owner: str = "test") -> IngestTally:
    with opened(url) as store:
        source = FileSource(path)
        try:
            return Worker(source, store, options, VOTER, owner).run(until_end=True)
        finally:
            source.close()


def stored(url: str) -> list[tuple[int, str, str]]:
    """(offset, vote id, fate) of every vote, in the order of offsets; there is one partition."""
    v = schema.vote.c
    with opened(url) as store, store.read() as connection:
        assert len(partitions.all_next_offsets(connection)) == 1
        rows = connection.execute(sa.select(v.offset, v.vote_id, v.fate).order_by(v.offset))
        return [(offset, vote_id, FATES[fate]) for offset, vote_id, fate in rows]


@formats
def test_votes_in_any_order_are_read_in_the_order_of_time_and_all_count(url: str, tmp_path: Path, suffix: str) -> None:
    rows = [battle(n) for n in range(12)]
    path = tmp_path / f"votes.{suffix}"
    WRITERS[suffix](path, [rows[n] for n in (7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6)])
    tally = read(url, path)
    assert (tally.read, tally.accepted, tally.late) == (12, 12, 0)
    assert stored(url) == [(n, rows[n]["question_id"], "accepted") for n in range(12)]


@formats
def test_one_vote_of_the_future_is_quarantined_and_the_others_count(url: str, tmp_path: Path, suffix: str) -> None:
    rows = [battle(n) for n in range(12)]
    rows[2]["tstamp"] = int(datetime(2042, 1, 1, tzinfo=UTC).timestamp())
    path = tmp_path / f"votes.{suffix}"
    WRITERS[suffix](path, rows)
    tally = read(url, path)
    assert (tally.accepted, tally.quarantined, tally.late, tally.rejected) == (11, 1, 0, 0)
    later = tmp_path / f"later.{suffix}"
    WRITERS[suffix](later, [battle(n) for n in range(12, 20)])
    assert (read(url, later).accepted, Counter(fate for *_, fate in stored(url))["accepted"]) == (8, 19)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.long
def test_a_last_line_without_its_newline_waits_wherever_it_was_cut(tmp_path: Path, suffix: str) -> None:
    url, path = str(tmp_path / "store.db"), tmp_path / f"votes.{suffix}"
    more = {"conversation": 'a "quoted"\nline'} if suffix == "csv" else {}
    rows = [battle(n, **more) for n in range(6)]
    WRITERS[suffix](path, rows)
    whole = path.read_bytes()
    second = whole.index(b"q00001")
    total = Counter[str]()
    for cut in range(second - 9, len(whole) + 1, 13):  # appended by a writer that is never done
        path.write_bytes(whole[:cut])
        tally = read(url, path)
        total.update(accepted=tally.accepted, rejected=tally.rejected, duplicate=tally.duplicate)
    path.write_bytes(whole)
    total.update(accepted=read(url, path).accepted)
    assert total == {"accepted": 6, "rejected": 0, "duplicate": 0}


def test_what_waits_is_named_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    write_csv(path, [battle(n) for n in range(7)])
    path.write_bytes(path.read_bytes()[:-9])
    work = called(
        "work",
        "--source",
        str(path),
        "--store",
        str(tmp_path / "s.db"),
        "--json",
        settings={"INTEGRITY_VOTER_KEY": KEY},
    )
    [note] = [one for one in json.loads(work.stdout)["notes"] if "votes.csv" in one]
    assert "without a newline" in note
    assert "give the file again" in note
    assert json.loads(work.stdout)["accepted"] == 6


@pytest.mark.parametrize("suffix", sorted(WRITERS.keys() - {"json", "parquet"}))
def test_empty_lines_are_no_records(tmp_path: Path, suffix: str) -> None:
    url, path = str(tmp_path / "store.db"), tmp_path / f"votes.{suffix}"
    WRITERS[suffix](path, [battle(n) for n in range(6)])
    newline = b"\r\n" if suffix == "csv" else b"\n"
    lines = path.read_bytes().split(newline)
    blank = newline + b"  " + newline + (b",,,,,," if suffix == "csv" else b"\t") + newline
    path.write_bytes(newline.join(lines[:3]) + blank + newline.join(lines[3:]) + newline + b"   ")
    tally = read(url, path)
    assert (tally.accepted, tally.rejected) == (6, 0)
    rate = called("rate", str(path), "--json", settings={})
    assert json.loads(rate.stdout)["votes"] == 6


@formats
@pytest.mark.long
def test_a_file_that_grew_goes_on_and_a_copy_of_it_has_nothing_new(url: str, tmp_path: Path, suffix: str) -> None:
    rows = [battle(n) for n in range(30)]
    path, copy = tmp_path / f"votes.{suffix}", tmp_path / f"copy.{suffix}"
    for end, new in ((10, 10), (10, 0), (22, 12), (30, 8)):
        WRITERS[suffix](path, rows[:end])
        tally = read(url, path)
        assert (tally.read, tally.accepted, tally.duplicate) == (new, new, 0)
    WRITERS[suffix](copy, rows)
    assert read(url, copy).read == 0
    assert [vote_id for _, vote_id, _ in stored(url)] == [row["question_id"] for row in rows]


@formats
@pytest.mark.long
def test_rows_that_were_inserted_are_found_by_their_ids(url: str, tmp_path: Path, suffix: str) -> None:
    rows = [battle(n) for n in range(20)]
    path = tmp_path / f"votes.{suffix}"
    WRITERS[suffix](path, [row for n, row in enumerate(rows) if n not in (3, 11)])
    read(url, path)
    WRITERS[suffix](path, rows)
    with opened(url) as store:
        source = FileSource(path)
        tally = Worker(source, store, OPTIONS, VOTER, "test").run(until_end=True)
    assert (tally.accepted + tally.late, tally.duplicate, tally.conflicting) == (2, 18, 0)
    assert source.changed == 18  # what is told: this is not the file that was read before
    assert len(stored(url)) == 20


def test_another_battle_under_a_known_id_is_told_as_that_with_both_places(tmp_path: Path) -> None:
    settings = {"INTEGRITY_VOTER_KEY": KEY}
    path, url = tmp_path / "votes.jsonl", str(tmp_path / "s.db")
    rows = [battle(n) for n in range(6)]
    write_jsonl(path, [*rows, rows[1], {**rows[2], "winner": "tie"}, {**rows[4], "winner": "tie"}])
    work = json.loads(called("work", "--source", str(path), "--store", url, "--json", settings=settings).stdout)
    rate = json.loads(called("rate", str(path), "--json", settings=settings).stdout)
    assert (work["accepted"], work["duplicate"], work["conflicting"]) == (6, 3, 2)
    assert (rate["votes"], rate["repeated_ids"], rate["conflicting_ids"]) == (6, 3, 2)
    assert any("another battle under the same id" in note for note in work["notes"])
    assert any("another battle under the same id" in note for note in rate["notes"])
    with opened(url) as store, store.read() as connection:
        [evidence, *_] = connection.scalars(sa.select(schema.alert.c.evidence).order_by(schema.alert.c.opened_at))
    shown = json.loads(evidence) if isinstance(evidence, str) else evidence
    assert (shown["counted"]["record"], shown["ignored"]["record"]) == ("votes.jsonl#2", "votes.jsonl#7")


def test_a_reading_that_was_interrupted_goes_on_with_the_same_records_at_the_same_offsets(
    url: str, tmp_path: Path
) -> None:
    class Broken(FileSource):
        def poll(self, limit: int, seconds: float) -> list[Any]:
            if self.positions()[0] >= 14:
                raise RuntimeError("the machine is gone")
            return super().poll(limit, seconds)

    rows = [battle(n) for n in range(40)]
    path = tmp_path / "votes.jsonl"
    write_jsonl(path, rows[::-1])
    with opened(url) as store, pytest.raises(RuntimeError):
        Worker(Broken(path), store, OPTIONS, VOTER, "test").run(until_end=True)
    assert len(stored(url)) == 14
    with opened(url) as store, store.read() as connection:
        [known] = partitions.read_progress(connection)
        assert not known.finished  # so the monitor still waits for its votes
    write_jsonl(path, [*rows[::-1], battle(40)])  # and it has grown meanwhile
    tally = read(url, path)
    assert (tally.read, tally.accepted, tally.duplicate) == (27, 27, 0)
    assert stored(url) == [(n, f"q{n:05d}", "accepted") for n in range(41)]
    with opened(url) as store, store.read() as connection:
        names = file_readings.name_places(connection, [(1, 0), (1, 13), (1, 39), (1, 40), (1, 41)])
    assert names == {(1, 0): "votes.jsonl#39", (1, 13): "votes.jsonl#26", (1, 39): "votes.jsonl#0",
                     (1, 40): "votes.jsonl#40"}  # fmt: skip


def test_a_reading_that_is_given_up_for_another_file_loses_nothing(url: str, tmp_path: Path) -> None:
    class Broken(FileSource):
        def poll(self, limit: int, seconds: float) -> list[Any]:
            if self.positions()[0] >= 7:
                raise RuntimeError("the machine is gone")
            return super().poll(limit, seconds)

    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    write_jsonl(one, [battle(n) for n in range(20)])
    write_jsonl(two, [battle(n) for n in range(20, 30)])
    with opened(url) as store, pytest.raises(RuntimeError):
        Worker(Broken(one), store, OPTIONS, VOTER, "test").run(until_end=True)
    assert read(url, two).accepted == 10
    again = read(url, one)
    assert (again.accepted + again.late, again.duplicate) == (13, 7)
    assert read(url, one).read == read(url, two).read == 0
    assert len(stored(url)) == 30


def test_files_are_one_partition_and_an_older_one_counts_as_late_in_the_windows_of_its_time(
    url: str, tmp_path: Path
) -> None:
    new, old = tmp_path / "new.jsonl", tmp_path / "old.jsonl"
    write_jsonl(new, [battle(n) for n in range(20, 30)])
    write_jsonl(old, [battle(n) for n in range(20)])
    assert read(url, new).accepted == 10
    assert read(url, old).late == 20
    with opened(url) as store, store.read() as connection:
        counts = window_counts.read_range(connection, 0, 2**62)
    assert [(one.accepted, one.late) for one in counts] == [(1, 0)] * 30


@pytest.mark.long
def test_two_processes_read_files_in_turn_and_a_dead_one_holds_nobody_up(url: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.jsonl" for n in range(2)]
    for n, path in enumerate(paths):
        write_jsonl(path, [battle(k) for k in range(200 * n, 200 * n + 200)])
    with opened(url) as store, store.write() as connection:
        assert leases.acquire(connection, "files", "elsewhere:1", time.time_ns() // 1000, 2.0)
    found: list[IngestTally] = []
    threads = [
        threading.Thread(target=lambda path=path: found.append(read(url, path, owner=path.name))) for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(one.accepted + one.late for one in found) == 400
    assert sum(one.duplicate for one in found) == 0
    assert len(stored(url)) == 400


@pytest.mark.parametrize("where", ["waiting for its turn", "sorting"])
def test_a_worker_that_is_asked_to_stop_before_it_stores_anything_stops(tmp_path: Path, where: str) -> None:
    class Told(FileSource):
        def prepare(self, *given: Any, **named: Any) -> Any:
            worker.stop()
            return super().prepare(*given, **named)

    path = tmp_path / "votes.jsonl"
    write_jsonl(path, [battle(n) for n in range(20)])
    with opened(str(tmp_path / "s.db")) as store:
        if where != "sorting":
            with store.write() as connection:
                assert leases.acquire(connection, "files", "elsewhere:1", time.time_ns() // 1000, 600.0)
        worker = Worker(Told(path), store, OPTIONS, VOTER, "test")
        thread = threading.Thread(target=lambda: worker.run(until_end=True))
        thread.start()
        if where != "sorting":
            time.sleep(1)
            worker.stop()
        thread.join(30)
        assert not thread.is_alive()
        with store.read() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(schema.vote)) == 0
            assert (leases.holder(connection, "files") is None) == (where == "sorting")


def test_when_all_files_are_read_the_monitor_closes_up_to_the_newest_vote_and_says_what_it_waits_for(
    url: str, tmp_path: Path
) -> None:
    path = tmp_path / "votes.jsonl"
    write_jsonl(path, [battle(n) for n in range(12)])
    read(url, path)
    with opened(url) as store:
        monitor = Monitor(store, OPTIONS, "test")
        assert monitor.run(until_end=True) == 11  # the newest vote's window may still get votes
        assert "all files are read" in monitor.explain_waiting()
        assert "monitor --close" in monitor.explain_waiting()
        Monitor(store, OPTIONS, "test").run(until_end=True, close=True)
        assert Monitor(store, OPTIONS, "test").explain_waiting() == ""
        with store.write() as connection:  # as if a broker's log were read too, up to an hour before
            connection.execute(
                sa.update(schema.partition).values(
                    next_offset=schema.partition.c.next_offset - 1, updated_at=time.time_ns() // 1000
                )
            )
            connection.execute(sa.delete(schema.position))
        waits = Monitor(store, OPTIONS, "test").explain_waiting()
        assert "file:votes, partition 0" in waits
        assert "60 minutes late" in waits


def half(path: Path, rows: Sequence[Row]) -> None:
    """As a writer leaves it in the middle of the last line."""
    write_jsonl(path, rows)
    path.write_bytes(path.read_bytes()[:-40])


def blank(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n\n  \n" for row in rows))


def future(path: Path, rows: Sequence[Row]) -> None:
    write_jsonl(path, [*rows[:2], {**rows[2], "tstamp": 2_272_147_200}, *rows[3:]])


def unsorted(path: Path, rows: Sequence[Row]) -> None:
    write_jsonl(path, [rows[n] for n in (7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6)])


def twice(path: Path, rows: Sequence[Row]) -> None:
    write_jsonl(path, [*rows, rows[1], {**rows[2], "winner": "both_bad"}])


# What is written, then the votes that count, and what else is told.
KINDS: dict[str, tuple[list[Callable[[Path, Sequence[Row]], None]], int, dict[str, int]]] = {
    "blank_line": ([blank], 12, {"rejected": 0}),
    "half_written_line": ([half, write_jsonl], 12, {"rejected": 0}),
    "unsorted_file": ([unsorted], 12, {"rejected": 0, "quarantined": 0}),
    "one_future_time": ([future], 11, {"quarantined": 1}),
    "same_id_twice": ([twice], 12, {"duplicate": 2, "conflicting": 1}),
}


@pytest.mark.long
@pytest.mark.parametrize("road", ["file", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_vote_that_can_be_read_counts_on_the_board(
    request: pytest.FixtureRequest, url: str, tmp_path: Path, kind: str, road: str
) -> None:
    settings = {"INTEGRITY_VOTER_KEY": KEY, "INTEGRITY_ANCHOR": "", "INTEGRITY_AUTO_VOTER": "0"}
    path, topic = tmp_path / "votes.jsonl", f"votes.{kind}.{tmp_path.name[-1]}{len(url)}"
    writers, counted, told = KINDS[kind]
    found = Counter[str]()
    for write in writers:
        write(path, [battle(n) for n in range(12)])
        source = str(path)
        if road == "kafka":
            source = f"kafka://{request.getfixturevalue('kafka_server').bootstrap}/{topic}"
            sent = called("publish", str(path), "--to", source, "--json", settings=settings)
            assert sent.returncode == 0, sent.stderr
            notes = json.loads(sent.stdout)["notes"]
            assert any("may be half written" in note for note in notes) == (write is half)
        done = called("work", "--source", source, "--store", url, "--until-end", "--json", settings=settings)
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        found.update({name: read[name] for name in ("accepted", "late", *told)})
    assert found["accepted"] + found["late"] == counted
    assert {name: found[name] for name in told} == told
    board = json.loads(called("refresh", "--store", url, "--json", settings=settings).stdout)
    assert board["votes_counted"] == board["votes_raw"] == counted
    assert board["coverage"]["unchecked"] == 0  # the refresh evaluates votes that no snapshot preceded
    assert board["coverage"]["late"] == found["late"]
    for verb in ("refresh", "doctor"):
        shown = called(verb, "--store", url, settings=settings)
        assert "never checked" not in " ".join(f"{shown.stdout} {shown.stderr}".split())
    assert called("verify", "--store", url, settings=settings).returncode == 0
