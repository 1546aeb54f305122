"""Voter-clustered sandwich: a textbook case, an independent golden, laws, and a slow reference."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts, fit, pair_weights
from pipeline.ratings.clustered_sandwich import effective_voters, with_clustered_covariance
from tests.unit.ratings.strategies import voted


def test_m_identical_votes_of_each_voter_count_as_one() -> None:
    """The design effect 1 + (m − 1)ρ (Kish 1965, Survey Sampling) at ρ = 1: the variance grows m-fold."""
    voter = np.repeat(np.arange(40), 5)
    outcome = np.repeat(np.arange(40) % 4 == 0, 5).astype(int)
    a, b = np.zeros(200, dtype=int), np.ones(200, dtype=int)
    fitted = fit(PairCounts.from_codes(("ant", "bee"), a, b, outcome))
    assert with_clustered_covariance(fitted, a, b, outcome, voter).covariance == pytest.approx(5 * fitted.covariance)


def test_clustered_errors_equal_the_golden(small) -> None:
    fitted = fit(small.counts)
    assert fitted.theta == pytest.approx(small.expected["theta"], abs=1e-9)
    assert np.sqrt(np.diag(fitted.covariance)) == pytest.approx(small.expected["se"], abs=1e-8)
    found = with_clustered_covariance(fitted, small.a, small.b, small.outcome, small.voter)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(small.expected["clustered_se"], abs=1e-8)
    assert found.theta.tolist() == fitted.theta.tolist()


def _slow(theta: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Scores added up voter by voter, the last model at 0, then centred."""
    size = len(theta)
    H, by_voter = np.zeros((size, size)), {}
    for row, (a, b, outcome, voter) in enumerate(votes.tolist()):
        p = 1 / (1 + math.exp(theta[b] - theta[a]))
        e = np.zeros(size)
        e[a], e[b] = 1, -1
        H += p * (1 - p) * np.outer(e, e)
        who = ("nobody", row) if voter == -1 else voter
        by_voter[who] = by_voter.get(who, 0) + ((1, 0, 0.5, 0.5)[outcome] - p) * e
    B = sum(np.outer(s, s) for s in by_voter.values())
    inverse = np.linalg.inv(H[:-1, :-1])
    centre = (np.eye(size) - 1 / size)[:, :-1]
    return centre @ inverse @ B[:-1, :-1] @ inverse @ centre.T


@settings(max_examples=60, deadline=None)
@given(voted())
def test_clustered_equals_the_slow_reference(case) -> None:
    counts, votes = case
    fitted = fit(counts)
    found = with_clustered_covariance(fitted, *votes.T).covariance
    slow = _slow(fitted.theta, votes)
    assert found == pytest.approx(slow, abs=1e-9 * max(1.0, np.abs(slow).max()))
    assert np.isfinite(found).all()


@settings(max_examples=40, deadline=None)
@given(voted())
def test_one_vote_per_voter_gives_the_plain_sandwich(case) -> None:
    counts, votes = case
    fitted = fit(counts)
    for voter in (np.arange(len(votes)), np.full(len(votes), -1)):
        found = with_clustered_covariance(fitted, *votes[:, :3].T, voter).covariance
        assert found == pytest.approx(fitted.covariance, rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(voted(), st.randoms(use_true_random=False))
def test_order_side_and_names_of_voters_do_not_matter(case, random) -> None:
    counts, votes = case
    fitted = fit(counts)
    order = list(range(len(votes)))
    random.shuffle(order)
    flipped = votes[order]
    flip = np.array([random.random() < 0.5 for _ in order])
    ab = np.where(flip[:, None], flipped[:, [1, 0]], flipped[:, :2])
    outcome = np.where(flip & (flipped[:, 2] < 2), 1 - flipped[:, 2], flipped[:, 2])
    voter = np.where(flipped[:, 3] == -1, -1, -7 - 10 * flipped[:, 3])
    moved = with_clustered_covariance(fitted, *ab.T, outcome, voter).covariance
    assert moved == pytest.approx(with_clustered_covariance(fitted, *votes.T).covariance, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(voted(), st.integers(2, 4))
def test_k_times_the_voters_divide_the_covariance(case, k: int) -> None:
    counts, votes = case
    many = np.concatenate([votes + [0, 0, 0, 100 * i] * (votes[:, 3:] != -1) for i in range(k)])
    one = with_clustered_covariance(fit(counts), *votes.T).covariance
    scaled = PairCounts.from_rows(counts.models, counts.a, counts.b, counts.table() * k)
    assert with_clustered_covariance(fit(scaled), *many.T).covariance * k == pytest.approx(one, rel=1e-7, abs=1e-9)


def test_pair_weights_apply_to_the_clustered_covariance(small) -> None:
    fitted = fit(small.counts, reweight=20)
    votes = small.a, small.b, small.outcome
    found = with_clustered_covariance(fitted, *votes, np.arange(900), weights=pair_weights(small.counts, 20))
    assert found.covariance == pytest.approx(fitted.covariance, rel=1e-9)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0], [1], [0], [0.5]), "whole numbers in voter, got 0.5 at row 0"),
        (([0], [1], [0], ["x"]), "whole numbers in voter"),
        (([0], [1], [0], [0, 1]), "got 1 a, 1 b, 1 outcome, 2 voter"),
        (([6], [1], [0], [0]), r"a to be a code in \[0, 6\), got 6 at row 0"),
        (([0], [1], [4], [0]), r"outcome to be a code in \[0, 4\), got 4 at row 0"),
    ],
)
def test_a_bad_vote_is_named(small, columns, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        with_clustered_covariance(fit(small.counts), *columns)


def test_effective_voters_count_equal_shares_and_votes_without_voters() -> None:
    assert effective_voters(np.array([3, 3, 5, 5])) == 2
    assert effective_voters(np.array([-1, -1, -1])) == 3
    assert effective_voters(np.array([0] * 9 + [1])) == pytest.approx(100 / 82)
    assert effective_voters(np.array([], dtype=np.int64)) == 0
