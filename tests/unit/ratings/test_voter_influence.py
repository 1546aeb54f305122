"""Voter influence: an exact case, the golden table, a slow reference, laws."""

import numpy as np
import pytest
from hypothesis import given, settings

from pipeline.errors import BadCounts
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, fit
from pipeline.ratings.voter_influence import most_influential_voters
from tests.unit.ratings.strategies import voted


def test_the_voter_with_most_one_sided_votes_is_first(small) -> None:
    partisan = ((small.a == 0) | (small.b == 0)) & (np.arange(900) < 150)
    outcome = np.where(partisan, np.where(small.a == 0, 0, 1), small.outcome)
    voter = np.where(partisan, 1000, small.voter)
    counts = PairCounts.from_codes(small.models, small.a, small.b, outcome)
    first = most_influential_voters(counts, small.a, small.b, outcome, voter, top=3)[0]
    assert (first.voter, first.model) == (1000, "ant")
    assert first.votes == int((voter == 1000).sum())
    assert first.points > 20
    # Cook & Weisberg's first order falls short where a quarter of a model's votes go at once.
    assert first.exact == pytest.approx(first.points, rel=0.5)


def test_the_golden_tables_most_influential_voter_by_refits_of_all_of_them(small) -> None:
    found = most_influential_voters(small.counts, small.a, small.b, small.outcome, small.voter, top=70)
    theta, exact = fit(small.counts).theta, {}
    for voter in np.unique(small.voter[small.voter != -1]).tolist():
        out = small.voter == voter
        dropped = PairCounts.from_codes(small.models, small.a[out], small.b[out], small.outcome[out])
        shift = (theta - fit(small.counts.minus(dropped)).theta) * POINTS_PER_LOGIT
        exact[voter] = shift
    assert {one.voter for one in found} == set(exact)
    for one in found:
        assert one.exact == pytest.approx(exact[one.voter][small.models.index(one.model)], abs=1e-6)
    # One voter cast 43% of these votes: the first order says who and where, the refit how much.
    best = max(exact, key=lambda voter: np.abs(exact[voter]).max())
    assert best in {one.voter for one in found[:2]}


def _slow(counts: PairCounts, votes: np.ndarray) -> dict[int, np.ndarray]:
    fitted = fit(counts)
    inverse = np.linalg.pinv(fitted.hessian, rtol=1e-10, hermitian=True)
    moved: dict[int, np.ndarray] = {}
    for a, b, outcome, voter in votes.tolist():
        if voter != -1:
            p = 1 / (1 + np.exp(fitted.theta[b] - fitted.theta[a]))
            step = (inverse[:, a] - inverse[:, b]) * ((1, 0, 0.5, 0.5)[outcome] - p) * POINTS_PER_LOGIT
            moved[voter] = moved.get(voter, 0) + step
    return moved


@settings(max_examples=50, deadline=None)
@given(voted())
def test_influence_equals_the_slow_reference(case) -> None:
    counts, votes = case
    slow = _slow(counts, votes)
    found = most_influential_voters(counts, *votes.T, top=99)
    assert {one.voter for one in found} == set(slow)
    for one in found:
        assert abs(one.points) == pytest.approx(np.abs(slow[one.voter]).max(), abs=1e-6)
        assert one.points == pytest.approx(slow[one.voter][counts.models.index(one.model)], abs=1e-6)
        assert one.votes == int((votes[:, 3] == one.voter).sum())
        assert one.exact is None or np.isfinite(one.exact)
    sizes = [abs(one.points) for one in found]
    assert sizes == sorted(sizes, reverse=True)


def test_batches_of_voters_give_the_same_result(small, monkeypatch: pytest.MonkeyPatch) -> None:
    votes = small.a, small.b, small.outcome, small.voter
    whole = most_influential_voters(small.counts, *votes, top=5)
    monkeypatch.setattr("pipeline.ratings.voter_influence._BATCH", 3)
    assert most_influential_voters(small.counts, *votes, top=5) == whole


def test_unknown_voters_are_not_reported(small) -> None:
    nobody = np.full(900, -1)
    assert most_influential_voters(small.counts, small.a, small.b, small.outcome, nobody) == ()


def test_bad_columns_are_named(small) -> None:
    with pytest.raises(BadCounts, match="four columns of one length"):
        most_influential_voters(small.counts, small.a, small.b, small.outcome, [1, 2])
    with pytest.raises(BadCounts, match="got 900 a and top 0"):
        most_influential_voters(small.counts, small.a, small.b, small.outcome, small.voter, top=0)
