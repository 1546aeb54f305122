"""Joint rank sets: Tukey's table, the real board, laws, and a slow reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts, compute_leaderboard, fit
from pipeline.ratings.bradley_terry import Fit
from pipeline.ratings.rank_sets import simultaneous_rank_sets
from tests.unit.ratings.strategies import connected


def _equal(theta: np.ndarray) -> Fit:
    """Independent estimates of variance 1, in the mean-zero gauge."""
    size = len(theta)
    V = np.eye(size) - 1 / size
    return Fit(theta - theta.mean(), V, V, 1, 0.0, converged=True)


# Upper 5% points of the studentized range with infinite degrees of freedom (Harter 1960, Annals of Math. Statistics
# 31; every table of Tukey's test): for equal variances the largest |t| over pairs is the range over √2.
@pytest.mark.parametrize(("size", "point"), [(2, 2.772), (3, 3.314), (5, 3.858), (10, 4.474), (20, 5.012)])
def test_the_critical_value_is_tukeys(size: int, point: float) -> None:
    found = simultaneous_rank_sets(_equal(np.zeros(size)), draws=40_000, seed=1)
    assert found.critical * np.sqrt(2) == pytest.approx(point, abs=0.05)


def test_sets_by_hand() -> None:
    found = simultaneous_rank_sets(_equal(np.array([20.0, 10.0, 9.0, 0.0])))
    assert found.best.tolist() == [1, 2, 2, 4]
    assert found.worst.tolist() == [1, 3, 3, 4]


def test_joint_sets_of_the_real_board_are_wider_and_contain_the_rank(real: PairCounts) -> None:
    board = compute_leaderboard(real, joint=True)
    joint = board.joint
    assert joint is not None
    # 8,256 pairs: far above 1.96, below Bonferroni's 4.6.
    assert joint.critical == pytest.approx(4.32, abs=0.05)
    assert (joint.best <= board.rank).all()
    assert (board.rank <= joint.worst).all()
    assert (joint.worst - joint.best).mean() > (board.rank_worst - board.rank_best).mean()
    assert (joint.best[:3].tolist(), joint.worst[:3].tolist()) == ([1, 2, 3], [1, 2, 3])


def _slow(fitted: Fit, draws: int, seed: int) -> float:
    """The definition: a draw, every pair, the largest |t|."""
    rng = np.random.default_rng(seed)
    V, size = fitted.covariance, len(fitted.theta)
    drawn = rng.multivariate_normal(np.zeros(size), V, draws, method="eigh")
    largest = np.zeros(draws)
    for i in range(size):
        for j in range(i):
            variance = V[i, i] + V[j, j] - 2 * V[i, j]
            if variance > 1e-12 * np.abs(np.diag(V)).max():
                largest = np.maximum(largest, np.abs(drawn[:, i] - drawn[:, j]) / np.sqrt(variance))
    return float(np.quantile(largest, 0.95))


@settings(max_examples=20, deadline=None)
@given(connected(6))
def test_the_critical_value_equals_the_slow_reference(counts: PairCounts) -> None:
    fitted = fit(counts)
    assert simultaneous_rank_sets(fitted, seed=3).critical == pytest.approx(_slow(fitted, 10_000, 4), abs=0.12)


@settings(max_examples=40, deadline=None)
@given(connected(6))
def test_sets_follow_their_definition_and_are_never_empty(counts: PairCounts) -> None:
    fitted = fit(counts)
    found = simultaneous_rank_sets(fitted, draws=2_000)
    V, theta, size = fitted.covariance, fitted.theta, len(fitted.theta)
    for i in range(size):
        se = [np.sqrt(max(V[i, i] + V[j, j] - 2 * V[i, j], 0)) for j in range(size)]
        sure = [se[j] > 1e-6 * np.sqrt(np.abs(np.diag(V)).max()) for j in range(size)]
        above = sum(sure[j] and theta[j] - theta[i] > found.critical * se[j] for j in range(size) if j != i)
        below = sum(sure[j] and theta[i] - theta[j] > found.critical * se[j] for j in range(size) if j != i)
        assert (found.best[i], found.worst[i]) == (1 + above, size - below)
        assert found.best[i] <= found.worst[i]


@settings(max_examples=20, deadline=None)
@given(connected(6))
def test_the_order_of_the_models_changes_only_the_monte_carlo_error(counts: PairCounts) -> None:
    fitted = fit(counts)
    order = np.arange(len(fitted.theta))[::-1]
    moved = replace(fitted, theta=fitted.theta[order], covariance=fitted.covariance[np.ix_(order, order)])
    assert simultaneous_rank_sets(moved).critical == pytest.approx(simultaneous_rank_sets(fitted).critical, abs=0.12)
    assert simultaneous_rank_sets(fitted).critical == simultaneous_rank_sets(fitted).critical


@pytest.mark.long
def test_95_percent_of_boards_have_every_true_rank_in_its_set() -> None:
    """2,000 boards of ten models nearly alike; with 95% for each pair fewer than three quarters have full coverage."""
    rng = np.random.default_rng(0)
    truth = np.linspace(0, 0.01, 10)
    true_rank = 10 - np.arange(10)
    joint = alone = 0
    for seed in range(2_000):
        fitted = _equal(truth + rng.standard_normal(10))
        sets = simultaneous_rank_sets(fitted, draws=400, seed=seed)
        joint += bool(((sets.best <= true_rank) & (true_rank <= sets.worst)).all())
        apart = fitted.theta[:, None] - fitted.theta[None, :] > 1.96 * np.sqrt(2)
        alone += bool(((1 + apart.sum(axis=0) <= true_rank) & (true_rank <= 10 - apart.sum(axis=1))).all())
    assert joint / 2_000 >= 0.94
    assert alone / 2_000 <= 0.75


def test_models_without_residuals_are_never_separated() -> None:
    tied = PairCounts.from_rows(("ant", "bee"), [0], [1], [[0, 0, 9, 0]])
    found = simultaneous_rank_sets(fit(tied))
    assert (found.best.tolist(), found.worst.tolist()) == ([1, 1], [2, 2])


def test_bad_arguments_are_named() -> None:
    with pytest.raises(BadCounts, match=r"level between 0 and 1, got 1\.0"):
        simultaneous_rank_sets(_equal(np.zeros(2)), level=1.0)
    with pytest.raises(BadCounts, match=r"at least 20 draws for a level of 0\.95, got 10"):
        simultaneous_rank_sets(_equal(np.zeros(2)), draws=10)
