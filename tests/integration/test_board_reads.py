"""What checks and audits read of a store, over SQLite and PostgreSQL: no partition and no day is passed over."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.open_store import open_store
from pipeline.store import Store
from pipeline.store.boards import audit_queries, verdicts
from pipeline.store.db import schema
from pipeline.vocabulary.time import DAY

HOUR = DAY // 24


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
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


def test_a_day_whose_last_snapshot_lacks_a_view_is_read_by_its_last_one_with_it(store: Store) -> None:
    times = [HOUR, 2 * HOUR, DAY + HOUR]
    snapshots = [
        {
            "snapshot_id": f"s{n}", "work_key": f"w{n}", "log_size": n, "body": "{}", "reference": b"", "rated_at": at,
            "sequence": n, "published_at": at,
        }
        for n, at in enumerate(times, 1)
    ]  # fmt: skip
    rows = [
        {
            "snapshot_id": f"s{n}", "view": view, "model": "ant", "rating": 1000.0 + n, "lower": 990.0, "upper": 1010.0,
            "rank": 1, "rank_best": 1, "rank_worst": 1, "votes": 10,
        }
        for n, view in ((1, "style"), (1, "raw"), (2, "raw"), (3, "style"))
    ]  # fmt: skip
    with store.write() as connection:
        connection.execute(schema.snapshot.insert(), snapshots)
        connection.execute(schema.snapshot_row.insert(), rows)
    with store.read() as connection:
        found = audit_queries.read_daily_boards(connection, "style")
        raw = audit_queries.read_daily_boards(connection, "raw")
    assert [(at, [row[:2] for row in board]) for at, board in found] == [
        (HOUR, [["ant", 1001.0]]),
        (DAY + HOUR, [["ant", 1003.0]]),
    ]
    assert [at for at, _ in raw] == [2 * HOUR]
