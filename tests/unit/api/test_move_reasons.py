"""The sentences about a move name its causes, with signs, and the models that it passed."""

import pytest
from msgspec.structs import replace

from pipeline.api.move_reasons import main_cause, move_reason, rating_change
from pipeline.jobs.refresh.board_diff import STEPS, ModelMove, NewBattles

NO_POINTS = dict.fromkeys(STEPS)
MOVE = ModelMove(
    "ant",
    {"rank": 4, "rating": 1000.0},
    {"rank": 2, "rating": 1012.34},
    {"settings": 0.0, "exclusions": 0.0, "votes": 12.34},
    NewBattles(1200, 700, 400, 0.625, 0.5),
    ("bee", "cat"),
    (),
)


def test_a_model_that_came_or_went_has_no_points() -> None:
    assert move_reason(replace(MOVE, before=None, points=NO_POINTS)) == "New on the board, at place 2."
    assert move_reason(replace(MOVE, after=None, points=NO_POINTS)) == "No longer on the board."


def test_a_single_cause_follows_the_change_of_the_rating() -> None:
    assert move_reason(MOVE) == (
        "+12.3 points by new votes (1,200 of them its own: it scored 62.5%, 50.0% was expected). Passed bee, cat."
    )


def test_several_causes_have_their_points_in_the_order_of_the_steps() -> None:
    points = {"settings": 5.0, "exclusions": -2.66, "votes": 10.0}
    text = move_reason(replace(MOVE, points=points, battles=NewBattles(3, 0, 0, None, None), passed=()))
    assert text == (
        "+12.3 points: +5.0 by changed settings, −2.7 by exclusions that were added or undone, "
        "+10.0 by new votes (3 of them its own)."
    )


def test_the_short_form_has_the_points_of_each_cause() -> None:
    points = {"settings": 0.0, "exclusions": -2.66, "votes": 15.0}
    assert rating_change(replace(MOVE, points=points)) == (
        "Its rating rose by 12.3 points: −2.7 by exclusions, +15.0 by new votes."
    )
    assert rating_change(MOVE) == "Its rating rose by 12.3 points, all by new votes."
    lower = replace(MOVE, after={"rank": 2, "rating": 990.0}, points=NO_POINTS)
    assert rating_change(lower) == "Its rating fell by 10.0 points. The models around it lost more."
    assert rating_change(replace(MOVE, before=None, points=NO_POINTS)) == ""


def test_a_rise_in_rank_with_a_lower_rating_names_the_others() -> None:
    lower = replace(MOVE, after={"rank": 2, "rating": 990.0}, points={**MOVE.points, "votes": -10.0})
    assert "−10.0 points by new votes" in move_reason(lower)
    assert "The models around it lost more." in move_reason(lower)
    higher = replace(MOVE, after={"rank": 9, "rating": 1010.0}, passed=(), passed_by=tuple("abcde"))
    assert move_reason(higher).endswith("The models around it won more. Was passed by a, b, c and 2 more.")


def test_a_changed_method_names_each_rule_with_its_points() -> None:
    points = {"settings": 0.0, "method": 3.0, "exclusions": 0.0, "votes": 0.0}
    rules = {"not_anonymous": 4.25, "refusal": -1.25}
    text = move_reason(replace(MOVE, points=points, rules=rules, passed=()))
    assert text == (
        "+12.3 points by rules of the method that were turned on or off (not_anonymous +4.2, refusal −1.2)."
    )


@pytest.mark.parametrize(
    ("points", "exclusions", "cause"),
    [
        ({"votes": 12.0}, (False, False), "of new votes"),
        ({"votes": 5.0, "exclusions": 7.0}, (True, False), "votes were excluded"),
        ({"exclusions": 7.0}, (False, True), "excluded votes count again"),
        ({"exclusions": 7.0}, (True, True), "votes were excluded, and others counted again"),
        ({"votes": 20.0, "exclusions": -30.0, "settings": 22.0}, (True, False), "settings changed"),
        ({"method": 12.0}, (False, False), "rules of the method changed"),
        ({"votes": -12.0}, (False, False), ""),
        ({"votes": None}, (False, False), ""),
    ],
)
def test_the_main_cause_is_the_largest_one_in_the_direction_of_the_move(
    points: dict[str, float | None], exclusions: tuple[bool, bool], cause: str
) -> None:
    excluded, restored = exclusions
    assert main_cause(replace(MOVE, points=points), excluded=excluded, restored=restored) == cause
