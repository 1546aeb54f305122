"""Orders by group: as `numpy.lexsort` gives them, without a search."""

import numpy as np
import pytest

from pipeline.evidence.grouped_sums import number_groups, order_by_cell, order_by_group


def test_rows_are_ordered_by_group_and_stay_in_order_within_one() -> None:
    rng = np.random.default_rng(1)
    group = rng.integers(0, 40, 500)
    assert order_by_group(group, 60).tolist() == np.argsort(group, kind="stable").tolist()
    assert order_by_group(np.zeros(0, dtype=np.int64), 0).tolist() == []


def test_a_cell_has_the_rows_of_its_two_groups() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 30, 400), rng.integers(0, 7, 400)
    order, sizes = order_by_cell(first, second)
    assert order.tolist() == np.lexsort((second, first)).tolist()
    assert sizes.tolist() == np.unique(first * 7 + second, return_counts=True)[1].tolist()
    assert [len(one) for one in order_by_cell(first[:0], second[:0])] == [0, 0]


@pytest.mark.parametrize("keys", [[], [5], [-3, -3, 0, 9, 9], [9, 2, 2, -4], [4, 1, 4, 7, 1]])
def test_groups_are_numbered_by_their_first_rows(keys: list[int]) -> None:
    distinct = list(dict.fromkeys(keys))
    assert number_groups(np.array(keys, dtype=np.int64)).tolist() == [distinct.index(key) for key in keys]
