"""Answers that change their style: found where a model changed, and not where only the prompts did."""

import numpy as np
import pytest

from pipeline.backlog import BacklogEvaluation
from pipeline.backlog.answer_styles import AnswerStyles, StyleFinding
from pipeline.backlog.backlog_votes import BacklogVotes
from pipeline.vocabulary.time import DAY, NO_TIME
from tests.streams.styles import START, StyleBoard, draw_styles


def _found(board: StyleBoard) -> list[StyleFinding]:
    votes, columns = draw_styles(board)
    return AnswerStyles(votes, columns.style).find(np.zeros(len(votes.names), dtype=np.bool_))


@pytest.mark.long
def test_longer_answers_of_a_model_are_found_with_the_time_and_the_direction() -> None:
    longer, lists = sorted(_found(StyleBoard(votes=30_000, longer=1.5)), key=lambda one: one.style != "longer answers")
    assert (longer.model, longer.style) == (0, "longer answers")
    assert (lists.model, lists.style) == (0, "answers with more lists")
    assert abs(longer.first - (START + 84 * DAY)) < DAY
    assert longer.log_e > np.log(longer.tests / 0.01)


@pytest.mark.long
def test_answers_that_become_shorter_are_called_shorter() -> None:
    found = _found(StyleBoard(votes=30_000, longer=-1.5))
    assert {(one.model, one.style) for one in found} == {(0, "shorter answers"), (0, "answers with fewer lists")}


@pytest.mark.long
@pytest.mark.parametrize("changed", [28, 84, 140])
def test_one_change_is_told_in_one_direction_however_long_ago_it_was(changed: int) -> None:
    """Early weeks that differ from the many after the change have the opposite style; the change has not."""
    found = _found(StyleBoard(votes=30_000, longer=1.5, changed=changed))
    (longer,) = (one for one in found if one.style in ("longer answers", "shorter answers"))
    assert longer.style == "longer answers"
    assert abs(longer.first - (START + changed * DAY)) < DAY
    assert longer.voters > 100


@pytest.mark.long
def test_a_style_that_came_and_went_is_told_of_the_weeks_that_had_it() -> None:
    votes, columns = draw_styles(StyleBoard(votes=30_000, longer=1.5, changed=56))
    usual, style = draw_styles(StyleBoard(votes=30_000))
    over = votes.at >= START + 84 * DAY
    style.style[~over] = columns.style[~over]
    found = AnswerStyles(usual, style.style).find(np.zeros(len(usual.names), dtype=np.bool_))
    (longer,) = (one for one in found if one.style in ("longer answers", "shorter answers"))
    assert longer.style == "longer answers"
    assert abs(longer.first - (START + 56 * DAY)) < DAY
    assert abs(longer.end - (START + 84 * DAY)) < DAY


@pytest.mark.long
@pytest.mark.parametrize("wandering", [0.0, 0.5, 1.0])
def test_prompts_that_wander_from_week_to_week_are_no_change_of_a_model(wandering: float) -> None:
    found = [
        one
        for seed in range(8)
        for votes in (20_000, 60_000)
        for one in _found(StyleBoard(votes=votes, wandering=wandering, seed=seed))
    ]
    assert found == []


def test_votes_without_times_or_in_one_month_say_nothing_about_changes() -> None:
    votes, columns = draw_styles(StyleBoard(votes=5_000, longer=2.0))
    nobody = np.zeros(len(votes.names), dtype=np.bool_)
    for at in (np.full(5_000, NO_TIME), START + votes.at % DAY):
        moved = BacklogVotes(
            votes.models, votes.names, votes.row, votes.voter, votes.model_a, votes.model_b, votes.outcome, at,
            votes.network,
        )  # fmt: skip
        assert AnswerStyles(moved, columns.style).find(nobody) == []


def test_the_evaluation_of_a_backlog_tells_changes_of_style_where_votes_have_style_counts() -> None:
    votes, columns = draw_styles(StyleBoard(models=8, votes=20_000, voters=3_000, longer=1.5, seed=3))
    found = BacklogEvaluation(votes, b"key", habits=columns).run()
    assert {one.model for one in found.styles} == {0}
    assert not found.periods
    assert BacklogEvaluation(votes, b"key").run().styles == []
