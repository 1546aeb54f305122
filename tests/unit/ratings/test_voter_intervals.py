"""Sums over voters, intervals clustered by voter, confidence sequences: by hand, against the slow form, coverage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import BadCounts
from pipeline.lab.bench.taste_boards import TasteVotes, draw_votes, true_strengths
from pipeline.ratings import PairCounts, compute_leaderboard, fit, wald_intervals, with_clustered_covariance
from pipeline.ratings.bradley_terry import sandwich_covariance
from pipeline.ratings.confidence_sequences import SCALES, WEIGHTS, confidence_sequences, critical_values, pair_level
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.ratings.voter_intervals import voter_intervals
from pipeline.ratings.voter_score_sums import VoterBattles, sum_voter_scores
from pipeline.ratings.voter_scores import VoterScores, carry_on, vote_scatter

K = 6
NAMES = tuple(f"m{i}" for i in range(K))


def battles(board: TasteVotes, votes: slice = slice(None)) -> VoterBattles:
    return VoterBattles(board.voter[votes] + 1, board.a[votes], board.b[votes], board.outcome[votes])


def counted(of: VoterBattles) -> PairCounts:
    return PairCounts.from_codes(NAMES, of.model_a, of.model_b, of.outcome)


def test_the_sums_give_the_covariance_clustered_by_voter(monkeypatch: pytest.MonkeyPatch) -> None:
    board = draw_votes(np.random.default_rng(1), K, 3_000, 0.8)
    votes = battles(board)
    unknown = np.arange(len(votes.voter)) % 7 == 0
    votes = replace(votes, voter=np.where(unknown, 0, votes.voter))
    fitted = fit(counted(votes))
    expected = with_clustered_covariance(
        fitted, votes.model_a, votes.model_b, votes.outcome, np.where(unknown, -1, votes.voter)
    )
    sums = sum_voter_scores(fitted, NAMES, votes)
    assert sandwich_covariance(fitted.hessian, sums.scatter) == pytest.approx(expected.covariance, rel=1e-9)
    monkeypatch.setattr("pipeline.ratings.voter_score_sums._BLOCK", 100)
    assert sum_voter_scores(fitted, NAMES, votes).scatter == pytest.approx(sums.scatter, rel=1e-12)
    alone = sum_voter_scores(fitted, NAMES, replace(votes, voter=np.zeros_like(votes.voter)))
    assert alone.scatter == pytest.approx(vote_scatter(fitted, counted(votes)), rel=1e-9)
    assert sum_voter_scores(fitted, NAMES, battles(board, slice(0, 0))).scatter.tolist() == np.zeros((K, K)).tolist()


def test_effective_voters_are_few_where_few_voters_vote_much() -> None:
    sums = VoterScores(("a", "b"), np.array([[10.0, -10.0], [-10.0, 10.0]]), np.array([10.0, 100.0]))
    assert sums.effective.tolist() == [30.0, 3.0]  # ten voters with one score of 1 each, and one voter with all
    assert VoterScores(("a",), np.zeros((1, 1)), np.zeros(1)).effective.tolist() == [1.0]


def test_sums_that_are_carried_on_are_close_to_those_of_all_votes() -> None:
    board = draw_votes(np.random.default_rng(2), K, 20_000, 0.8)
    older, newer = battles(board, slice(0, 19_000)), battles(board)
    early, late = fit(counted(older)), fit(counted(newer))
    kept = sum_voter_scores(early, NAMES, older)
    carried = carry_on(kept, vote_scatter(early, counted(older)), late, counted(newer), 20 / 19)
    exact = sum_voter_scores(late, NAMES, newer)
    assert np.sqrt(np.diag(carried.scatter) / np.diag(exact.scatter)) == pytest.approx(np.ones(K), abs=0.08)
    same = carry_on(exact, vote_scatter(late, counted(newer)), late, counted(newer), 1.0)
    assert same.scatter == pytest.approx(exact.scatter)


@pytest.mark.long
@pytest.mark.parametrize(("taste", "seed"), [(0.0, 3), (0.5, 4), (1.0, 5)])
def test_intervals_cover_where_voters_have_tastes_and_follow_a_power_law(taste: float, seed: int) -> None:
    rng, held, plain, rounds = np.random.default_rng(seed), 0.0, 0.0, 150
    truth = None
    for _ in range(rounds):
        board = draw_votes(rng, K, 3_000, taste)
        truth = true_strengths(K, taste) * POINTS_PER_LOGIT + 1000
        counts = counted(battles(board))
        fitted = fit(counts)
        found = voter_intervals(
            compute_leaderboard(counts), fitted, counts, sum_voter_scores(fitted, NAMES, battles(board))
        )
        true = truth[[NAMES.index(name) for name in found.models]]
        held += ((found.lower <= true) & (true <= found.upper)).mean()
        counted_alone = wald_intervals(fitted)
        plain += ((counted_alone.lower <= truth) & (truth <= counted_alone.upper)).mean()
    assert 0.93 <= held / rounds <= 0.97  # Monte Carlo error .008
    assert plain / rounds < 0.9 or taste < 1


def test_the_critical_value_solves_its_equation_and_holds_what_it_says() -> None:
    se = np.array([1.0, 5.0, 20.0, 80.0])
    z = critical_values(se, 0.05)
    r = (np.array(SCALES) / se[:, None]) ** 2
    ratio = (np.array(WEIGHTS) * (1 + r) ** -0.5 * np.exp(z[:, None] ** 2 / 2 * r / (1 + r))).sum(axis=1)
    assert ratio == pytest.approx(np.full(4, 20.0))
    assert ((z / 1.96 > 1.6) & (z / 1.96 < 2.0)).all()
    assert (critical_values(se, 0.01) > z).all()
    assert critical_values(np.array([0.0]), 0.05).shape == (1,)


def test_a_random_walk_leaves_its_confidence_sequence_in_at_most_a_twentieth_of_runs() -> None:
    """2,000 walks of a mean, each looked at 1,000 times; the first look has a standard error of 40 points."""
    rng, runs, looks = np.random.default_rng(6), 2_000, 1_000
    sums = rng.standard_normal((runs, looks)).cumsum(axis=1)
    se = 40 / np.sqrt(np.arange(1, looks + 1))
    error = np.abs(sums / np.arange(1, looks + 1) * 40)
    assert 0.001 < (error > critical_values(se, 0.05) * se).any(axis=1).mean() <= 0.05
    assert (error > 1.96 * se).any(axis=1).mean() > 0.3


def test_sure_ranks_separate_by_pairs_and_divide_the_level() -> None:
    rating = np.array([1300.0, 1000.0, 990.0, 700.0])
    V = np.diag(np.full(4, (10 / POINTS_PER_LOGIT) ** 2))
    found = confidence_sequences(rating, (V / 4, V))
    assert (found.sure_best.tolist(), found.sure_worst.tolist()) == ([1, 2, 2, 4], [1, 3, 3, 4])
    assert found.margin == pytest.approx(critical_values(np.full(4, 10.0), 0.05) * 10)
    assert found.gap[:3].tolist() == [300.0, 10.0, 290.0]
    assert np.isnan(found.gap[3])
    assert found.gap_margin[0] == pytest.approx(critical_values(np.array([200**0.5]), 0.05)[0] * 200**0.5)
    still = confidence_sequences(rating, (np.zeros((4, 4)),))
    assert still.sure_worst.tolist() == [4, 4, 4, 4]  # a pair without an error is never separated
    # Spent at 64, 128, 256, … models: all pairs together use at most α.
    spent = [pair_level(size, 0.05) * size * (size - 1) / 2 for size in (2**k for k in range(6, 40))]
    assert sum(spent) <= 0.05
    assert pair_level(2, 0.05) == pair_level(64, 0.05) == pytest.approx(0.025 / (64 * 63 / 2))
    assert pair_level(65, 0.05) == pytest.approx(0.05 / 6 / (128 * 127 / 2))


def test_a_sequence_contains_the_interval_and_a_sure_range_the_rank() -> None:
    board = draw_votes(np.random.default_rng(8), K, 4_000, 0.5)
    counts = counted(battles(board))
    fitted = fit(counts)
    shown = compute_leaderboard(counts, anchor=("m0", 1500.0))
    found = voter_intervals(shown, fitted, counts, sum_voter_scores(fitted, NAMES, battles(board)))
    margin = found.sequences.margin
    assert (found.rating - margin < found.lower).all()
    assert (found.upper < found.rating + margin).all()
    assert (found.sequences.sure_best <= found.rank_best).all()
    assert (found.sequences.sure_worst >= found.rank_worst).all()
    assert found.rating == pytest.approx(shown.rating)


def _other_models() -> object:
    counts = PairCounts.from_codes(("a", "b"), [0, 1], [1, 0], [0, 0])
    sums = VoterScores(("a", "b", "c"), np.zeros((3, 3)), np.zeros(3))
    return voter_intervals(compute_leaderboard(counts), fit(counts), counts, sums)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confidence_sequences(np.array([1.0, 2.0]), (np.eye(2),)), "sorted ratings"),
        (lambda: confidence_sequences(np.array([2.0, 1.0]), ()), "at least one covariance"),
        (lambda: confidence_sequences(np.array([2.0, 1.0]), (np.eye(2),), level=1.0), "level"),
        (_other_models, "expected the sums of the 2 rated models, got 3 models"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        call()
