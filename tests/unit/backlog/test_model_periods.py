"""Periods of four weeks: those without votes cost nothing, and votes without a time are in none."""

import numpy as np

from pipeline.backlog import BacklogEvaluation, BacklogVotes
from pipeline.backlog.cohorts import by_age
from pipeline.backlog.model_periods import PERIOD, split_periods
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import DAY, NO_TIME
from tests.streams.planted_boards import PlantedBoard, PlantedVotes, draw


def test_periods_without_a_time_are_left_out() -> None:
    late = 600 * PERIOD
    period, first, end = split_periods(np.array([0, late, late + DAY, late + PERIOD]))
    assert period.tolist() == [0, 1, 1, 1]
    assert first.tolist() == [0, late]
    assert end.tolist() == [PERIOD, late + PERIOD + 1]


def test_a_short_last_period_is_part_of_the_one_before() -> None:
    period, first, end = split_periods(np.array([0, PERIOD - 1, PERIOD + DAY]))
    assert period.tolist() == [0, 0, 0]
    assert (first.tolist(), end.tolist()) == ([0], [PERIOD + DAY + 1])
    assert [len(values) for values in split_periods(np.zeros(0, dtype=np.int64))] == [0, 0, 0]


def test_an_account_whose_first_vote_has_no_time_has_no_age() -> None:
    one = np.ones(3, dtype=np.int64)
    votes = BacklogVotes.from_columns(
        2, np.array([1, 2, 3]), one * 0, one, one * 0, np.array([NO_TIME, 400 * DAY, 400 * DAY])
    )
    assert by_age(votes, np.array([DAY, DAY, NO_TIME])).group.tolist() == [1, 7, 1]


def _backlog(drawn: PlantedVotes, at: Int64) -> BacklogVotes:
    """Return drawn votes in which model 5 wins each battle that is not in one of the two middle months."""
    start, end = 20_000 * DAY, 20_060 * DAY
    apart = (at < start) | (at > end)
    outcome = np.where(apart & (drawn.model_a == 5), 0, np.where(apart & (drawn.model_b == 5), 1, drawn.outcome))
    return BacklogVotes.from_columns(8, drawn.voter + 1, drawn.model_a, drawn.model_b, outcome, at)


def test_votes_without_a_time_are_no_period() -> None:
    drawn = draw(PlantedBoard(votes=4_000))
    at = 20_000 * DAY + np.arange(4_000) * DAY // 70
    undated = np.arange(4_000) % 2 == 0
    never, epoch = (
        BacklogEvaluation(_backlog(drawn, np.where(undated, time, at)), b"key").run().periods for time in (NO_TIME, 0)
    )
    assert not never
    assert [one.model for one in epoch] == [5], "votes with the same results and a time are a period"
