"""Figures of single probes against closed forms and slow references."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ratings.intervals import standard_errors
from pipeline.report.evidence.find_evidence import find_evidence
from pipeline.report.evidence.random_labels import RandomLabels
from pipeline.report.probe_result import ProbeOptions
from pipeline.report.probes import run_probes
from pipeline.report.probes.intransitivity import cyclic_triads
from pipeline.report.probes.rank_resolution import rank_intervals
from pipeline.report.probes.same_provider import SAME_PROVIDER
from pipeline.report.probes.separation import votes_between, votes_in_total
from pipeline.report.report_board import rate_report_votes
from pipeline.report.report_votes import ReportVotes
from tests.streams.planted_boards import PlantedBoard, draw
from tests.unit.report.report_rows import probes_of, report_votes


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=42, max_size=42))
def test_cyclic_triads_equal_a_count_of_each_triad(cells: list[int]) -> None:
    wins = np.zeros((7, 7))
    wins[~np.eye(7, dtype=bool)] = cells
    beats = wins > wins.T
    decided = [t for t in combinations(range(7), 3) if all(beats[i, j] or beats[j, i] for i, j in combinations(t, 2))]
    cycles = [t for t in decided if sorted(beats[np.ix_(t, t)].sum(axis=1).tolist()) == [1, 1, 1]]
    assert cyclic_triads(wins) == (len(cycles), len(decided))


def test_votes_needed_shrink_the_standard_error_to_the_gap_over_the_critical_value() -> None:
    assert votes_in_total(1.0, 1.0, 3.0, 1_000) == 9_000
    assert votes_in_total(0.0, 0.1, 3.0, 1_000) is None
    further = votes_between(0.1, 0.1, 3.0, 0.25)
    assert further is not None
    assert 1 / (1 / 0.1**2 + 0.25 * further) == pytest.approx((0.1 / 3) ** 2, rel=1e-3)
    assert votes_between(0.5, 0.1, 3.0, 0.25) == 0


def test_that_many_votes_separate_the_pair() -> None:
    board = PlantedBoard(votes=1_500, models=4, spread=0.2, tie_share=0.3, seed=3)
    rows = probes_of(board)["separation"].details["pairs"]
    row = next(one for one in rows if not one["jointly"] and one["gap"] > 10)
    drawn = report_votes(draw(board))
    times = -(-row["votes_in_total"] // len(drawn))
    again = drawn.select(np.tile(np.arange(len(drawn)), times))
    assert again.voter is not None
    apart = replace(again, voter=again.voter + np.repeat(np.arange(times), len(drawn)) * 10_000)
    found = run_probes(apart, rate_report_votes(apart))[0].details["pairs"]
    assert next(one for one in found if one["above"] == row["above"])["jointly"]


def test_rank_intervals_of_a_fixed_order_have_one_rank() -> None:
    low, high = rank_intervals(np.tile([0.5, 2.0, -1.0], (30, 1)), 0.95)
    assert low.tolist() == high.tolist() == [2, 1, 3]


def test_the_inflation_by_voter_is_the_ratio_of_the_board_s_standard_errors() -> None:
    votes = report_votes(draw(PlantedBoard(heavy=40, seed=2)))
    board = rate_report_votes(votes)
    found = next(one for one in run_probes(votes, board) if one.id == "clustering")
    clustered, plain = (standard_errors(fitted.covariance).mean() for fitted in (board.clustered, board.fitted))
    assert found.details["by"]["voter"]["ratio"] == pytest.approx(clustered / plain, rel=1e-9)


def test_votes_cast_twice_by_one_voter_double_the_variance() -> None:
    votes = report_votes(draw(PlantedBoard(votes=5_000, seed=4)))
    twice = votes.select(np.repeat(np.arange(len(votes)), 2))
    pairs = replace(twice, voter=np.repeat(np.arange(len(votes)), 2), prompt=None, session=None)
    found = next(one for one in run_probes(pairs, rate_report_votes(pairs)) if one.id == "clustering")
    assert found.figure == pytest.approx(np.sqrt(2), rel=1e-9)


@pytest.mark.parametrize(
    ("column", "probe"),
    [
        ("position", "position_bias"),
        ("voter", "voter_influence"),
        ("turn", "first_turn"),
        ("provider", "same_provider"),
    ],
)
def test_a_probe_says_which_column_the_file_lacks(column: str, probe: str) -> None:
    votes = replace(report_votes(draw(PlantedBoard(votes=1_000))), **{column: None})
    found = next(one for one in run_probes(votes, rate_report_votes(votes)) if one.id == probe)
    assert not found.fired
    assert found.figure is None
    assert found.unavailable is not None and found.sentence.endswith(f"because {found.unavailable}.")


@pytest.mark.parametrize(("how", "reason"), [("names", "order of their names"), ("winner", "the winner is always")])
def test_an_order_of_models_that_is_no_position_is_refused(how: str, reason: str) -> None:
    votes = report_votes(draw(PlantedBoard(votes=2_000, tie_share=0.0, spread=0.3)))
    a, b = votes.model_a, votes.model_b
    place = np.argsort(np.argsort(votes.models))
    swap = place[a] > place[b] if how == "names" else votes.outcome == 1
    keep = np.random.default_rng(0).random(len(votes)) < (0.01 if how == "names" else 0.0)
    swap = swap & ~keep
    turned = np.where(swap & (votes.outcome < 2), 1 - votes.outcome, votes.outcome).astype(np.int32)
    ordered = replace(votes, model_a=np.where(swap, b, a), model_b=np.where(swap, a, b), outcome=turned)
    found = next(one for one in run_probes(ordered, rate_report_votes(ordered)) if one.id == "position_bias")
    assert found.unavailable is not None
    assert reason in found.unavailable or "always shown in the same order" in found.unavailable


def test_the_board_counts_only_models_that_can_be_compared() -> None:
    columns = [np.array(column, dtype=np.int32) for column in ([0, 1, 2], [1, 0, 0], [0, 0, 1])]
    votes = ReportVotes(models=("x", "y", "z"), model_a=columns[0], model_b=columns[1], outcome=columns[2])
    board = rate_report_votes(votes)
    assert board.leaderboard.models == ("x", "y")
    assert [one.model for one in board.unrated] == ["z"]
    assert len(board.votes) == board.counts.total == 2


def test_gaps_of_one_provider_are_not_too_small_where_ratings_are_uncertain() -> None:
    boards = [PlantedBoard(models=16, votes=3_000, spread=0.6, seed=seed) for seed in range(12)]
    votes = [report_votes(draw(board)) for board in boards]
    figures = [SAME_PROVIDER.run(one, rate_report_votes(one), ProbeOptions()).figure for one in votes]
    known = [figure for figure in figures if figure is not None]
    # Without the correction the mean is −0.16.
    assert len(known) >= 10
    assert abs(np.mean(known)) < 0.07


def test_the_scale_of_gaps_is_recovered() -> None:
    found = probes_of(PlantedBoard(sibling_scale=0.6, votes=60_000, tie_share=0.0, spread=1.0))["same_provider"]
    assert found.figure == pytest.approx(-0.4, abs=0.05)
    assert found.interval is not None
    assert found.interval[0] < -0.4 < found.interval[1]


def test_influential_voters_are_listed_without_a_number_of_theirs() -> None:
    details = probes_of(PlantedBoard(loud_share=0.1))["voter_influence"].details
    assert details["largest"][0]["share"] == pytest.approx(0.1, abs=0.02)
    assert all("voter" not in row for row in details["largest"])
    # The loud voter, who is the last of 3,001, appears nowhere.
    assert "3000" not in str(details)


@pytest.mark.long
def test_pairs_that_met_once_say_nothing_about_the_order_in_which_models_are_shown() -> None:
    found = probes_of(PlantedBoard(models=80, votes=1_500, first_bonus=0.5))["position_bias"]
    assert found.unavailable is None
    assert found.fired


def test_cycles_of_many_models_that_met_few_others_are_counted_in_sparse_matrices() -> None:
    rng = np.random.default_rng(3)
    wins = np.where(rng.random((400, 400)) < 0.03, rng.integers(1, 4, (400, 400)), 0).astype(np.float64)
    np.fill_diagonal(wins, 0)
    beats = (wins > wins.T).astype(np.float64)
    either = beats + beats.T
    expected = np.trace(beats @ beats @ beats) / 3, np.trace(either @ either @ either) / 6
    assert cyclic_triads(wins) == expected
    assert expected[0] > 100


def test_a_board_of_a_thousand_models_and_more_compares_no_voters_and_refits_no_resamples() -> None:
    models = 1_001
    first, step = np.divmod(np.arange(4 * models), 4)
    votes = ReportVotes(
        models=tuple(f"m{k}" for k in range(models)),
        model_a=first.astype(np.int32),
        model_b=((first + np.array([1, 2, 300, 401])[step]) % models).astype(np.int32),
        outcome=(first + step).astype(np.int32) % 3,
        voter=(first % 50).astype(np.int64),
    )
    found = find_evidence(votes, RandomLabels(1, ""), b"")
    assert found[0].unavailable == "voters are compared on boards of up to 1,000 models, and this one has 1,001"
