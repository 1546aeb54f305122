"""The fewest votes to flip or to add, against a search of all small changes."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadCounts, RatingError
from pipeline.ratings import PairCounts, fit
from pipeline.ratings.bradley_terry import fit_matrix
from pipeline.ratings.vote_changes import fewest_additions, fewest_flips


def _counts(cells: list[list[int]]) -> PairCounts:
    table = np.column_stack([np.array(cells), np.zeros(len(cells), dtype=np.int64)])
    return PairCounts.from_rows(("x", "y", "z"), [0, 0, 1], [1, 2, 2], table)


def _swaps(W: np.ndarray, above: int, below: int) -> bool:
    try:
        theta = fit_matrix(W, names=("x", "y", "z")).theta
    except RatingError:
        return False
    return bool(theta[above] < theta[below] - 1e-9)


def _smallest(
    moves: list[np.ndarray], limits: list[int], W: np.ndarray, pair: tuple[int, int], most: int
) -> int | None:
    for votes in range(1, most + 1):
        for chosen in combinations_with_replacement(range(len(moves)), votes):
            times = np.bincount(chosen, minlength=len(moves))
            if (times <= limits).all() and _swaps(W + sum(t * m for t, m in zip(times, moves, strict=True)), *pair):
                return votes
    return None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(1, 4), min_size=3, max_size=3), min_size=3, max_size=3))
def test_the_numbers_equal_the_smallest_of_all_changes(cells: list[list[int]]) -> None:
    counts = _counts(cells)
    fitted = fit(counts)
    above, below = (int(k) for k in np.argsort(-fitted.theta)[:2])
    if fitted.theta[above] - fitted.theta[below] < 1e-6:
        return
    W, moves, limits = counts.win_matrix(), [], []
    for (i, j), (won, lost, tied) in zip([(0, 1), (0, 2), (1, 2)], cells, strict=True):
        to_i = np.zeros((3, 3))
        to_i[i, j], to_i[j, i] = 1.0, -1.0
        moves += [-to_i, to_i, to_i / 2, -to_i / 2]
        limits += [won, lost, tied, tied]
    flips = fewest_flips(counts, fitted, above, below)
    assert flips is not None
    assert flips.theta[below] > flips.theta[above]
    slow = _smallest(moves, limits, W, (above, below), min(flips.votes, 3))
    assert slow in {None, flips.votes}
    single = [np.zeros((3, 3)) for _ in range(6)]
    for one, (i, j) in zip(single, [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)], strict=True):
        one[i, j] = 1.0
    added = fewest_additions(counts, fitted, above, below)
    assert added is not None
    assert added.theta[below] > added.theta[above]
    slow = _smallest(single, [99] * 6, W, (above, below), min(added.votes, 3))
    assert slow in {None, added.votes}


def test_two_models_have_a_closed_form() -> None:
    # 60 against 40: 11 flips give 49 against 51, 21 further votes 60 against 61.
    counts = PairCounts.from_rows(("x", "y"), [0], [1], np.array([[60, 40, 0, 0]]))
    flips, added = (search(counts, fit(counts), 0, 1) for search in (fewest_flips, fewest_additions))
    assert flips is not None and added is not None
    assert (flips.votes, added.votes) == (11, 21)
    assert flips.share == 0.11


def test_a_pair_in_the_other_order_is_refused() -> None:
    counts = PairCounts.from_rows(("x", "y"), [0], [1], np.array([[60, 40, 0, 0]]))
    with pytest.raises(BadCounts, match="expected y above x"):
        fewest_flips(counts, fit(counts), 1, 0)
