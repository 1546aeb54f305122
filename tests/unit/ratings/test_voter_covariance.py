"""The covariance with few voters: never smaller than that of independent votes, and honest about voters with tastes."""

import numpy as np
import pytest

from pipeline.ratings import Fit, PairCounts, fit, with_clustered_covariance
from pipeline.ratings.intervals import few_voters_widening
from pipeline.ratings.voter_covariance import is_by_voter, wider_covariance, with_voter_covariance
from pipeline.vocabulary.arrays import Float64, Int32, Int64

MODELS = tuple(f"m{k}" for k in range(6))


def _votes(seed: int, voters: int, votes: int, taste: float) -> tuple[tuple[Int32, Int32, Int32], Int64]:
    """Votes on models that are equal on average, by voters with tastes of their own."""
    rng = np.random.default_rng(seed)
    tastes = rng.normal(0, taste, (voters, len(MODELS)))
    voter, a = rng.integers(0, voters, votes), rng.integers(0, len(MODELS), votes)
    b = (a + rng.integers(1, len(MODELS), votes)) % len(MODELS)
    won = rng.random(votes) < 1 / (1 + np.exp(tastes[voter, b] - tastes[voter, a]))
    return (a.astype(np.int32), b.astype(np.int32), np.where(won, 0, 1).astype(np.int32)), voter


def _fits(seed: int, voters: int, votes: int = 1_000, taste: float = 0.5) -> tuple[Fit, Fit, Fit]:
    """Return the fit with the covariance of independent votes, the one clustered by voter, and the one of the rule."""
    codes, voter = _votes(seed, voters, votes, taste)
    plain = fit(PairCounts.from_codes(MODELS, *codes))
    return plain, with_clustered_covariance(plain, *codes, voter), with_voter_covariance(plain, codes, voter)


def _least(difference: Float64) -> float:
    return float(np.linalg.eigvalsh(difference).min())


@pytest.mark.parametrize("voters", [2, 3, 5, 9])
def test_with_few_voters_no_contrast_has_a_smaller_variance_than_by_either_way(voters: int) -> None:
    plain, clustered, found = _fits(voters, voters)
    assert _least(found.covariance - plain.covariance) > -1e-12
    assert _least(found.covariance - clustered.covariance * few_voters_widening(voters) ** 2) > -1e-3
    assert _least(found.covariance - clustered.covariance) > -1e-12
    assert is_by_voter(plain.covariance, found.covariance, voters)
    assert found.covariance @ np.ones(len(MODELS)) == pytest.approx(0, abs=1e-9)


def test_a_single_voter_tells_nothing_about_others() -> None:
    plain, clustered, found = _fits(1, 1)
    assert clustered.covariance == pytest.approx(0, abs=1e-12)
    assert found.covariance == pytest.approx(plain.covariance)
    assert not is_by_voter(plain.covariance, found.covariance, 1)


def test_with_many_voters_the_covariance_is_the_clustered_one() -> None:
    plain, clustered, found = _fits(1, 40)
    assert (found.covariance == clustered.covariance).all()
    assert not (found.covariance == plain.covariance).all()


def test_the_wider_of_two_ordered_covariances_is_the_larger() -> None:
    small, large = np.diag([1.0, 2.0]), np.array([[3.0, 0.5], [0.5, 4.0]])
    assert wider_covariance(small, large) == pytest.approx(large)
    assert wider_covariance(large, small) == pytest.approx(large)
    crossed = wider_covariance(np.diag([1.0, 4.0]), np.diag([3.0, 2.0]))
    assert crossed == pytest.approx(np.diag([3.0, 4.0]))


@pytest.mark.long
@pytest.mark.parametrize(("voters", "most"), [(3, 0.12), (5, 0.11), (9, 0.09)])
def test_few_voters_with_tastes_seldom_separate_equal_models(voters: int, most: float) -> None:
    """Intervals at 95% of differences; independent votes separate more than a quarter of equal models."""
    wrong, independent = [], []
    first, second = np.triu_indices(len(MODELS), 1)
    for seed in range(100):
        plain, _, found = _fits(seed, voters, 2_000)
        gap = np.abs(plain.theta[first] - plain.theta[second])
        for covariance, shares in ((found.covariance, wrong), (plain.covariance, independent)):
            own = np.diag(covariance)
            se = np.sqrt(own[first] + own[second] - 2 * covariance[first, second])
            shares.append((gap > 1.96 * se).mean())
    assert np.mean(wrong) < most
    assert np.mean(independent) > 0.25
