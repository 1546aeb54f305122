"""What checks and audits read of a store, over SQLite and PostgreSQL: no partition and no day is passed over."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.open_store import open_store
from pipeline.store import Store
from pipeline.store.boards import audit_queries, verdicts
from pipeline.store.db import schema
from pipeline.store.read import page_queries
from pipeline.vocabulary.time import DAY

HOUR = DAY // 24


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.long])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store"))
    with closing(open_store(url, voter_key=b"k" * 32, worker=True)) as opened:
        yield opened


def add_votes(store: Store, partition: int, count: int) -> None:
    votes = [
        {
            "partition_no": partition, "offset": at, "vote_id": f"{partition}-{at}", "voter": 0, "cast_at": at,
            "appended_at": at, "model_a": 1, "model_b": 2, "outcome": 0, "fate": 0, "language": 0, "category": 0,
            "network": 0, "prompt": 0,
        }
        for at in range(count)
    ]  # fmt: skip
    covered = {"segment_no": 1, "partition_no": partition, "first_offset": 0, "next_offset": count, "first_leaf": 0}
    with store.write() as connection:
        connection.execute(schema.vote.insert(), votes)
        connection.execute(schema.segment_range.insert(), [covered])


def test_a_check_that_cannot_read_all_new_votes_reads_the_newest_of_every_partition(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = {
        "segment_no": 1,
        "log_size": 13,
        "leaves": 13,
        "root": "",
        "edge": b"",
        "sha256": "",
        "counts": b"",
        "at": 0,
    }
    with store.write() as connection:
        connection.execute(schema.segment.insert(), [segment])
    for partition, count in ((1, 9), (2, 1), (3, 3)):
        add_votes(store, partition, count)
    monkeypatch.setattr(verdicts, "_MAX_ROWS", 6)
    with store.read() as connection:
        read = verdicts.read_votes(connection, 0, 13)
    # The second has one vote; what it leaves of its share goes to the others.
    assert sorted(read["vote_id"]) == ["1-6", "1-7", "1-8", "2-0", "3-1", "3-2"]


def snapshot_rows(times: list[int]) -> list[dict[str, object]]:
    """Snapshots 1, 2, … published at these times, over logs of as many votes."""
    return [
        {
            "snapshot_id": f"s{n}", "work_key": f"w{n}", "log_size": n, "body": "{}", "reference": b"", "rated_at": at,
            "sequence": n, "previous": f"p{n}", "digest": f"d{n}", "published_at": at,
        }
        for n, at in enumerate(times, 1)
    ]  # fmt: skip


def test_the_snapshot_of_a_week_ago_is_found_by_reading_few(store: Store) -> None:
    times = sorted(np.random.default_rng(3).integers(0, 30 * DAY, 400).tolist())
    asked: list[int] = []

    def newest_vote(size: int) -> int:
        asked.append(size)
        return int(times[size - 1])

    with store.write() as connection:
        connection.execute(schema.snapshot.insert(), snapshot_rows(times))
    with store.read() as connection:
        every = page_queries.list_snapshots(connection, 1_000)
        for found in every[::37]:
            asked.clear()
            read = page_queries.earlier_snapshot(connection, found, 7, newest_vote)
            earlier = [one for one in every if one.sequence < found.sequence]
            limit = times[found.sequence - 1] - 7 * DAY
            expected = next(
                (one for one in earlier if times[one.sequence - 1] <= limit), earlier[-1] if earlier else None
            )
            assert read == expected
            assert len(asked) <= 11  # 1 + log2 of 400, and the ends
        assert page_queries.earlier_snapshot(connection, every[-1], 7, newest_vote) is None


def test_a_day_whose_last_snapshot_lacks_a_view_is_read_by_its_last_one_with_it(store: Store) -> None:
    times = [HOUR, 2 * HOUR, DAY + HOUR]
    rows = [
        {
            "snapshot_id": f"s{n}", "view": view, "model": "ant", "rating": 1000.0 + n, "lower": 990.0, "upper": 1010.0,
            "rank": 1, "rank_best": 1, "rank_worst": 1, "votes": 10,
        }
        for n, view in ((1, "style"), (1, "raw"), (2, "raw"), (3, "style"))
    ]  # fmt: skip
    with store.write() as connection:
        connection.execute(schema.snapshot.insert(), snapshot_rows(times))
        connection.execute(schema.snapshot_row.insert(), rows)
    with store.read() as connection:
        found = audit_queries.read_daily_boards(connection, "style")
        raw = audit_queries.read_daily_boards(connection, "raw")
    assert [(at, [row[:2] for row in board]) for at, board in found] == [
        (HOUR, [["ant", 1001.0]]),
        (DAY + HOUR, [["ant", 1003.0]]),
    ]
    assert [at for at, _ in raw] == [2 * HOUR]
