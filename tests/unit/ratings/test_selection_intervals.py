"""Intervals for the best of N: the quantiles against drawn errors, coverage at fixed τ, edges, bad input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import BadCounts
from pipeline.ratings.selection_intervals import best_of_n_interval, family_intervals, undisclosed_bounds
from pipeline.ratings.winners_curse import expected_max

SE = 6.3


def drawn(n: int, tau: float, rounds: int, seed: int, kept: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True qualities and scores of families, and which variant had the best score before its release."""
    rng = np.random.default_rng(seed)
    true = tau * rng.standard_normal((rounds, n))
    before = true + SE / kept**0.5 * rng.standard_normal((rounds, n))
    best = before.argmax(axis=1)
    if kept == 1:
        return true, before, best
    fresh = true + SE / (1 - kept) ** 0.5 * rng.standard_normal((rounds, n))
    return true, kept * before + (1 - kept) * fresh, best


@pytest.mark.parametrize("n", [2, 3, 10, 27, 50])
@pytest.mark.parametrize("tau", [0.0, 2.0, 5.0, 10.0, 20.0, 65.0])
@pytest.mark.parametrize("kept", [1.0, 0.4])
def test_the_interval_holds_whatever_the_spread(n: int, tau: float, kept: float) -> None:
    true, seen, best = drawn(n, tau, 4_000, seed=n, kept=kept)
    rows = np.arange(len(best))
    off = true[rows, best] - seen[rows, best]
    one = best_of_n_interval(0.0, n, SE, kept=kept)
    assert 0.92 < ((one.lower <= off) & (off <= one.upper)).mean() < 0.995
    assert one.lower < one.score < one.upper


@pytest.mark.long
@pytest.mark.parametrize(("n", "tau"), [(3, 0.0), (3, 10.0), (27, 0.0), (27, 5.0), (27, 65.0), (50, 10.0)])
def test_all_scores_of_a_family_give_an_interval_that_holds(n: int, tau: float) -> None:
    true, seen, best = drawn(n, tau, 400, seed=1)
    held = 0
    for qualities, scores, k in zip(true, seen, best, strict=True):
        found = family_intervals(scores, np.full(n, SE))
        held += bool(found.lower[k] <= qualities[k] <= found.upper[k])
    assert held / len(true) > 0.89


def test_the_quantiles_are_those_of_drawn_errors() -> None:
    rng, n, rounds = np.random.default_rng(5), 10, 200_000
    which, uniform = rng.random(rounds), rng.random(rounds) * np.pi / 2
    phi = np.where(which < 0.25, 0.0, np.where(which < 0.5, np.pi / 2, uniform))
    largest = rng.standard_normal((rounds, n)).max(axis=1)
    error = np.cos(phi) * largest + np.sin(phi) * rng.standard_normal(rounds)
    one = best_of_n_interval(0.0, n, 1.0)
    assert (-one.upper, -one.lower) == pytest.approx(np.quantile(error, [0.025, 0.975]), abs=0.03)
    assert (-one.score, one.se) == pytest.approx((error.mean(), error.std()), abs=0.01)


def test_one_variant_has_no_curse_and_bounds_are_the_extremes() -> None:
    one = best_of_n_interval(1200.0, 1, 5.0)
    assert (one.score, one.se) == (1200.0, 5.0)
    assert (one.lower, one.upper) == pytest.approx((1200 - 9.8, 1200 + 9.8), abs=0.01)
    assert undisclosed_bounds(1200.0, 1, 5.0) == (1200.0, 1200.0)
    assert undisclosed_bounds(1200.0, 27, 5.0) == pytest.approx((1200 - 5 * expected_max(27), 1200.0))
    assert undisclosed_bounds(1200.0, 27, 5.0, kept=0.25)[0] == pytest.approx(1200 - 2.5 * expected_max(27))


def test_a_family_is_drawn_to_its_mean_as_far_as_its_spread_says() -> None:
    near, far = family_intervals([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]), family_intervals([0.0, 200.0, 400.0], [5.0] * 3)
    assert near.score.tolist() == pytest.approx([2.0 - near.score[2] + 2.0, 2.0, near.score[2]])
    assert 2.0 < near.score[2] < 2.6
    assert far.score[2] == pytest.approx(400, abs=1)
    assert far.upper[2] - far.lower[2] == pytest.approx(2 * 1.96 * 5, rel=0.02)
    moved = family_intervals([101.0, 102.0, 103.0], [5.0, 5.0, 5.0])
    assert moved.lower == pytest.approx(near.lower + 100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_of_n_interval(1.0, 0, 1.0), "whole number of variants from 1"),
        (lambda: best_of_n_interval(1.0, 2, -1.0), "expected se"),
        (lambda: best_of_n_interval(1.0, 2, 1.0, kept=0.0), "above 0 and at most 1, got 0"),
        (lambda: best_of_n_interval(1.0, 2, 1.0, level=1.0), "level"),
        (lambda: undisclosed_bounds(1.0, 0, 1.0), "whole number of variants from 1"),
        (lambda: family_intervals([1.0], [1.0]), "two or more scores"),
        (lambda: family_intervals([1.0, 2.0], [1.0, 0.0]), "at place 1"),
        (lambda: family_intervals([1.0, 2.0], [1.0, 1.0], level=0.0), "level"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        call()
