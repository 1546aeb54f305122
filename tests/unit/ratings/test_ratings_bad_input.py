"""Bad input is refused with a message that names the value and its place."""

import numpy as np
import pytest

from pipeline.errors import BadCounts, Disconnected, NotConverged
from pipeline.ratings import (
    PairCounts,
    compute_leaderboard,
    fit,
    fit_decisive,
    fit_matrix,
    pair_weights,
    select_rated_models,
    wald_intervals,
)

AB = ("ant", "bee")
ABC = ("ant", "bee", "cat")


def _rows(a, b, table, names=ABC) -> PairCounts:
    return PairCounts.from_rows(names, a, b, table)


@pytest.mark.parametrize(
    ("a", "b", "table", "names", "message"),
    [
        ([0, 1], [1, 2], [[1, 1, 0, 0], [0, 0, -3, 0]], ABC, r"ties .*got -3 for bee against cat at row 1"),
        (
            [0],
            [1],
            [[1, 1, np.nan, 0]],
            ABC,
            r"whole numbers in ties, got nan at row 0",
        ),
        ([0], [1], [[1.5, 1, 0, 0]], ABC, r"whole numbers in wins_a, got 1.5 at row 0"),
        ([0], [1], [[2**60, 1, 0, 0]], ABC, r"2\^53.*ant against bee at row 0"),
        ([0, 0], [1, 2], [[2**53, 0, 0, 0]] * 2, ABC, r"at most 2\^53 votes"),
        ([0], [1], [["x", 1, 0, 0]], ABC, r"whole numbers in wins_a"),
        ([0], [1], [[1, 1, 0]], ABC, r"shape \(P, 4\), got \(1, 3\)"),
        ([0, 1], [1, 2], [[1, 1, 0, 0]], ABC, r"expected 2 rows of wins_a, got shape \(1,\)"),
        ([0, 1], [1], [[1, 1, 0, 0]], ABC, r"one length, got 2 and 1"),
        ([0, 1], [1, 1], [[1, 1, 0, 0]] * 2, ABC, r"got bee against itself at row 1"),
        ([0], [3], [[1, 1, 0, 0]], ABC, r"b to be a code in \[0, 3\), got 3 at row 0"),
        ([-1], [1], [[1, 1, 0, 0]], ABC, r"a to be a code in \[0, 3\), got -1 at row 0"),
        ([[0]], [[1]], [[1, 1, 0, 0]], ABC, r"one dimension"),
        ([0], [1], [[1, 1, 0, 0]], ("ant", "ant"), r"got 'ant' again at code 1"),
        ([0], [1], [[1, 1, 0, 0]], ("ant", ""), r"model name, got '' at code 1"),
    ],
)
def test_a_bad_row_is_named(a, b, table, names, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        _rows(a, b, table, names)


@pytest.mark.parametrize(
    ("left", "right", "winner", "message"),
    [
        (["ant", "bee"], ["bee", "cat"], ["tie", "draw"], r"got 'draw' at row 1"),
        (["ant"], ["bee"], [float("nan")], r"got nan at row 0"),
        (["ant"], ["bee"], [["tie"]], r"got \['tie'\] at row 0"),
        (["ant", "bee"], ["bee", "bee"], ["tie", "tie"], r"bee against itself at row 1"),
        (["ant", "ant"], ["bee", None], ["tie", "tie"], r"model name, got None at row 1"),
        (["ant", ""], ["bee", "bee"], ["tie", "tie"], r"model name, got '' at row 1"),
        ([["ant"]], ["bee"], ["tie"], r"model name, got \['ant'\] at row 0"),
        (["ant"], ["bee", "cat"], ["tie"], r"one length, got 1 model_a, 2 model_b, 1 winner"),
    ],
)
def test_a_bad_vote_is_named(left, right, winner, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        PairCounts.from_labels(left, right, winner)


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ([4], r"outcome to be a code in \[0, 4\), got 4 at row 0"),
        ([0, 1], r"one length, got 1 a, 1 b, 2 outcome"),
    ],
)
def test_a_bad_code_is_named(outcome, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        PairCounts.from_codes(AB, [0], [1], outcome)


@pytest.mark.parametrize(
    ("wins", "ties", "names", "message"),
    [
        ([[0, np.nan], [1, 0]], None, AB, r"wins, got nan for ant against bee"),
        ([[0, 1], [np.inf, 0]], None, None, r"wins, got inf for model 1 against model 0"),
        ([[0, 1], [-1, 0]], None, AB, r"wins, got -1.0 for bee against ant"),
        ([[0, 1], [1, 2]], None, AB, r"nothing on the diagonal in wins, got 2.0 for bee against bee"),
        ([[0, 1]], None, None, r"shape \(K, K\), got \(1, 2\)"),
        ([["x"]], None, None, r"matrix of numbers"),
        ([[0, 1], [1, 0]], None, ABC, r"expected 2 model names for wins, got 3"),
        ([[0, 1], [1, 0]], [[0, 1], [2, 0]], AB, r"symmetric ties"),
        ([[0, 0], [0, 0]], None, AB, r"got 2 models and 0 votes"),
        ([[0]], None, None, r"got 1 models and 0 votes"),
        (np.zeros((0, 0)), None, None, r"got 0 models"),
    ],
)
def test_a_bad_matrix_is_named(wins, ties, names, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        fit_matrix(wins, ties, names=names)


def test_two_components_are_refused_with_their_members() -> None:
    names = (*ABC, "dog", "elk")
    counts = _rows([0, 0, 3], [1, 2, 4], [[3, 3, 0, 0], [3, 3, 0, 0], [1, 1, 0, 0]], names)
    with pytest.raises(Disconnected, match=r"got 2 components .*\{ant, bee, cat\}; \{dog, elk\}") as caught:
        fit(counts)
    assert caught.value.components == (("ant", "bee", "cat"), ("dog", "elk"))


def test_a_long_list_of_components_is_short_in_the_message_and_complete_in_the_error() -> None:
    with pytest.raises(Disconnected, match="; …") as caught:
        fit_matrix(np.triu(np.ones((9, 9)), 1))
    assert len(caught.value.components) == 9


def test_a_model_that_only_ties_has_no_decisive_fit() -> None:
    counts = _rows([0, 1], [1, 2], [[1, 1, 0, 0], [0, 0, 4, 1]])
    assert fit(counts).converged
    with pytest.raises(Disconnected, match="cat"):
        fit_decisive(counts)


def test_an_unfinished_fit_is_not_returned() -> None:
    with pytest.raises(NotConverged) as caught:
        fit(_rows([0], [1], [[9, 1, 0, 0]], AB), max_iterations=2)
    assert caught.value.iterations == 2
    assert caught.value.gradient_norm > 1e-3


def test_no_votes_are_an_error_everywhere() -> None:
    empty = PairCounts.from_codes(AB, [], [], [])
    assert empty.total == 0
    with pytest.raises(BadCounts, match="tie share"):
        empty.tie_share()
    with pytest.raises(BadCounts, match="at least one vote"):
        select_rated_models(empty)
    with pytest.raises(BadCounts, match="2 models and 0 votes"):
        compute_leaderboard(empty)


def test_an_anchor_must_be_rated_and_a_level_between_0_and_1() -> None:
    counts = _rows([0], [1], [[2, 1, 0, 0]], AB)
    with pytest.raises(BadCounts, match="got 'owl'"):
        compute_leaderboard(counts, anchor=("owl", 1000.0))
    with pytest.raises(BadCounts, match=r"got 1\.0"):
        wald_intervals(fit(counts), level=1.0)


def test_counts_on_different_axes_are_refused() -> None:
    one, other = _rows([0], [1], [[2, 1, 0, 0]], AB), _rows([0], [1], [[2, 1, 0, 0]], ABC)
    with pytest.raises(BadCounts, match="part 1"):
        PairCounts.merge([one, other])
    with pytest.raises(BadCounts, match="none"):
        PairCounts.merge([])


def test_subtracting_more_votes_than_there_are_is_refused() -> None:
    one, more = _rows([0], [1], [[2, 1, 0, 0]], AB), _rows([1], [0], [[0, 3, 0, 0]], AB)
    with pytest.raises(BadCounts, match="-1 for ant against bee"):
        one.minus(more)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[0, 0], [1, 0]], "symmetric weights"),
        ([[0, np.nan], [np.nan, 0]], r"finite number at least 0 in weights, got nan for ant against bee"),
        ([[0, 0], [0, 0]], r"weight above 0, got 0\.0 for ant against bee"),
        (np.ones((3, 3)), r"weights of shape \(2, 2\), got \(3, 3\)"),
    ],
)
def test_a_bad_weight_is_named(weights, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        fit_matrix([[0, 3], [1, 0]], weights=weights, names=AB)


@pytest.mark.parametrize("least", [0, -1, 2.5, True, None])
def test_a_bad_least_count_is_named(least) -> None:
    counts = _rows([0], [1], [[2, 1, 0, 0]], AB)
    with pytest.raises(BadCounts, match="whole number from 1"):
        pair_weights(counts, least)
