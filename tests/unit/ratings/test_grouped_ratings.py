"""Boards by group: agreement with separate counts, laws, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts, compute_leaderboard
from pipeline.ratings.grouped_ratings import count_groups, rate_groups
from tests.unit.ratings.strategies import NAMES, voted

LABELS = ("code", "maths", "prose")


def _same(one: PairCounts, other: PairCounts) -> None:
    assert one.models == other.models
    assert one.a.tolist() == other.a.tolist()
    assert one.table().tolist() == other.table().tolist()


@settings(max_examples=60, deadline=None)
@given(voted(), st.lists(st.integers(-1, 2), min_size=200, max_size=200))
def test_groups_equal_counting_each_by_itself(case, draws: list[int]) -> None:
    counts, votes = case
    group = np.resize(draws, len(votes))
    found = count_groups(counts.models, *votes[:, :3].T, LABELS, group)
    _same(found.whole, counts)
    for place, label in enumerate(LABELS):
        alone = PairCounts.from_codes(counts.models, *votes[group == place][:, :3].T)
        assert (label in found.groups) == (alone.total > 0)
        if alone.total:
            _same(found.groups[label], alone)


def test_a_board_of_a_group_is_the_board_of_its_votes(small) -> None:
    group = np.where(small.voter == -1, -1, small.voter % 2)
    grouped = count_groups(small.models, small.a, small.b, small.outcome, ("even", "odd"), group)
    boards = rate_groups(grouped)
    assert sorted(board.label for board in boards) == ["even", "odd"]
    assert boards[0].votes >= boards[1].votes
    for found in boards:
        rows = group == ("even", "odd").index(found.label)
        alone = compute_leaderboard(
            PairCounts.from_codes(small.models, small.a[rows], small.b[rows], small.outcome[rows])
        )
        assert found.board is not None
        assert found.board.models == alone.models
        assert found.board.rating.tolist() == alone.rating.tolist()
        assert found.reason == ""


def test_a_group_without_an_estimate_has_a_reason_and_the_others_are_rated() -> None:
    a, b, outcome = [0, 0, 1, 0, 1], [1, 1, 0, 1, 2], [0, 1, 0, 0, 0]
    grouped = count_groups(NAMES[:3], a, b, outcome, ("big", "lost"), [0, 0, 0, 0, 1])
    boards = {board.label: board for board in rate_groups(grouped, anchor=("ant", 1100.0))}
    assert boards["lost"].board is None
    assert "components" in boards["lost"].reason
    assert boards["big"].board is not None
    assert boards["big"].board.rating[boards["big"].board.models.index("ant")] == pytest.approx(1100)
    assert [u.model for u in boards["big"].board.unrated] == ["cat"]


def test_a_group_without_the_anchor_keeps_its_mean() -> None:
    grouped = count_groups(NAMES[:3], [0, 0], [1, 1], [0, 1], ("big",), [0, 0])
    (found,) = rate_groups(grouped, anchor=("cat", 1100.0))
    assert found.board is not None
    assert found.board.rating.mean() == pytest.approx(1000)


@pytest.mark.parametrize(
    ("labels", "group", "message"),
    [
        (("x",), [1], r"group to be a code in \[-1, 1\), got 1 at row 0"),
        (("x",), [-2], r"got -2 at row 0"),
        (("x",), [0, 0], "got 1 a, 1 b, 1 outcome, 2 group"),
        (("x", "x"), [0], "each group once"),
        (("x",), [0.5], "whole numbers in group"),
    ],
)
def test_a_bad_group_is_named(labels, group, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        count_groups(NAMES[:2], [0], [1], [0], labels, group)


def test_a_model_against_itself_is_named() -> None:
    with pytest.raises(BadCounts, match="bee against itself at row 0"):
        count_groups(NAMES[:2], [1], [1], [0], ("x",), [0])
