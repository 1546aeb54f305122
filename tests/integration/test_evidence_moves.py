"""A voter's evidence goes on where the voter's votes come from another partition: a file, a stream, a larger topic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline import jobs
from pipeline.detectors import VOTER
from pipeline.store.db import schema
from pipeline.store.votes import voter_states
from pipeline.vocabulary.time import HOUR
from tests.integration.board_of_votes import OPTIONS, Board, event, using
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
                board.read_topic("topic", *events[half:])
            else:
                board.read(*events[half:])
            found[name] = alerts(board)
            found[f"{name}, replayed"] = replayed_alerts(board)
    assert "critical" in {one[3] for one in found["one"]}
    assert found["two"] == found["one"]
    assert found["two, replayed"] == found["one, replayed"]


@pytest.mark.long
def test_a_stream_goes_on_with_the_evidence_of_a_file_that_is_imported_while_it_is_read(tmp_path: Path) -> None:
    given = votes()
    events = list(records(given))
    early, middle, late = (int((given.at < HONEST + days * DAY).sum()) for days in (0, 0.75, 1.5))
    accounts = [one for one, attack in zip(events[early:late], given.attack[early:late], strict=True) if attack]
    others = [one for one, attack in zip(events[middle:late], given.attack[middle:late], strict=True) if not attack]
    before = [one for one, attack in zip(events[early:middle], given.attack[early:middle], strict=True) if not attack]
    assert len(accounts) > 100
    batch = len(others) // 25  # states are written every 20 batches
    found = {}
    for name in ("before", "meanwhile"):
        folder = tmp_path / name
        folder.mkdir()
        board = Board(str(folder / "b.db"), folder, OPTIONS.model_copy(update={"batch_votes": batch}))
        imports = [lambda board=board: board.read(*accounts)]
        with using(OPTIONS):
            board.read_topic("earlier", *events[:early])
            board.refresh()
            board.read_topic("earlier", *before)
            if name == "before":
                imports.pop()()

            def progress(imports: list[Any] = imports) -> None:
                """Import the file after the first batch."""
                if imports:
                    imports.pop()()

            board.read_topic("topic", *others, *events[late:], progress=progress)
            assert not imports
            found[name] = alerts(board)
            found[f"{name}, replayed"] = replayed_alerts(board)
    assert "critical" in {one[3] for one in found["before"]}
    assert found["meanwhile"] == found["before"]
    assert found["meanwhile, replayed"] == found["before, replayed"]
    biased = [one for one in found["meanwhile"] if one[0] == "voter_bias"]
    assert {one[1] for one in biased} == {one[0] for one in found["meanwhile, replayed"]}


def replayed_alerts(board: Board) -> list[tuple[Any, ...]]:
    """The signals of a detector that reads all votes again: subject, level and e-value."""
    replayed = jobs.replay_detector(board.url, "voter_bias")
    assert len([one for one in replayed if one["severity"] == "critical"]) >= 4
    return sorted((one["subject"]["id"], one["level"], one["e_value"]) for one in replayed)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "b.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def test_the_first_votes_of_a_partition_say_when_it_began_before_they_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board(str(tmp_path / "b.db"), tmp_path)
    search, asked = voter_states.carrying_partitions, []

    def carrying(connection: Connection, part: int, appended_at: int | None) -> list[int]:
        asked.append((part, appended_at))
        return search(connection, part, appended_at)

    monkeypatch.setattr(voter_states, "carrying_partitions", carrying)
    with using(OPTIONS):
        board.vote(60)
        board.refresh()
        board.read_topic("topic", *(event(n) for n in range(60, 90)))
    with board.store() as store, store.read() as connection:
        assert asked == [(2, voter_states.began_at(connection, 2))]


def test_states_are_looked_for_where_a_voter_may_have_been_before(url: str, tmp_path: Path) -> None:
    board = Board(url, tmp_path)
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
            begins_at = {at: voter_states.carrying_partitions(connection, 15, at) for at in (HOUR, HOUR + 1)}
            ignored = voter_states.carrying_partitions(connection, 11, 3 * HOUR)
    others = {11, 12, 13, 14}
    assert set(carrying[first]) == others
    assert set(carrying[11]) == {first, 13, 14}, "its source's partitions began together"
    assert set(carrying[13]) == {first, 11, 12, 14}, "a partition was added to its source"
    assert set(carrying[14]) == {first, 11, 12, 13}
    assert set(begins_at[HOUR + 1]) == {first, *others}, "its first vote, not stored yet, adds it to its source"
    assert set(begins_at[HOUR]) == {first, 13, 14}, "it begins together with the others of its source"
    assert carrying[15] == begins_at[HOUR], "it has no vote"
    assert ignored == carrying[11], "the stored vote says when a partition began"
    assert carrying[13].index(14) < carrying[13].index(11), "the youngest first"


def test_a_state_is_that_of_the_first_partition_that_has_one(tmp_path: Path) -> None:
    board = Board(str(tmp_path / "b.db"), tmp_path)
    board.vote(1)
    with board.store() as store:
        with store.write() as connection:
            voter_states.write(connection, {5: {1: b"old", 2: b"b"}, 6: {1: b"new"}})
        with store.read() as connection:
            assert voter_states.read_carried(connection, [6, 5], [1, 2, 3]) == {1: b"new", 2: b"b"}
