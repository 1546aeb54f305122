"""The copy of the newest votes gives what their rows give, and forgets an erased voter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline.jobs.custody import operator_actions
from pipeline.store.db import schema
from pipeline.store.log import kept_votes, newest_votes, seals
from pipeline.store.log.newest_votes import NewestVotes
from tests.integration.board_of_votes import OPTIONS, Board, using


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def board(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board whose votes are copied however few they are."""
    monkeypatch.setattr(kept_votes, "LEAST", 1)
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with using(OPTIONS):
        yield Board(url, tmp_path)


def same(one: NewestVotes, other: NewestVotes) -> bool:
    return all(np.array_equal(column, vars(other)[name]) for name, column in vars(one).items())


def copy(board: Board) -> tuple[int, bytes | None]:
    k = schema.kept_votes.c
    with board.store() as store, store.read() as connection:
        erasures, votes = connection.execute(sa.select(k.erasures, k.votes)).one()
    return erasures, votes


def test_the_copy_and_new_segments_give_the_newest_votes(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = newest_votes.read_segments

    def counted(connection: sa.Connection, segments: list[newest_votes.SealedRange]) -> newest_votes.SegmentVotes:
        read.append(len(segments))
        return original(connection, segments)

    for votes in (300, 10, 8, 5):
        board.vote(votes)
        board.refresh()
    monkeypatch.setattr(newest_votes, "read_segments", counted)
    with board.store() as store, store.write() as connection:
        size = seals.head(connection)[0]
        for asked, limit, segments in [(size, 10**6, 1), (size, 20, 1), (size, 5, 0), (310, 10**6, 2), (300, 10, 1)]:
            read.clear()
            found = kept_votes.read_newest(connection, asked, limit)
            assert read == [segments], (asked, limit)
            assert same(found, newest_votes.read_newest(connection, asked, limit)), (asked, limit)
        assert len(kept_votes.read_newest(connection, 0, 100).voter) == 0


def test_an_erasure_deletes_the_copy_and_no_earlier_read_brings_it_back(board: Board) -> None:
    board.vote(120)
    board.refresh()
    assert copy(board)[1] is not None
    with board.store() as store:
        guilty = store.pseudonym("voter 5")
        with store.read() as connection:
            erasures, stale = kept_votes._read(connection)
    assert stale is not None
    assert guilty in stale.votes.voter.tolist()
    operator_actions.erase(board.url, voter_id="voter 5")
    assert copy(board) == (erasures + 1, None)
    # A transaction that read before the erasure and ends after it.
    with board.store() as store, store.write() as connection:
        kept_votes._store(connection, stale.pack(), erasures)
    assert copy(board) == (erasures + 1, None)
    board.vote(10)
    board.refresh()
    with board.store() as store, store.read() as connection:
        made = kept_votes._read(connection)[1]
    assert made is not None
    assert len(made.votes.voter) == 130
    assert guilty not in made.votes.voter[:120].tolist()
