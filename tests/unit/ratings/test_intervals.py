"""Intervals lie around the rating, by hand: two models of which one won 30 of 40 votes.

θ = ±½ ln 3, or ±½ · 400 log₁₀ 3 = ±95.424 points. The variance of the difference is 1/(n p q) = 1/(40 · ¾ · ¼), so
that each model's standard error is ½ √(2/15) = .18257 logits, or 31.717 points.
"""

import numpy as np
import pytest

from pipeline.ratings import PairCounts, fit, marginal_ranks, wald_intervals
from pipeline.ratings.intervals import RatingIntervals


def thirty_of_forty() -> RatingIntervals:
    return wald_intervals(fit(PairCounts.from_rows(("a", "b"), [0], [1], [[30, 10, 0, 0]])))


def test_a_rating_is_the_middle_of_its_95_percent_interval() -> None:
    shown = thirty_of_forty()
    assert shown.rating == pytest.approx([1095.424, 904.576], abs=0.001)
    assert shown.se == pytest.approx([31.717, 31.717], abs=0.001)
    assert shown.lower == pytest.approx([1033.261, 842.413], abs=0.002)  # 1.959964 · 31.717 = 62.163 below
    assert shown.upper == pytest.approx([1157.587, 966.739], abs=0.002)


def test_a_level_of_90_percent_reaches_1_645_standard_errors() -> None:
    shown = wald_intervals(fit(PairCounts.from_rows(("a", "b"), [0], [1], [[30, 10, 0, 0]])), level=0.9)
    assert shown.rating - shown.lower == pytest.approx(np.full(2, 1.644854 * 31.717), abs=0.002)
    assert shown.upper - shown.rating == pytest.approx(np.full(2, 1.644854 * 31.717), abs=0.002)


def test_shifting_adds_to_ratings_and_bounds_and_keeps_standard_errors() -> None:
    before, after = thirty_of_forty(), thirty_of_forty().shifted(-7.5)
    assert before.rating - after.rating == pytest.approx(np.full(2, 7.5))
    assert before.lower - after.lower == pytest.approx(np.full(2, 7.5))
    assert before.upper - after.upper == pytest.approx(np.full(2, 7.5))
    assert after.se.tolist() == before.se.tolist()


def test_separated_intervals_give_one_rank_each_and_overlapping_ones_a_range() -> None:
    sets = marginal_ranks(thirty_of_forty())
    assert (sets.rank.tolist(), sets.best.tolist(), sets.worst.tolist()) == ([1, 2], [1, 2], [1, 2])
    middle = RatingIntervals(
        rating=np.array([30.0, 20.0, 10.0]),
        se=np.ones(3),
        lower=np.array([25.0, 15.0, 8.0]),
        upper=np.array([35.0, 26.0, 15.0]),
    )
    sets = marginal_ranks(
        middle
    )  # the first two overlap; the third's upper end is the second's lower end, not above it
    assert sets.rank.tolist() == [1, 2, 3]
    assert sets.best.tolist() == [1, 1, 2]
    assert sets.worst.tolist() == [2, 2, 3]
