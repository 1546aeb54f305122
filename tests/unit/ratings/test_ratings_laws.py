"""The laws that the modules state: canonical counts, the lenient rule, anchors, rank sets, rounding."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from pipeline.errors import Disconnected, NotConverged
from pipeline.ratings import (
    PairCounts,
    RatingIntervals,
    compute_leaderboard,
    fit,
    fit_matrix,
    largest_component,
    marginal_ranks,
    newton,
    pair_sums,
    select_rated_models,
    strong_components,
    wald_intervals,
)

NAMES = ("ant", "bee", "cat", "dog")


def _counts(*rows: tuple[int, ...], names: tuple[str, ...] = NAMES) -> PairCounts:
    table = np.array(rows).reshape(-1, 6)
    return PairCounts.from_rows(names, table[:, 0], table[:, 1], table[:, 2:])


def test_counts_are_canonical_frozen_and_leave_the_callers_arrays_alone() -> None:
    mine = np.array([1, 0, 2])
    counts = PairCounts.from_rows(NAMES, mine, [0, 1, 3], [[5, 1, 2, 0], [1, 1, 0, 1], [0, 0, 0, 0]])
    assert (counts.a.tolist(), counts.b.tolist()) == ([0], [1])
    assert counts.table().tolist() == [[2, 6, 2, 1]]
    assert (counts.a.dtype, counts.wins_a.dtype) == (np.int32, np.int64)
    mine[0] = 3
    with pytest.raises(ValueError, match="read-only"):
        counts.wins_a[0] = 9
    with pytest.raises(FrozenInstanceError):
        counts.models = ()  # type: ignore[misc]


def test_sums_of_counts() -> None:
    counts = _counts((0, 1, 5, 1, 2, 0), (1, 2, 1, 1, 0, 3))
    assert counts.total == 13
    assert counts.tie_share() == pytest.approx(5 / 13)
    assert counts.battles_per_model().tolist() == [8, 13, 5, 0]
    assert counts.win_matrix()[:3, :3].tolist() == [[0, 6, 0], [2, 0, 2.5], [0, 2.5, 0]]
    assert counts.decisive_matrix()[:3, :3].tolist() == [[0, 5, 0], [1, 0, 1], [0, 1, 0]]
    assert counts.decisive().total == 8


def test_a_sparse_tally_equals_a_dense_one(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, outcome = [0, 1, 0, 3, 0], [1, 0, 1, 2, 1], [0, 1, 3, 2, 0]
    dense = PairCounts.from_codes(NAMES, a, b, outcome)
    monkeypatch.setattr(pair_sums, "_DENSE_CELLS", 0)
    sparse = PairCounts.from_codes(NAMES, a, b, outcome)
    assert sparse.table().tolist() == dense.table().tolist() == [[3, 0, 0, 1], [0, 0, 1, 0]]


def test_components_come_with_most_votes_first() -> None:
    counts = _counts((0, 1, 1, 1, 0, 0), (2, 3, 5, 5, 0, 0), (1, 2, 0, 3, 0, 0))
    W = counts.win_matrix()
    assert [part.tolist() for part in strong_components(W)] == [[2, 3], [0, 1]]
    members, share = largest_component(W)
    assert (members.tolist(), share) == ([2, 3], pytest.approx(10 / 15))


def test_every_model_left_out_is_named_with_its_reason() -> None:
    names = ("ant", "bee", "lost", "won", "far", "new")
    counts = _counts(
        (0, 1, 500, 400, 60, 40),
        (0, 2, 3, 0, 0, 0),
        (1, 3, 0, 1, 0, 0),
        (2, 4, 2, 2, 0, 0),
        names=names,
    )
    kept, unrated = select_rated_models(counts)
    assert (kept.models, kept.total) == (("ant", "bee"), 1000)
    assert {one.model: one.reason for one in unrated} == {
        "lost": "It lost all of its 3 votes against rated models; a rating needs a win or a tie.",
        "won": "It won all of its 1 vote against rated models; a rating needs a loss or a tie.",
        "far": "Not rated: it never met a rated model (4 votes).",
        "new": "No counted vote yet.",
    }
    board = compute_leaderboard(counts, least_share=0.95)
    assert board.unrated == unrated
    assert dict(zip(board.models, board.votes.tolist(), strict=True)) == {"ant": 1003, "bee": 1001}
    with pytest.raises(Disconnected):
        compute_leaderboard(counts)


def test_a_component_below_the_least_share_is_refused() -> None:
    counts = _counts((0, 1, 50, 44, 0, 0), (2, 3, 3, 3, 0, 0))
    with pytest.raises(Disconnected, match=r"at least 95.0% of the votes, the largest has 94.0%") as caught:
        select_rated_models(counts)
    assert caught.value.components == (("ant", "bee"), ("cat", "dog"))
    assert select_rated_models(counts, least_share=0.94)[0].models == ("ant", "bee")


def test_two_models_have_the_closed_form() -> None:
    fitted = fit(_counts((0, 1, 30, 10, 0, 0), names=NAMES[:2]))
    assert fitted.theta == pytest.approx([np.log(3) / 2, -np.log(3) / 2], abs=1e-12)
    # Binary votes: the sandwich is the model's own variance, 1/(n p q) for the difference.
    assert fitted.covariance == pytest.approx(np.array([[1, -1], [-1, 1]]) / 4 / (40 * 0.75 * 0.25))


def test_ties_leave_theta_and_shrink_the_covariance() -> None:
    tied = fit(_counts((0, 1, 20, 0, 20, 0), names=NAMES[:2]))
    plain = fit_matrix(tied_wins := np.array([[0, 30], [10, 0]]))
    assert tied_wins.sum() == 40
    assert tied.theta == pytest.approx(plain.theta, abs=1e-12)
    assert tied.covariance[0, 0] < plain.covariance[0, 0]


def test_a_chain_of_one_sided_pairs_converges() -> None:
    W = np.diag(np.full(39, 1000.0), 1) + np.diag(np.ones(39), -1)
    fitted = fit_matrix(W)
    assert np.diff(fitted.theta) == pytest.approx(-np.log(1000), abs=1e-9)


@pytest.mark.parametrize("wins", [1e6, 1e9, 1e15])
def test_one_loss_in_a_great_many_votes_still_converges(wins: float) -> None:
    fitted = fit_matrix([[0, wins, 0], [1, 0, 1], [0, 1, 0]])
    assert fitted.theta[0] - fitted.theta[1] == pytest.approx(np.log(wins), abs=1e-9)


def test_a_step_that_overshoots_is_halved_until_the_likelihood_rises() -> None:
    W, start = np.array([[0.0, 3.0], [1.0, 0.0]]), np.zeros(2)
    moved = newton._climb(W, start, np.array([64.0, -64.0]))
    assert moved is not None
    assert newton._log_likelihood(W, moved) > newton._log_likelihood(W, start)
    assert newton._climb(W, start, np.array([-1e9, 1e9])) is None


def test_information_that_is_singular_in_float64_is_an_error() -> None:
    assert newton.solve_laplacian(np.zeros((2, 2)), np.zeros(2)) is None
    with pytest.raises(NotConverged):
        fit_matrix([[0, 3], [1, 0]], tolerance=-1.0, max_iterations=9)


def test_an_anchor_shifts_ratings_and_bounds_and_nothing_else() -> None:
    counts = _counts((0, 1, 8, 5, 3, 0), (1, 2, 4, 4, 0, 1), (2, 3, 6, 2, 0, 0))
    plain, shown = compute_leaderboard(counts), compute_leaderboard(counts, anchor=("cat", 1114.0))
    shift = 1114.0 - plain.rating[plain.models.index("cat")]
    assert shown.rating[shown.models.index("cat")] == pytest.approx(1114.0, abs=1e-12)
    for column in ("rating", "lower", "upper"):
        assert getattr(shown, column) == pytest.approx(getattr(plain, column) + shift)
    for column in ("se", "rank", "rank_best", "rank_worst", "votes"):
        assert getattr(shown, column).tolist() == getattr(plain, column).tolist()


def test_a_level_sets_the_width_of_the_interval() -> None:
    shown = wald_intervals(fit(_counts((0, 1, 30, 10, 0, 0), names=NAMES[:2])), level=0.9)
    assert (shown.upper - shown.rating) / shown.se == pytest.approx(1.6448536269514722)


def test_rank_sets_with_touching_and_empty_intervals() -> None:
    shown = RatingIntervals(
        rating=np.array([30.0, 20.0, 20.0, 10.0]),
        se=np.zeros(4),
        lower=np.array([25.0, 15.0, 20.0, 5.0]),
        upper=np.array([35.0, 25.0, 20.0, 15.0]),
    )
    places = marginal_ranks(shown)
    assert places.rank.tolist() == [1, 2, 2, 4]
    assert places.best.tolist() == [1, 1, 2, 3]
    assert places.worst.tolist() == [1, 3, 3, 4]


def test_equal_ratings_are_listed_by_name() -> None:
    board = compute_leaderboard(_counts((0, 1, 1, 1, 0, 0), (0, 2, 1, 1, 0, 0), names=("owl", "bee", "cat")))
    assert board.models == ("bee", "cat", "owl")
    assert board.rank.tolist() == [1, 1, 1]


def test_rounding_is_by_the_written_decimal_half_to_even() -> None:
    board = compute_leaderboard(_counts((0, 1, 1, 1, 0, 0), (0, 2, 1, 1, 0, 0), names=NAMES[:3]))
    odd = replace(board, rating=np.array([1.005, 1.015, 2.675]))
    assert odd.rounded().rating.tolist() == [1.0, 1.02, 2.68]
    assert odd.rounded().votes.tolist() == board.votes.tolist()
