"""Proof 2 of 3: the golden file, from 1,670,250 real votes (tests/golden/, pipeline/data/NOTICE.md)."""

import numpy as np
import pytest

from pipeline.ratings import (
    POINTS_PER_LOGIT,
    Leaderboard,
    PairCounts,
    compute_leaderboard,
    fit,
    fit_decisive,
    select_rated_models,
)

ANCHOR = ("mixtral-8x7b-instruct-v0.1", 1114.0)
# The golden file has six decimals, so half of the last one is its own rounding.
POINTS = 1e-6


@pytest.fixture(scope="module")
def board(real: PairCounts) -> Leaderboard:
    return compute_leaderboard(real, anchor=ANCHOR)


def _column(golden: dict[str, dict[str, str]], board: Leaderboard, name: str) -> np.ndarray:
    return np.array([float(golden[model][name]) for model in board.models])


def test_the_real_counts_are_complete(real: PairCounts) -> None:
    assert (len(real.models), len(real.a), real.total) == (129, 3460, 1_670_250)


def test_anchored_ratings_equal_the_golden(golden, board: Leaderboard) -> None:
    assert np.abs(board.rating - _column(golden, board, "rating_anchored")).max() <= POINTS


def test_mean_1000_ratings_equal_the_golden(golden, real: PairCounts) -> None:
    plain = compute_leaderboard(real)
    assert np.abs(plain.rating - _column(golden, plain, "rating_mean_1000")).max() <= POINTS
    assert plain.rating.mean() == pytest.approx(1000, abs=1e-9)


def test_standard_errors_equal_the_golden_whatever_the_anchor(golden, board: Leaderboard) -> None:
    assert np.abs(board.se - _column(golden, board, "sandwich_se_mean_zero_gauge")).max() <= POINTS
    assert board.se[board.models.index(ANCHOR[0])] > 0


def test_votes_equal_the_golden(golden, board: Leaderboard) -> None:
    assert board.votes.tolist() == [int(golden[model]["num_battles"]) for model in board.models]


def test_ratings_agree_with_those_published(golden, board: Leaderboard) -> None:
    published = {m: float(row["published_20240813"]) for m, row in golden.items() if row["published_20240813"]}
    ours = dict(zip(board.models, board.rating.tolist(), strict=True))
    delta = np.array([abs(ours[model] - published[model]) for model in published])
    assert len(delta) == 127
    assert delta.mean() <= 0.2
    assert np.median(delta) <= 0.08
    assert delta.max() <= 2.64


def test_the_fit_says_how_well_it_converged(board: Leaderboard) -> None:
    assert board.converged
    assert board.iterations <= 10
    assert board.gradient_norm < 1e-6


def test_the_first_rows_rounded(board: Leaderboard) -> None:
    shown = board.rounded()
    assert shown.models[:2] == ("chatgpt-4o-latest", "gemini-1.5-pro-exp-0801")
    assert shown.rating[:4].tolist() == [1315.16, 1298.42, 1285.83, 1274.85]
    assert shown.rank[:4].tolist() == [1, 2, 3, 4]
    assert shown.rank_best[:4].tolist() == [1, 2, 3, 4]
    assert shown.rank_worst[:4].tolist() == [1, 2, 3, 5]


def test_a_connected_board_is_rated_completely(real: PairCounts, board: Leaderboard) -> None:
    kept, unrated = select_rated_models(real)
    assert kept.models == real.models
    assert unrated == ()
    assert compute_leaderboard(real, anchor=ANCHOR, least_share=0.95).rating.tolist() == board.rating.tolist()


def test_a_fit_of_decisive_votes_has_a_wider_range_of_ratings(real: PairCounts, board: Leaderboard) -> None:
    fitted = fit_decisive(real)
    assert fitted.converged
    assert np.ptp(fitted.theta) * 400 / np.log(10) > np.ptp(board.rating)


def test_reweighting_by_pair_changes_the_real_board_as_published(real: PairCounts) -> None:
    moved = (fit(real, reweight=50).theta - fit(real).theta) * POINTS_PER_LOGIT
    assert np.abs(moved).max() == pytest.approx(23.8, abs=0.1)
