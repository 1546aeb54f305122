"""Proof 3 of 3: properties, and agreement with slow references written from the formulas alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RatingError
from pipeline.ratings import PairCounts, compute_leaderboard, fit, fit_decisive, fit_matrix, pair_weights
from pipeline.vocabulary.outcomes import OUTCOMES
from tests.unit.ratings.strategies import NAMES, connected


def _votes(counts: PairCounts) -> list[tuple[int, int, float]]:
    """One entry a vote: (a, b, y)."""
    scores = (1.0, 0.0, 0.5, 0.5)
    rows = zip(counts.a.tolist(), counts.b.tolist(), counts.table().tolist(), strict=True)
    return [(a, b, y) for a, b, row in rows for y, n in zip(scores, row, strict=True) for _ in range(n)]


def _slow_theta(counts: PairCounts) -> np.ndarray:
    """Zermelo 1929 / Hunter 2004: minorise and maximise, one division a model, until nothing moves."""
    votes, size = _votes(counts), len(counts.models)
    wins, met = [0.0] * size, [[0] * size for _ in range(size)]
    for a, b, y in votes:
        wins[a] += y
        wins[b] += 1 - y
        met[a][b] += 1
        met[b][a] += 1
    strength = [1.0] * size
    for _ in range(20_000):
        new = [
            wins[i] / sum(met[i][j] / (strength[i] + strength[j]) for j in range(size) if met[i][j])
            for i in range(size)
        ]
        scale = math.exp(sum(math.log(s) for s in new) / size)
        new = [s / scale for s in new]
        moved = max(abs(math.log(n / s)) for n, s in zip(new, strength, strict=True))
        strength = new
        if moved < 1e-13:
            break
    return np.log(strength)


def _slow_covariance(counts: PairCounts, theta: np.ndarray) -> np.ndarray:
    """Huber 1967, vote by vote: H⁻¹ (Σ score scoreᵀ) H⁻¹ with the last model at 0, then centred."""
    size = len(theta)
    H, B = np.zeros((size, size)), np.zeros((size, size))
    for a, b, y in _votes(counts):
        p = 1 / (1 + math.exp(theta[b] - theta[a]))
        e = np.zeros(size)
        e[a], e[b] = 1, -1
        H += p * (1 - p) * np.outer(e, e)
        B += (y - p) ** 2 * np.outer(e, e)
    inverse = np.linalg.inv(H[:-1, :-1])
    centre = (np.eye(size) - 1 / size)[:, :-1]
    return centre @ inverse @ B[:-1, :-1] @ inverse @ centre.T


@settings(max_examples=60, deadline=None)
@given(connected())
def test_theta_equals_the_slow_reference(counts: PairCounts) -> None:
    assert fit(counts).theta == pytest.approx(_slow_theta(counts), abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(connected())
def test_covariance_equals_the_vote_by_vote_sandwich(counts: PairCounts) -> None:
    fitted = fit(counts)
    slow = _slow_covariance(counts, fitted.theta)
    assert fitted.covariance == pytest.approx(slow, abs=1e-9 * max(1.0, np.abs(slow).max()))


def _slow_reweighted(counts: PairCounts, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Vote by vote: every vote weighs 1 / max(votes of its pair, least); dense Newton with the last model at 0."""
    votes, size = _votes(counts), len(counts.models)
    met: dict[tuple[int, int], int] = {}
    for a, b, _ in votes:
        met[a, b] = met.get((a, b), 0) + 1
    theta = np.zeros(size)
    for _ in range(50):
        gradient, H, B = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
        for a, b, y in votes:
            w = 1 / max(met[a, b], least)
            p = 1 / (1 + math.exp(theta[b] - theta[a]))
            e = np.zeros(size)
            e[a], e[b] = 1, -1
            gradient += w * (y - p) * e
            H += w * p * (1 - p) * np.outer(e, e)
            B += (w * (y - p)) ** 2 * np.outer(e, e)
        theta[:-1] += np.linalg.solve(H[:-1, :-1], gradient[:-1])
    inverse = np.linalg.inv(H[:-1, :-1])
    centre = (np.eye(size) - 1 / size)[:, :-1]
    return theta - theta.mean(), centre @ inverse @ B[:-1, :-1] @ inverse @ centre.T


@settings(max_examples=15, deadline=None)
@given(connected(4), st.integers(1, 12))
def test_a_reweighted_fit_equals_the_slow_reference(counts: PairCounts, least: int) -> None:
    theta, V = _slow_reweighted(counts, least)
    found = fit(counts, reweight=least)
    assert found.theta == pytest.approx(theta, abs=1e-8)
    assert found.covariance == pytest.approx(V, rel=1e-6, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(connected(), st.floats(1e-6, 1e6))
def test_only_the_ratios_of_weights_matter(counts: PairCounts, scale: float) -> None:
    weights = pair_weights(counts, 5)
    one, other = (
        fit_matrix(counts.decisive_matrix(), counts.tie_matrix(), weights=w) for w in (weights, weights * scale)
    )
    assert other.theta == pytest.approx(one.theta, abs=1e-8)
    assert other.covariance == pytest.approx(one.covariance, rel=1e-6, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(connected())
def test_a_decisive_fit_is_the_fit_without_ties(counts: PairCounts) -> None:
    assert fit_decisive(counts).theta == pytest.approx(_slow_theta(counts.decisive()), abs=1e-8)


@settings(max_examples=100, deadline=None)
@given(connected())
def test_results_are_in_the_mean_zero_gauge_and_finite(counts: PairCounts) -> None:
    fitted = fit(counts)
    assert fitted.theta.mean() == pytest.approx(0, abs=1e-12)
    largest = np.abs(fitted.covariance).max()
    assert np.abs(fitted.covariance.sum(axis=1)).max() <= 1e-10 * (1 + largest)
    assert np.isfinite(fitted.covariance).all()
    assert (np.diag(fitted.covariance) >= 0).all()
    assert np.isfinite(fitted.gradient_norm)


@settings(max_examples=60, deadline=None)
@given(connected(), st.randoms(use_true_random=False))
def test_the_order_of_the_models_does_not_matter(counts: PairCounts, random) -> None:
    place = list(range(len(counts.models)))
    random.shuffle(place)
    shuffled = tuple(counts.models[place.index(k)] for k in range(len(place)))
    moved = PairCounts.from_rows(shuffled, np.array(place)[counts.a], np.array(place)[counts.b], counts.table())
    one, other = fit(counts), fit(moved)
    assert other.theta[place] == pytest.approx(one.theta, abs=1e-9)
    assert other.covariance[np.ix_(place, place)] == pytest.approx(one.covariance, rel=1e-7, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(connected(), st.lists(st.booleans(), min_size=15, max_size=15))
def test_the_side_of_a_model_does_not_matter(counts: PairCounts, flips: list[bool]) -> None:
    flip = np.array(flips[: len(counts.a)])
    a, b = np.where(flip, counts.b, counts.a), np.where(flip, counts.a, counts.b)
    table = np.where(flip[:, None], counts.table()[:, [1, 0, 2, 3]], counts.table())
    _same(PairCounts.from_rows(counts.models, a, b, table), counts)


@settings(max_examples=60, deadline=None)
@given(connected(), st.integers(2, 1000))
def test_k_times_the_votes_keep_theta_and_divide_the_covariance(counts: PairCounts, k: int) -> None:
    one = fit(counts)
    many = fit(PairCounts.from_rows(counts.models, counts.a, counts.b, counts.table() * k))
    assert many.theta == pytest.approx(one.theta, abs=1e-9)
    assert many.covariance * k == pytest.approx(one.covariance, rel=1e-7, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(connected(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_split_merges_to_the_whole(counts: PairCounts, parts: int, random) -> None:
    votes = [(a, b, o) for a, b, row in _cells(counts) for o, n in enumerate(row) for _ in range(n)]
    random.shuffle(votes)
    split = [votes[k::parts] for k in range(parts)]
    pieces = [PairCounts.from_codes(counts.models, *np.array(v, dtype=int).reshape(-1, 3).T) for v in split]
    _same(PairCounts.merge(pieces), counts)
    _same(counts.minus(pieces[0]), PairCounts.merge([_none(counts), *pieces[1:]]))


@settings(max_examples=60, deadline=None)
@given(connected())
def test_text_and_codes_count_the_same(counts: PairCounts) -> None:
    votes = [(a, b, OUTCOMES[o]) for a, b, row in _cells(counts) for o, n in enumerate(row) for _ in range(n)]
    left, right, winner = zip(*votes, strict=True)
    names = counts.models
    _same(PairCounts.from_labels([names[a] for a in left], [names[b] for b in right], winner), counts)


@settings(max_examples=100, deadline=None)
@given(connected(), st.floats(0.5, 0.999))
def test_rank_sets_follow_their_definition(counts: PairCounts, level: float) -> None:
    board = compute_leaderboard(counts, level=level)
    K = range(len(board.models))
    for i in K:
        assert board.rank[i] == 1 + sum(board.rating[j] > board.rating[i] for j in K)
        assert board.rank_best[i] == 1 + sum(board.lower[j] > board.upper[i] for j in K)
        assert board.rank_worst[i] == 1 + sum(board.upper[j] > board.lower[i] for j in K if j != i)
        assert board.rank_best[i] <= board.rank[i] <= board.rank_worst[i]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(range(5)), st.sampled_from(range(5)), *[st.integers(0, 2**40)] * 4),
        max_size=12,
    )
)
def test_anything_gives_numbers_or_a_named_error_never_nan(rows: list[tuple[int, ...]]) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 6)
    try:
        board = compute_leaderboard(
            PairCounts.from_rows(NAMES[:5], table[:, 0], table[:, 1], table[:, 2:]), least_share=0.5
        )
    except RatingError:
        return
    for column in (board.rating, board.se, board.lower, board.upper):
        assert np.isfinite(column).all()
    assert sorted([*board.models, *(one.model for one in board.unrated)]) == sorted(NAMES[:5])


def _cells(counts: PairCounts) -> list[tuple[int, int, list[int]]]:
    return list(zip(counts.a.tolist(), counts.b.tolist(), counts.table().tolist(), strict=True))


def _none(counts: PairCounts) -> PairCounts:
    return PairCounts.from_codes(counts.models, [], [], [])


def _same(one: PairCounts, other: PairCounts) -> None:
    assert one.models == other.models
    assert one.a.tolist() == other.a.tolist()
    assert one.b.tolist() == other.b.tolist()
    assert one.table().tolist() == other.table().tolist()
