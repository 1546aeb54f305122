"""The effect of a covariate against closed forms and a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.errors import Collinear, Separated
from pipeline.ratings.pair_covariate import covariate_cells, fit_covariate, rate_with_covariate

BOTH = np.array([-1.0, 1.0])


def _columns(rows: list[tuple[int, int, int, int]]) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    a, b, outcome, level = np.array(rows).T
    return (a.astype(np.int32), b.astype(np.int32), outcome.astype(np.int32)), level


def test_two_models_shown_in_both_orders_have_a_closed_form() -> None:
    # a first: 30 of 40 for a; b first: 15 of 40 for a.
    rows = [(0, 1, 0, 1)] * 30 + [(0, 1, 1, 1)] * 10 + [(0, 1, 0, 0)] * 15 + [(0, 1, 1, 0)] * 25
    columns, level = _columns(rows)
    found = rate_with_covariate(2, columns, level, BOTH, np.zeros(2), name="position")
    first, second = np.log(30 / 10), np.log(15 / 25)
    assert found.effect == pytest.approx((first - second) / 2, abs=1e-9)
    assert found.theta[0] - found.theta[1] == pytest.approx((first + second) / 2, abs=1e-9)
    # The variance of a logit is 1/wins + 1/losses.
    assert found.effect_se == pytest.approx(np.sqrt(1 / 30 + 1 / 10 + 1 / 15 + 1 / 25) / 2, rel=1e-9)


def test_each_vote_as_its_own_voter_gives_the_plain_covariance() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 500).astype(np.int32)
    b = ((a + rng.integers(1, 4, 500)) % 4).astype(np.int32)
    columns, level = (a, b, rng.integers(0, 4, 500).astype(np.int32)), rng.integers(0, 2, 500)
    plain = rate_with_covariate(4, columns, level, BOTH, np.zeros(4), name="position")
    alone = rate_with_covariate(4, columns, level, BOTH, np.zeros(4), name="position", voter=np.arange(500))
    assert alone.covariance == pytest.approx(plain.covariance, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.integers(1, 9)] * 6), min_size=3, max_size=3))
def test_the_fit_equals_a_slow_reference(cells: list[tuple[int, ...]]) -> None:
    rows: list[tuple[int, int, int, int]] = []
    for (i, j), counts in zip([(0, 1), (0, 2), (1, 2)], cells, strict=True):
        for place, count in enumerate(counts):
            rows += [(i, j, place % 3, place // 3)] * count
    (a, b, outcome), level = _columns(rows)
    found = fit_covariate(covariate_cells(3, a, b, outcome, level, BOTH), np.zeros(3), "position")
    score = np.array([1.0, 0.0, 0.5])[outcome]

    def loss(x: np.ndarray) -> float:
        p = expit(x[a] - x[b] + x[3] * BOTH[level])
        return float(-(score * np.log(p) + (1 - score) * np.log(1 - p)).sum() + x[:3].sum() ** 2)

    slow = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    assert found.theta == pytest.approx(slow[:3] - slow[:3].mean(), abs=1e-4)
    assert found.phi == pytest.approx(slow[3], abs=1e-4)


def test_a_covariate_that_the_models_determine_is_refused() -> None:
    columns, level = _columns([(0, 1, 0, 1), (0, 1, 1, 1)] * 9)
    with pytest.raises(Collinear):
        rate_with_covariate(2, columns, level, BOTH, np.zeros(2), name="position")


def test_a_covariate_that_predicts_every_vote_is_refused() -> None:
    columns, level = _columns([(0, 1, 0, 1), (0, 1, 1, 0)] * 9)
    with pytest.raises((Separated, Collinear)):
        rate_with_covariate(2, columns, level, BOTH, np.zeros(2), name="position")
