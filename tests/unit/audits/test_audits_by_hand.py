"""Audits against figures that are worked out by hand, and at the edges of their rules."""

from __future__ import annotations

from itertools import combinations
from math import exp, log, sqrt

import numpy as np
import pytest

from pipeline.audits.claims import (
    AccuracyDrop,
    Score,
    arena_gap,
    drop_of_scores,
    perturbation_gap,
    score_pair,
)
from pipeline.audits.claims import (
    ScoreTest as Difference,
)
from pipeline.audits.finding import Finding, p_to_e_value, two_sided
from pipeline.audits.graph_health import GraphHealth, graph_findings, graph_health
from pipeline.audits.lockstep import BUCKET, LockstepGroup, lockstep, lockstep_findings
from pipeline.audits.task_mix import task_mix
from pipeline.errors import BadCounts
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, fit

# --- findings ---------------------------------------------------------------------------------------------------------


def test_a_p_value_is_worth_half_its_root_s_inverse() -> None:
    assert p_to_e_value(1.0) == 0.5
    assert p_to_e_value(0.0025) == pytest.approx(10.0)
    assert p_to_e_value(0.0) == pytest.approx(0.5e150)
    for p in (-0.01, 1.01):
        with pytest.raises(BadCounts, match="expected a p-value"):
            p_to_e_value(p)


def test_the_evidence_of_one_of_several_tests_is_its_part_of_the_mean() -> None:
    one = Finding("a", "model", "m", "d", "warning", "what", 0.0025)
    assert one.e_value == pytest.approx(10.0)
    assert Finding("a", "model", "m", "d", "warning", "what", 0.0025, tests=4).e_value == pytest.approx(2.5)
    assert Finding("a", "model", "m", "d", "warning", "what").e_value is None


def test_both_tails_beyond_1_96_hold_five_of_a_hundred() -> None:
    assert two_sided(1.959964) == two_sided(-1.959964) == pytest.approx(0.05, abs=1e-7)
    assert two_sided(0.0) == 1.0


# --- claims -----------------------------------------------------------------------------------------------------------


def test_one_question_is_enough_for_a_score() -> None:
    assert Score(0.5, 1).variance == 0.25
    assert Score(0.0, 1).variance == Score(1.0, 1).variance == 0.25  # half an answer away from certainty


def test_a_score_of_none_or_all_counts_as_half_an_answer_off() -> None:
    assert Score(1.0, 10).variance == pytest.approx(0.95 * 0.05 / 10)
    assert Score(0.0, 10).variance == pytest.approx(0.05 * 0.95 / 10)
    assert Score(0.8, 10).variance == pytest.approx(0.016)


def test_a_share_of_one_is_not_one_per_cent() -> None:
    assert score_pair(1.0, None, 0.5, 10) == (Score(1.0, 10), Score(0.5, 10))
    assert score_pair(0.5, None, 1.0, 10) == (Score(0.5, 10), Score(1.0, 10))


def test_a_difference_fires_above_what_is_expected_and_below_one_in_a_hundred() -> None:
    assert Difference("m", "b", 0.2, 0.1, 3.0, 0.0099).fires
    assert not Difference("m", "b", 0.2, 0.1, 3.0, 0.01).fires
    assert not Difference("m", "b", 0.1, 0.1, 0.0, 0.001).fires


def test_two_scores_lose_with_both_variances() -> None:
    found = drop_of_scores(Score(0.8, 100), Score(0.7, 50))
    assert found == AccuracyDrop(50, pytest.approx(0.1), pytest.approx(0.0016 + 0.0042))


def test_a_loss_is_held_against_the_median_of_its_peers_and_that_median_s_own_error() -> None:
    drops = {
        name: AccuracyDrop(100, loss, 0.0004) for name, loss in (("a", 0.30), ("b", 0.05), ("c", 0.07), ("d", 0.06))
    }
    a, b, *_ = perturbation_gap("wording", drops)
    assert (a.gap, a.expected) == (0.30, pytest.approx(0.06))
    # Peers .05, .07, .06 have the deviation .01.
    assert a.z == pytest.approx(0.24 / sqrt(0.0004 + 1.2533**2 * 0.0001 / 3))
    assert b.expected == pytest.approx(0.07)
    assert b.z == pytest.approx(-0.02 / sqrt(0.0004 + 1.2533**2 * np.var([0.30, 0.07, 0.06], ddof=1) / 3))
    assert len(perturbation_gap("wording", {name: drops[name] for name in "abc"})) == 3


def test_a_gain_on_arena_prompts_is_held_against_the_gain_elsewhere() -> None:
    found = arena_gap("m", "b", (Score(0.2, 100), Score(0.4, 100)), (Score(0.5, 200), Score(0.6, 200)))
    assert (found.gap, found.expected) == (pytest.approx(0.2), pytest.approx(0.1))
    # .16/100 + .24/100 + .25/200 + .24/200
    assert found.z == pytest.approx(0.1 / sqrt(0.00645))


# --- graph health -----------------------------------------------------------------------------------------------------


def both_ways(names: str, votes: dict[str, int]) -> PairCounts:
    """A board on which each pair's votes are split evenly, so many each way."""
    rows = [[names.index(i), names.index(j), n, n, 0, 0] for (i, j), n in votes.items()]
    table = np.array(rows)
    return PairCounts.from_rows(tuple(names), table[:, 0], table[:, 1], table[:, 2:])


@pytest.mark.parametrize("names", ["abcdef", "fedcba", "cdefab"])
def test_the_cut_between_two_and_four_models_is_told_by_hand(names: str) -> None:
    """200 votes between a and b, 200 a pair among the four others, 20 between a and c alone."""
    inner = {"".join(sorted(pair)): 100 for pair in combinations("cdef", 2)}
    counts = both_ways(names, {"ab": 100, **inner, "ac": 10})
    health = graph_health(counts)
    assert sorted(health.side) == ["a", "b"]
    assert (health.crossing, health.crossing_pairs, health.models) == (20, 1, 6)
    assert health.conductance == pytest.approx(20 / 420)
    # b meets d over a and c: 1/(n/4) + 1/(20/4) + of four alike 2/(4 · n/4), with n = 200: 4/200 + 4/20 + 2/200.
    assert health.worst[0] == "b" or health.worst[1] == "b"
    assert health.worst_se == pytest.approx(sqrt(0.02 + 0.2 + 0.01) * POINTS_PER_LOGIT)
    (finding,) = graph_findings(counts)
    assert "2 models" in finding.what
    assert "by 20 votes only, 4.8% of theirs" in finding.what
    assert (finding.evidence["worst_se"], finding.evidence["median_se"]) == (health.worst_se, health.median_se)


def test_the_median_pair_of_equals_is_every_pair() -> None:
    health = graph_health(both_ways("abcd", {"".join(pair): 100 for pair in combinations("abcd", 2)}))
    # Every pair's variance is 2/(4 · 200/4) = .01; the information has eigenvalues 4 · 50.
    assert health.worst_se == pytest.approx(0.1 * POINTS_PER_LOGIT)
    assert health.median_se == pytest.approx(0.1 * POINTS_PER_LOGIT)
    assert health.lambda2 == pytest.approx(200.0)


def test_an_eighth_of_the_votes_across_is_enough() -> None:
    def health(conductance: float) -> GraphHealth:
        return GraphHealth(4, 1.0, ("a", "b"), 1.0, 1.0, conductance, ("a",), 1, 1)

    assert health(0.1249).weak
    assert not health(0.125).weak


@pytest.mark.parametrize(("m", "more"), [(6, False), (7, True)])
def test_six_models_of_the_thin_side_are_named(m: int, more: bool) -> None:
    names = "abcdefghijklmnop"[: 2 * m]
    votes = {i + j: 165 if (i in names[:m]) == (j in names[:m]) else 5 for i, j in combinations(names, 2)}
    (finding,) = graph_findings(both_ways(names, votes))
    assert (", …)" in finding.what) is more
    assert len(finding.evidence["side"]) == m


# --- lockstep ---------------------------------------------------------------------------------------------------------


def two_in_a_crowd(crowd: int) -> list[np.ndarray]:
    """Voters 0 and 1 share four cells of their own and one with a crowd of which each votes once."""
    rows = [(who, k, 0, k * BUCKET + who, k) for who in (0, 1) for k in range(1, 5)]
    rows += [(who, 0, 0, 9 * BUCKET, 0) for who in range(crowd + 2)]
    return list(np.array(rows).T)


def test_two_voters_of_four_rare_cells_score_by_hand() -> None:
    (group,) = lockstep(*two_in_a_crowd(40))
    # 50 votes: a rare cell has probability (2/50)³ and each of the two has 5 votes; the crowd's cell adds nothing.
    assert group.voters == (0, 1)
    assert group.score == pytest.approx(4 * -log(5 * 0.04**3))
    assert group.cells == 5
    # Twice 4 edges of 1/ln(2 + 5) and one of 1/ln(42 + 5), over two voters and five cells.
    assert group.density == pytest.approx(2 * (4 / log(7) + 1 / log(47)) / 7)


@pytest.mark.parametrize(("crowd", "cells"), [(48, 5), (49, 4)])
def test_a_cell_of_more_than_fifty_votes_says_nothing(crowd: int, cells: int) -> None:
    (group,) = lockstep(*two_in_a_crowd(crowd))
    assert group.cells == cells


def test_outcomes_of_one_pair_are_cells_of_their_own() -> None:
    who, pair, outcome, at, prompt = two_in_a_crowd(40)
    outcome = np.where(who == 1, 1, outcome)
    assert lockstep(who, pair, outcome, at, prompt) == ()


def test_a_vote_a_bucket_later_is_another_cell() -> None:
    who, pair, outcome, at, prompt = two_in_a_crowd(40)
    assert len(lockstep(who, pair, outcome, at + np.where(who == 1, BUCKET - 2, 0), prompt)) == 1
    assert lockstep(who, pair, outcome, at + np.where(who == 1, BUCKET - 1, 0), prompt) == ()


def test_peeling_leaves_the_densest_set() -> None:
    """Three share ten cells; a fourth shares four others with one of them, which thins the group."""
    ring = [(who, k, 0, k * BUCKET, k) for who in (0, 1, 2) for k in range(10)]
    guest = [(who, 100 + k, 0, (100 + k) * BUCKET, 100 + k) for who in (0, 3) for k in range(4)]
    crowd = [(10 + k, 1000 + k, 0, (1000 + k) * BUCKET, 1000 + k) for k in range(62)]
    (group,) = lockstep(*np.array(ring + guest + crowd).T)
    # All four: (30/ln 8 + 8/ln 7) over 4 voters and 14 cells, 1.03; the three: 30/ln 8 over 3 and 10, 1.11.
    assert group.voters == (0, 1, 2)
    assert group.cells == 10
    assert group.density == pytest.approx(30 / log(8) / 13)


def test_a_group_s_p_value_is_its_score_s_over_all_pairs_of_voters() -> None:
    group = LockstepGroup((3, 5), 4, 0.7, 20.0)
    (finding,) = lockstep_findings((group,), 1000, str)
    assert finding.p_value == pytest.approx(exp(-20) * 1000**2 / 2)
    (likely,) = lockstep_findings((LockstepGroup((3, 5), 4, 0.7, 1.0),), 1000, str)
    assert likely.p_value == 1.0
    (alone,) = lockstep_findings((group,), 1, str)
    assert alone.p_value == pytest.approx(exp(-20) * 2)
    assert finding.evidence == {"voters": ["3", "5"], "number": 2, "cells": 4, "density": 0.7}


def test_twenty_voters_of_a_group_are_listed() -> None:
    (finding,) = lockstep_findings((LockstepGroup(tuple(range(100, 125)), 4, 0.7, 30.0),), 1000, str)
    assert finding.evidence["voters"] == [str(n) for n in range(100, 120)]
    assert finding.evidence["number"] == 25


# --- task mix ---------------------------------------------------------------------------------------------------------


def circle() -> dict[str, PairCounts]:
    """A and b are equal in the whole mix, but a met c in the easy task mostly."""
    rows = {
        "easy": [[0, 1, 60, 40, 0, 0], [0, 2, 160, 40, 0, 0], [1, 2, 8, 2, 0, 0]],
        "hard": [[0, 1, 50, 50, 0, 0], [0, 2, 2, 8, 0, 0], [1, 2, 120, 80, 0, 0]],
    }
    return {
        task: PairCounts.from_rows(tuple("abc"), *(np.array(table)[:, k] for k in (0, 1)), np.array(table)[:, 2:])
        for task, table in rows.items()
    }


def test_reordered_pairs_have_gaps_and_errors_of_the_two_fits() -> None:
    tasks = circle()
    found = task_mix(tasks)
    plain = fit(PairCounts.merge(list(tasks.values())))
    # By hand: each task has as many votes in the whole board as it weighs (310 and 310), pair by pair.
    level = np.zeros((3, 3))
    weight = {task: int(counts.win_matrix().sum()) / 620 for task, counts in tasks.items()}
    assert weight == {"easy": 0.5, "hard": 0.5}
    for i, j in combinations(range(3), 2):
        votes = sum(c.win_matrix()[i, j] + c.win_matrix()[j, i] for c in tasks.values())
        for counts in tasks.values():
            W = counts.win_matrix()
            level[i, j] += votes / 2 * W[i, j] / (W[i, j] + W[j, i])
            level[j, i] += votes / 2 * W[j, i] / (W[i, j] + W[j, i])
    again = slow_theta(level)
    expected = {}
    for i, j in ((i, j) for i in range(3) for j in range(3) if plain.theta[i] > plain.theta[j]):
        if again[i] < again[j]:
            gap, then = plain.theta[i] - plain.theta[j], again[i] - again[j]
            contrast = np.eye(3)[i] - np.eye(3)[j]
            error = sqrt(contrast @ plain.covariance @ contrast)
            expected["abc"[i], "abc"[j]] = (gap * POINTS_PER_LOGIT, then * POINTS_PER_LOGIT, (gap - then) / error)
    assert expected
    assert {(one.above, one.below): (one.gap, one.gap_at_one_mix, one.z) for one in found.reordered} == {
        pair: pytest.approx(values, abs=1e-4) for pair, values in expected.items()
    }
    assert found.order_at_one_mix == tuple("abc"[k] for k in np.argsort(-again))


def slow_theta(W: np.ndarray) -> np.ndarray:
    """Zermelo's iteration."""
    strength = np.ones(len(W))
    for _ in range(20_000):
        met = (W + W.T) / (strength[:, None] + strength[None, :])
        np.fill_diagonal(met, 0.0)
        strength = W.sum(axis=1) / met.sum(axis=1)
        strength /= np.exp(np.log(strength).mean())
    return np.log(strength)


def test_one_task_is_its_own_mix() -> None:
    found = task_mix({"only": circle()["easy"]})
    assert found.order == found.order_at_one_mix
    assert found.reordered == ()
