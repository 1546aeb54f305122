"""Ratings against figures that are worked out by hand, and large inputs against loops."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from math import log, sqrt
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadCounts, Disconnected
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, compute_leaderboard, fit, fit_matrix, fragility
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.ratings.battle_ratings import RatingOptions, rate_battles
from pipeline.ratings.bootstrap import BootstrapRatings
from pipeline.ratings.bradley_terry import Fit
from pipeline.ratings.fragility import fewest_votes_to_swap
from pipeline.ratings.rank_sets import simultaneous_rank_sets
from pipeline.ratings.rated_models import select_rated_models
from pipeline.ratings.residuals import residuals
from pipeline.ratings.style_control import fit_style
from pipeline.ratings.style_newton import StyleFit
from pipeline.ratings.vote_rows import VoteRows
from pipeline.ratings.voter_influence import most_influential_voters
from pipeline.ratings.win_graph import components_of_pairs, largest_component, strong_components
from pipeline.ratings.winners_curse import (
    SelectionGain,
    debias_known_n,
    debiased_se,
    mismatch_z,
    selection_gain,
    shrink_to_family_mean,
    standard_error,
    without_votes_before,
)


def board(*rows: list[int], models: tuple[str, ...] = ("ant", "bee", "cat", "dog")) -> PairCounts:
    """Rows of a, b, wins of a, wins of b, ties, both bad."""
    table = np.array(rows)
    return PairCounts.from_rows(models, table[:, 0], table[:, 1], table[:, 2:])


FIVE_THREE = board([0, 1, 5, 3, 0, 0], models=("ant", "bee"))


# --- two models, five wins to three: θ = ±½ ln(5/3), information 8 · 5/8 · 3/8 = 1.875 -----------------------------


def test_the_fit_of_two_models_by_hand() -> None:
    fitted = fit(FIVE_THREE)
    half = log(5 / 3) / 2
    assert fitted.theta == pytest.approx([half, -half])
    assert fitted.hessian == pytest.approx(np.array([[1.875, -1.875], [-1.875, 1.875]]))
    # Without ties the scores' variance is the information: V = H⁺ = 1/(4 · 1.875) each way.
    assert fitted.covariance == pytest.approx(np.array([[1, -1], [-1, 1]]) / 7.5)
    assert fitted.gradient_norm < 1e-9
    assert fitted.converged


def test_ties_add_information_and_a_smaller_variance_of_scores() -> None:
    """Five, three and four ties: 7 of 12. A tie's score is ½ − 7/12."""
    fitted = fit(board([0, 1, 5, 3, 3, 1], models=("ant", "bee")))
    assert fitted.theta[0] == pytest.approx(log(7 / 5) / 2)
    information = 12 * 7 / 12 * 5 / 12
    scatter = 5 * (5 / 12) ** 2 + 3 * (7 / 12) ** 2 + 4 * (1 / 12) ** 2
    assert fitted.covariance[0, 0] == pytest.approx(scatter / information**2 / 4)


def test_weights_keep_their_mean_and_change_nothing_for_one_pair() -> None:
    fitted = fit(FIVE_THREE, reweight=1000)
    assert fitted.theta == pytest.approx(fit(FIVE_THREE).theta)
    assert fitted.covariance == pytest.approx(fit(FIVE_THREE).covariance)
    heavy = fit_matrix([[0, 5], [3, 0]], weights=[[9, 7], [7, 9]])
    assert heavy.hessian[0, 0] == pytest.approx(1.875)


def test_the_price_of_a_swap_by_hand() -> None:
    """u_a − u_b = 1/1.875: a win has the influence 3/8 of it, so ln(5/3) costs 2.554 wins; a loss has none."""
    start = fit(FIVE_THREE)
    potentials = fragility._potentials(start, 0)
    assert potentials[0, 1] - potentials[1, 1] == pytest.approx(1 / 1.875)
    price = log(5 / 3) / (3 / 8 / 1.875)
    assert fragility._lower_bound(FIVE_THREE, start, potentials[:, 1], log(5 / 3)) == pytest.approx(price)
    assert fragility._Search(FIVE_THREE, start, 0, 1).linear_estimate() == pytest.approx(price)
    # Exactly: with two wins less the two are level, with three less 2 stand against 3.
    swap = fewest_votes_to_swap(FIVE_THREE, "ant", "bee")
    assert swap is not None
    assert (swap.votes, swap.share, swap.dropped.table().tolist()) == (3, 3 / 8, [[3, 0, 0, 0]])
    assert swap.gap == pytest.approx(400 * np.log10(5 / 3))
    assert swap.gap_after == pytest.approx(-400 * np.log10(3 / 2))


def test_ties_pay_for_a_swap_after_wins() -> None:
    """2 wins, 1 loss, 7 ties: a win has 1 − p = .45 and a tie ½ − p < 0: no tie helps, no loss does."""
    counts = board([0, 1, 2, 1, 5, 2], models=("ant", "bee"))
    start = fit(counts)
    assert start.theta[0] - start.theta[1] == pytest.approx(log(5.5 / 4.5))
    swap = fewest_votes_to_swap(counts, "ant", "bee")
    assert swap is not None
    assert swap.dropped.table().tolist() == [[2, 0, 0, 0]]


# --- results that are asked for their bounds --------------------------------------------------------------------------


def test_percentile_bounds_leave_out_half_of_the_rest_at_each_end() -> None:
    drawn = BootstrapRatings(np.arange(1001.0)[:, None] * [1, -2], 0, 0, 0)
    low, high = drawn.percentile_bounds()
    assert (low, high) == (pytest.approx([25, -1950]), pytest.approx([975, -50]))
    low, high = drawn.percentile_bounds(0.8)
    assert (low, high) == (pytest.approx([100, -1800]), pytest.approx([900, -200]))
    for level in (0, 1):
        with pytest.raises(BadCounts):
            drawn.percentile_bounds(level)


def test_covariance_of_rounds_is_the_unbiased_one() -> None:
    drawn = BootstrapRatings(np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 6.0]]), 0, 0, 0)
    assert drawn.covariance().tolist() == [[1.0, 3.0], [3.0, 12.0]]


def test_a_coefficient_s_interval_reaches_1_96_standard_errors_each_way() -> None:
    found = StyleFit(fit(FIVE_THREE), ("tokens",), np.array([1.0]), np.array([[0.04]]), np.array([1.0]))
    low, high = found.coefficient_intervals()
    assert (low[0], high[0]) == (pytest.approx(1 - 1.959964 * 0.2), pytest.approx(1 + 1.959964 * 0.2))
    low, high = found.coefficient_intervals(0.9)
    assert high[0] - low[0] == pytest.approx(2 * 1.644854 * 0.2)
    for level in (0, 1, 1.5):
        with pytest.raises(BadCounts):
            found.coefficient_intervals(level)


def test_a_board_that_is_shifted_moves_ratings_and_both_bounds() -> None:
    shown = compute_leaderboard(FIVE_THREE)
    moved = shown.shifted(12.5)
    for name in ("rating", "lower", "upper"):
        assert getattr(moved, name) - getattr(shown, name) == pytest.approx([12.5, 12.5])
    assert (moved.se.tolist(), moved.rank.tolist()) == (shown.se.tolist(), shown.rank.tolist())


def test_cents_are_rounded_half_to_even_as_they_are_written() -> None:
    shown = compute_leaderboard(FIVE_THREE)
    rating = np.array([1.005, 1.015])
    assert replace(shown, rating=rating).rounded().rating.tolist() == [1.0, 1.02]


# --- selection --------------------------------------------------------------------------------------------------------


def test_two_scores_shrink_by_hand() -> None:
    """Scores 0 and 4 with error 1: Q = 8, τ² = (8 − 1)/(2 − 1) = 7, seven eighths are kept."""
    found = shrink_to_family_mean([0.0, 4.0], 1.0)
    assert (found.mean, found.tau) == (2.0, pytest.approx(sqrt(7)))
    assert found.scores == pytest.approx([0.25, 3.75])
    # 7/8 of the error's variance, and (1/8)² of the mean's, which is (1 + 7)/2.
    assert found.se == pytest.approx(np.full(2, sqrt(7 / 8 + 4 / 64)))
    equal = shrink_to_family_mean([3.0, 3.0, 3.0], [1.0, 1.0, 2.0])
    assert (equal.tau, equal.mean) == (0.0, 3.0)
    assert equal.se == pytest.approx(np.full(3, sqrt(1 / 2.25)))


def test_the_gain_of_the_best_of_two_by_hand() -> None:
    """E[max of 2] = 1/√π; errors 3 and spread 4 make 5, of which 9/25 is luck."""
    best = 1 / sqrt(np.pi)
    gain = selection_gain(2, 3.0, 4.0)
    assert (gain.legitimate, gain.curse) == (pytest.approx(best * 16 / 5), pytest.approx(best * 9 / 5))
    assert gain.total == pytest.approx(best * 5)
    assert selection_gain(2, 0.0, 0.0) == SelectionGain(0.0, 0.0)
    assert debias_known_n(100.0, 2, 3.0, 4.0) == pytest.approx(100 - best * 9 / 5)


def test_the_error_of_a_debiased_score_by_hand() -> None:
    """Var[max of 2] = 1 − 1/π: (81 (1 − 1/π) + 9 · 16)/25."""
    assert debiased_se(2, 3.0, 4.0) == pytest.approx(sqrt((81 * (1 - 1 / np.pi) + 144) / 25))
    assert debiased_se(5, 0.0, 0.0) == 0.0
    for se, tau in ((-1.0, 1.0), (1.0, -1.0)):
        with pytest.raises(BadCounts):
            debiased_se(2, se, tau)


def test_standard_errors_and_mismatches_by_hand() -> None:
    assert standard_error(10_000) == pytest.approx(POINTS_PER_LOGIT * 0.02)
    assert standard_error(7500, 0.25) == pytest.approx(POINTS_PER_LOGIT * 0.02)
    assert standard_error(1, 0.0) == pytest.approx(2 * POINTS_PER_LOGIT)
    assert mismatch_z(1100, 3, 1080, 4, curse=5) == pytest.approx(3.0)
    assert mismatch_z(1100, 0, 1080, 4) == pytest.approx(5.0)
    for bad in (-1.0, float("nan")):
        with pytest.raises(BadCounts):
            mismatch_z(1, bad, 1, 1)
        with pytest.raises(BadCounts):
            mismatch_z(1, 1, 1, bad)


def test_votes_before_the_selection_are_left_out_on_either_side() -> None:
    counts = board([0, 1, 9, 9, 0, 0], [1, 2, 9, 9, 0, 0], [0, 2, 9, 9, 0, 0])
    before = board([0, 1, 2, 0, 0, 0], [1, 2, 0, 3, 0, 0], [0, 2, 4, 4, 0, 0])
    left = without_votes_before(counts, before, "bee")
    assert {(int(a), int(b)): row for a, b, row in zip(left.a, left.b, left.table().tolist(), strict=True)} == {
        (0, 1): [7, 9, 0, 0],
        (1, 2): [9, 6, 0, 0],
        (0, 2): [9, 9, 0, 0],
    }


# --- which models are rated -------------------------------------------------------------------------------------------


def test_models_left_out_have_their_reasons() -> None:
    models = ("ant", "bee", "lost", "won", "far", "new")
    counts = board(
        [0, 1, 50, 50, 0, 0], [0, 2, 3, 0, 0, 0], [1, 3, 0, 1, 0, 0], [2, 4, 1, 0, 0, 0], models=models
    )  # fmt: skip
    rated, left = select_rated_models(counts, least_share=0.9)
    assert rated.models == ("ant", "bee")
    assert {one.model: one.reason for one in left} == {
        "lost": "It lost all of its 3 votes against rated models; a rating needs a win or a tie.",
        "won": "It won all of its 1 vote against rated models; a rating needs a loss or a tie.",
        "far": "Not rated: it never met a rated model (1 vote).",
        "new": "No counted vote yet.",
    }


def test_a_component_with_just_the_least_share_is_rated() -> None:
    counts = board([0, 1, 10, 9, 0, 0], [2, 3, 1, 0, 0, 0])
    assert select_rated_models(counts, least_share=0.95)[0].models == ("ant", "bee")
    with pytest.raises(Disconnected, match=r"at least 95.1% of the votes, the largest has 95.0%"):
        select_rated_models(counts, least_share=0.951)


def test_components_are_sorted_by_votes_then_models_then_place() -> None:
    W = np.zeros((8, 8))
    for i, j, n in ((0, 1, 2), (2, 3, 3), (4, 5, 1), (5, 6, 1)):
        W[i, j] = W[j, i] = n
    W[6, 0] = 9  # one way only: it joins nothing
    # Six votes, four votes of three models, four of two, and a model alone.
    assert [part.tolist() for part in strong_components(W)] == [[2, 3], [4, 5, 6], [0, 1], [7]]
    assert largest_component(W)[1] == pytest.approx(6 / 23)


def test_a_message_lists_six_components_and_six_models_of_each() -> None:
    seven = np.triu(np.ones((7, 7)), 1)
    with pytest.raises(Disconnected, match=r"got 7 components .*; …$"):
        fit_matrix(seven)
    with pytest.raises(Disconnected, match=r"\{5\}$"):
        fit_matrix(seven[:6, :6])
    ring = np.zeros((8, 8))
    for i, j in pairwise([*range(7), 0]):
        ring[i, j] = 1
    ring[0, 7] = 1
    with pytest.raises(Disconnected, match=r"\{0, 1, 2, 3, 4, 5, … 1 more\}; \{7\}"):
        fit_matrix(ring)


# --- simultaneous rank sets -------------------------------------------------------------------------------------------


def independent(theta: list[float], sd: float) -> Fit:
    size = len(theta)
    V = sd**2 * (np.eye(size) - 1 / size)
    return Fit(np.array(theta), V, np.eye(size), 1, 0.0, converged=True)


def test_the_critical_value_of_two_models_is_that_of_a_normal() -> None:
    found = simultaneous_rank_sets(independent([1.0, -1.0], 0.1), draws=200_000)
    assert found.critical == pytest.approx(1.96, abs=0.02)
    assert (found.best.tolist(), found.worst.tolist(), found.level) == ([1, 2], [1, 2], 0.95)
    assert simultaneous_rank_sets(independent([1.0, -1.0], 0.1), level=0.9).critical == pytest.approx(1.645, abs=0.05)


def test_the_critical_value_of_four_models_is_tukey_s() -> None:
    """The studentized range of four with infinite degrees of freedom at .95 is 3.633, over √2."""
    found = simultaneous_rank_sets(independent([3.0, 0.2, 0.0, -3.0], 1.0), draws=100_000)
    assert found.critical == pytest.approx(3.633 / sqrt(2), abs=0.02)
    # 2.569 · √2 = 3.633: the first is above the last (6.0), not above the middle ones (2.8 and 3.0).
    assert (found.best.tolist(), found.worst.tolist()) == ([1, 1, 1, 2], [3, 4, 4, 4])


# --- large inputs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("models", "votes"), [(3, 200_001), (2_100, 5_000)])
def test_many_votes_and_many_models_are_counted_like_a_few(models: int, votes: int) -> None:
    """Above 200,000 votes two threads count; above 2,048 models the votes are sorted."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, models, votes)
    b = (a + rng.integers(1, models, votes)) % models
    outcome = rng.integers(0, 4, votes)
    counts = PairCounts.from_codes([f"m{k}" for k in range(models)], a, b, outcome)
    flipped = np.where((a > b) & (outcome < 2), 1 - outcome, outcome)
    low, high = np.minimum(a, b), np.maximum(a, b)
    slow = Counter(zip(low.tolist(), high.tolist(), flipped.tolist(), strict=True))
    found = {
        (int(i), int(j), o): n
        for i, j, row in zip(counts.a, counts.b, counts.table().tolist(), strict=True)
        for o, n in enumerate(row)
        if n
    }
    assert found == slow


def test_rows_of_three_hundred_models_and_several_blocks_are_sorted_by_pair() -> None:
    rng = np.random.default_rng(2)
    size, votes = 300, 40_000
    a = np.concatenate([np.full(20_000, 7), rng.integers(0, size, votes - 20_000)]).astype(np.int32)
    b = np.concatenate([np.full(20_000, 9), (a[20_000:] + 1 + rng.integers(0, size - 1, votes - 20_000)) % size])
    b = b.astype(np.int32)
    outcome = rng.integers(0, 4, votes).astype(np.int32)
    z = rng.normal(size=(votes, 2))
    rows = VoteRows(a, b, outcome, z, size)
    pairs, number = np.unique(np.minimum(a, b).astype(np.int64) * size + np.maximum(a, b), return_inverse=True)
    assert (rows.low * size + rows.high).tolist() == pairs.tolist()
    assert rows.votes.tolist() == np.bincount(number).tolist()
    assert rows.second_moments() == pytest.approx((z**2).mean(axis=0))
    theta, gamma, weight = rng.normal(size=size), np.array([0.3, -0.2]), rng.uniform(1, 2, len(pairs))
    sums = rows.sums_at(theta, gamma, weight, information=True, scatter=True)
    p = 1 / (1 + np.exp(-(theta[a] - theta[b] + z @ gamma)))
    y = np.array([1.0, 0.0, 0.5, 0.5])[outcome]
    each = weight[number]
    side = np.where(a < b, 1.0, -1.0)
    assert sums.pairs == pytest.approx(np.bincount(number, each * (y - p) * side), abs=1e-9)
    assert sums.features == pytest.approx((each * (y - p)) @ z)
    for blocks, u in ((sums.information, each * p * (1 - p)), (sums.scatter, (each * (y - p)) ** 2)):
        assert blocks is not None
        assert blocks.pairs == pytest.approx(np.bincount(number, u))
        assert blocks.features == pytest.approx((z * u[:, None]).T @ z)
        for k in range(2):
            assert blocks.cross[k] == pytest.approx(np.bincount(number, u * z[:, k] * side), abs=1e-9)
    bare = rows.sums_at(theta, gamma, weight)
    assert bare.information is None and bare.scatter is None


def test_the_most_influential_of_many_voters_is_found_in_whichever_batch_it_stands() -> None:
    """16,384 voters are computed at a time; the last of 16,500 has thirty votes, all others one each."""
    rng = np.random.default_rng(3)
    votes, size = 16_500, 4
    a = rng.integers(0, size, votes)
    b = (a + rng.integers(1, size, votes)) % size
    outcome, voter = rng.integers(0, 2, votes), np.arange(votes)
    a, b = np.append(a, np.full(29, 2)), np.append(b, np.full(29, 1))
    outcome, voter = np.append(outcome, np.zeros(29, dtype=int)), np.append(voter, np.full(29, votes - 1))
    counts = PairCounts.from_codes(("ant", "bee", "cat", "dog"), a, b, outcome)
    first, *_ = most_influential_voters(counts, a, b, outcome, voter, top=3)
    assert (first.voter, first.votes) == (votes - 1, 30)
    kept = voter != votes - 1
    without = fit(PairCounts.from_codes(counts.models, a[kept], b[kept], outcome[kept])).theta
    shift = (fit(counts).theta - without) * POINTS_PER_LOGIT
    place = int(np.abs(shift).argmax())
    assert first.model == counts.models[place]
    assert first.exact == pytest.approx(shift[place])
    assert first.points == pytest.approx(shift[place], rel=0.02)


def test_residuals_are_what_an_outcome_is_above_its_chance() -> None:
    theta = np.array([log(3.0), 0.0, -1000.0])
    found = residuals(theta, np.array([0, 0, 0, 0, 2]), np.array([1, 1, 1, 1, 0]), np.array([0, 1, 2, 3, 0]))
    assert found == pytest.approx([0.25, -0.75, -0.25, -0.25, 1.0])


# --- a table of votes -------------------------------------------------------------------------------------------------


def columns(voter: list[int]) -> BattleColumns:
    a, b, outcome = np.array([[0, 1, 0], [0, 1, 1], [1, 2, 0], [1, 2, 1], [0, 2, 0], [0, 2, 1], [0, 1, 0]]).T
    none = np.full((7, 5), -1)
    return BattleColumns(
        ("ant", "bee", "cat"), a.astype(np.int32), b.astype(np.int32), outcome.astype(np.int32),
        ("v0",), np.array(voter), MappingProxyType({}), (none, none),
    )  # fmt: skip


def test_one_known_voter_is_enough_to_have_voters() -> None:
    assert columns([-1] * 6 + [0]).has_voters
    assert columns([0] * 7).has_voters
    assert not columns([-1] * 7).has_voters


def test_progress_goes_up_by_one_a_swap_and_reaches_its_end() -> None:
    steps: list[tuple[str, int]] = []
    totals: dict[str, int] = {}

    @contextmanager
    def progress(what: str, total: int) -> Any:
        totals[what] = total
        yield lambda done: steps.append((what, done))

    found = rate_battles(columns([0] * 7), RatingOptions(fragility=2), progress)
    assert totals == {"fragility": 3}
    assert steps == [("fragility", 1)] * 3
    assert len(found.swaps) == 2
    assert found.dethroned is not None


# --- style ------------------------------------------------------------------------------------------------------------


def test_a_style_coefficient_of_one_pair_by_hand() -> None:
    """Z = ±1: with z = 1 seven of ten are won, with z = −1 four of ten. logit .7 = t + γ, logit .4 = t − γ."""
    a = np.zeros(20, dtype=int)
    outcome = np.array([0] * 7 + [1] * 3 + [0] * 4 + [1] * 6)
    z = np.array([1.0] * 10 + [-1.0] * 10)[:, None]
    found = fit_style(("ant", "bee"), a, a + 1, outcome, z, features=("tokens",))
    t, gamma = (log(7 / 3) + log(4 / 6)) / 2, (log(7 / 3) - log(4 / 6)) / 2
    assert found.ratings.theta == pytest.approx([t / 2, -t / 2])
    assert (found.coefficients[0], found.scale[0]) == (pytest.approx(gamma), 1.0)
    # Var(t + γ) = 1/(10 · .7 · .3) and Var(t − γ) = 1/(10 · .4 · .6), independent: half their mean each.
    variance = (1 / 2.1 + 1 / 2.4) / 4
    assert found.covariance[0, 0] == pytest.approx(variance)
    assert found.ratings.covariance[0, 0] == pytest.approx(variance / 4)
    assert found.ratings.gradient_norm < 1e-8


def test_of_components_with_as_many_votes_the_one_with_more_models_is_first() -> None:
    """Ant and bee met twice; cat, dog and elk met once each way round: six votes in each component."""
    a, b = np.array([0, 2, 3, 4], np.int32), np.array([1, 3, 4, 2], np.int32)
    votes = np.array([[3, 3, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]])
    parts, counted = components_of_pairs(5, a, b, votes)
    assert ([part.tolist() for part in parts], counted.tolist()) == ([[2, 3, 4], [0, 1]], [6, 6])
