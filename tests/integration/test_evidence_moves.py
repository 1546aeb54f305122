"""A voter's evidence goes on where the voter's votes come from another partition: a file, a stream, a larger topic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline.detectors import VOTER
from pipeline.open_store import open_store
from pipeline.store.db import schema
from pipeline.store.votes import voter_states
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker
from pipeline.vocabulary.time import HOUR
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import DAY, BoardSpec, Votes, make_board, records

SPEC = BoardSpec(days=6, votes_a_day=600, models=8, taste=0.2)
HONEST = SPEC.start + 3 * DAY
DETECTORS = [one.name for one in VOTER]


def votes() -> Votes:
    """From the third day on there are accounts that favour a model, and accounts that press one side."""
    board = make_board(SPEC)
    attacks = [
        Attack("promote", 6, 60, target=5, first_day=3, days=2.9, focus=0.5, number=0),
        Attack("left", 4, 40, first_day=3, days=2.9, number=1),
    ]
    return board.votes.merge(*(make_attack(board, one) for one in attacks))


def alerts(board: Board) -> list[tuple[Any, ...]]:
    """Every alert of the voter detectors, without its place."""
    with board.store() as store, store.read() as connection:
        a = schema.alert.c
        columns = a.detector, a.subject, a.direction, a.severity, a.level, a.e_value
        rows = connection.execute(sa.select(*columns).where(a.detector.in_(DETECTORS)))
        return sorted(tuple(row) for row in rows)


def read(board: Board, source: str, events: list[dict[str, Any]]) -> None:
    """Read events as a source of its own, as a topic would be."""
    path = board.folder / f"{source}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in events), encoding="utf-8")
    files = FileSource(path)
    files.name = source
    store = open_store(board.url, voter_key=board.options.key, worker=True)
    Worker(files, store, board.options, VOTER, "test").run(until_end=True)
    store.close()


@pytest.mark.long
def test_a_stream_goes_on_with_the_evidence_of_an_imported_file(tmp_path: Path) -> None:
    given = votes()
    events = list(records(given))
    early, half = int((given.at < HONEST).sum()), int((given.at < HONEST + 1.5 * DAY).sum())
    found = {}
    for name, sources in {"one": ("file:votes", "file:votes"), "two": ("file:votes", "topic")}.items():
        folder = tmp_path / name
        folder.mkdir()
        board = Board(str(folder / "b.db"), folder)
        with using(OPTIONS):
            board.read(*events[:early])
            board.refresh()
            board.read(*events[early:half])
            if sources[1] == "topic":
                read(board, "topic", events[half:])
            else:
                board.read(*events[half:])
            found[name] = alerts(board)
            replayed = jobs.replay_detector(board.url, "voter_bias")
            assert len([one for one in replayed if one["severity"] == "critical"]) >= 4
            found[f"{name}, replayed"] = sorted(
                (one["subject"]["id"], one["level"], one["e_value"]) for one in replayed
            )
    assert "critical" in {one[3] for one in found["one"]}
    assert found["two"] == found["one"]
    assert found["two, replayed"] == found["one, replayed"]


def test_states_are_looked_for_where_a_voter_may_have_been_before(tmp_path: Path) -> None:
    board = Board(str(tmp_path / "b.db"), tmp_path)
    board.vote(3)
    with board.store() as store:
        with store.write() as connection:
            p, v = schema.partition, schema.vote
            row = dict(connection.execute(sa.select(p)).mappings().one())
            vote = dict(connection.execute(sa.select(v).limit(1)).mappings().one())
            for no, source, number, began in ((11, 7, 0, 0), (12, 7, 1, HOUR), (13, 8, 0, 0), (14, 8, 1, 3 * HOUR)):
                connection.execute(p.insert(), {**row, "partition_no": no, "source_no": source, "number": number})
                connection.execute(v.insert(), {**vote, "partition_no": no, "vote_id": f"{no}", "appended_at": began})
            connection.execute(p.insert(), {**row, "partition_no": 15, "source_no": 7, "number": 2})
        with store.read() as connection:
            first = int(row["partition_no"])
            carrying = {part: voter_states.carrying_partitions(connection, part) for part in (first, 11, 13, 14, 15)}
    others = {11, 12, 13, 14}
    assert set(carrying[first]) == others
    assert set(carrying[11]) == {first, 13, 14}, "its source's partitions began together"
    assert set(carrying[13]) == {first, 11, 12, 14}, "a partition was added to its source"
    assert set(carrying[14]) == {first, 11, 12, 13}
    assert set(carrying[15]) == {first, *others}, "it is new itself"
    assert carrying[13].index(14) < carrying[13].index(11), "the youngest first"


def test_a_state_is_that_of_the_first_partition_that_has_one(tmp_path: Path) -> None:
    board = Board(str(tmp_path / "b.db"), tmp_path)
    board.vote(1)
    with board.store() as store:
        with store.write() as connection:
            voter_states.write(connection, {5: {1: b"old", 2: b"b"}, 6: {1: b"new"}})
        with store.read() as connection:
            assert voter_states.read_carried(connection, [6, 5], [1, 2, 3]) == {1: b"new", 2: b"b"}
