"""How a stream is split into files, and the order of votes within a sitting, change neither alerts nor counts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline.detectors import WINDOW
from pipeline.scoring.window_counter import WindowCounts
from pipeline.store.db import schema
from pipeline.store.votes import window_counts
from pipeline.stream.window_monitor import Monitor
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.streams.attacks import Attack, make_attack
from tests.streams.independent import DAY, BoardSpec, Votes, make_board, records

SPEC = BoardSpec(days=8, votes_a_day=500, models=8, networks=20, taste=0.2)
HONEST_DAYS = 4

Split = Callable[[Votes], Iterator[Votes]]


def stream() -> Votes:
    """Honest votes, and from the fourth day on accounts that favour a model or press one side."""
    board = make_board(SPEC)
    attacks = [
        Attack("promote", 6, 60, target=5, first_day=HONEST_DAYS, days=3.9, focus=0.5, number=0),
        Attack("left", 4, 40, first_day=HONEST_DAYS, days=3.9, number=1),
    ]
    return board.votes.merge(*(make_attack(board, one) for one in attacks))


def one_file(votes: Votes) -> Iterator[Votes]:
    yield votes


def a_file_a_day(votes: Votes) -> Iterator[Votes]:
    day = (votes.at - SPEC.start) // DAY
    for one in np.unique(day):
        yield votes.take(day == one)


def sittings_turned_round(votes: Votes) -> Iterator[Votes]:
    """Within each sitting the last vote comes first in the file."""
    _, sitting = np.unique(votes.sitting, return_inverse=True)
    first = np.full(sitting.max() + 1, len(votes))
    np.minimum.at(first, sitting, np.arange(len(votes)))
    yield votes.take(np.lexsort((-np.arange(len(votes)), first[sitting])))


def run(folder: Path, votes: Votes, split: Split) -> tuple[list[tuple[Any, ...]], list[WindowCounts]]:
    """Return the alerts and the counts of windows."""
    folder.mkdir()
    board = Board(str(folder / "b.db"), folder)
    early = votes.at < SPEC.start + HONEST_DAYS * DAY
    ids = {id_: f"v{i}" for i, id_ in enumerate(zip(votes.at.tolist(), votes.voter.tolist(), strict=True))}

    def events(part: Votes) -> Iterator[dict[str, Any]]:
        for event, at, voter in zip(records(part), part.at.tolist(), part.voter.tolist(), strict=True):
            yield event | {"vote_id": ids[at, voter]}

    with using(OPTIONS):
        board.read(*events(votes.take(early)))
        board.refresh()
        for part in split(votes.take(~early)):
            board.read(*events(part))
        with board.store() as store:
            Monitor(store, OPTIONS, "test", WINDOW).run(close=True, until_end=True)
            with store.read() as connection:
                a = schema.alert.c
                columns = a.alert_id, a.detector, a.subject, a.direction, a.severity, a.level, a.e_value
                alerts = [tuple(row) for row in connection.execute(sa.select(*columns).order_by(a.alert_id))]
                return alerts, window_counts.read_range(connection, 0, 2**62)


def same(one: list[WindowCounts], other: list[WindowCounts]) -> bool:
    for a, b in zip(one, other, strict=True):
        assert (a.start, a.accepted, a.late) == (b.start, b.accepted, b.late)
        assert (a.counts == b.counts).all()
        assert a.voters is not None
        assert b.voters is not None
        assert (a.voters.rows == b.voters.rows).all()
    return True


@pytest.mark.long
def test_a_file_a_day_gives_the_alerts_and_counts_of_one_file(tmp_path: Path) -> None:
    votes = stream()
    alerts, counts = run(tmp_path / "one", votes, one_file)
    assert {one[1] for one in alerts} >= {"voter_bias"}
    assert "critical" in {one[4] for one in alerts}
    again, others = run(tmp_path / "days", votes, a_file_a_day)
    assert again == alerts
    assert same(counts, others)


@pytest.mark.long
def test_the_order_within_a_sitting_changes_no_count(tmp_path: Path) -> None:
    votes = stream()
    assert same(run(tmp_path / "one", votes, one_file)[1], run(tmp_path / "turned", votes, sittings_turned_round)[1])
