"""Where evidence crosses a line: each threshold at the very unit, and defaults by what they do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.evidence import LOG_UNIT, Reference
from pipeline.evidence.alert_policy import WINDOWS_PER_MONTH, AlertDecision, decide_alerts, log_e_over_horizon
from pipeline.evidence.bayes_factors import beta_binomial, dirichlet_multinomial
from pipeline.evidence.count_likelihoods import FALL_RATIOS, RISE_RATIOS, alternative_share
from pipeline.evidence.cusums import cusums
from pipeline.evidence.fixed_point import from_e_units, to_e_units
from pipeline.evidence.multiple_testing import ELond, e_bh, lond_weight

HUNDRED = math.ceil(math.log(100) / LOG_UNIT)


def decide(log_e: list[int], reported: int = 0, level: int = 0, quiet: int = 0, **options: float) -> AlertDecision:
    """One key above its own thresholds; α of e-BH is out of reach."""
    m = len(log_e)
    before = {"told": np.full(m, reported), "level": np.full(m, level), "quiet": np.full(m, quiet)}
    given = {"alarms": 0.1, "share": 1e-9, "quiet_for": 3, **options}
    return decide_alerts(np.array(log_e), before, **given)  # type: ignore[arg-type]


def test_an_alert_opens_at_m_over_c_and_not_a_unit_below() -> None:
    bar = math.ceil(math.log(10) / LOG_UNIT)
    assert decide([bar]).raised.tolist() == [0]
    assert decide([bar - 1]).raised.tolist() == []
    two = math.ceil(math.log(20) / LOG_UNIT)
    assert decide([two, two - 1]).raised.tolist() == [0]


def test_an_alert_is_told_again_at_a_hundred_times_and_not_a_unit_below() -> None:
    again = decide([7 + HUNDRED], reported=7, level=1)
    assert (again.raised.tolist(), again.columns["level"].tolist(), again.columns["told"].tolist()) == (
        [0], [2], [7 + HUNDRED],
    )  # fmt: skip
    assert decide([6 + HUNDRED], reported=7, level=1).raised.tolist() == []
    assert decide([7 + 3 * HUNDRED - 1], reported=7, level=1).columns["level"].tolist() == [3]


def test_the_eighth_level_is_the_last() -> None:
    assert decide([9 * HUNDRED], reported=HUNDRED, level=7).columns["level"].tolist() == [8]
    assert decide([90 * HUNDRED], reported=HUNDRED, level=8).raised.tolist() == []


def test_evidence_of_one_is_not_quiet_and_the_third_quiet_step_clears() -> None:
    assert decide([0], level=1, quiet=2).columns["quiet"].tolist() == [0]
    cleared = decide([-1], reported=5, level=1, quiet=2)
    assert cleared.cleared.tolist() == [0]
    assert [cleared.columns[name].tolist() for name in ("told", "level", "quiet")] == [[0], [0], [0]]
    assert decide([-1], level=1, quiet=1).cleared.tolist() == []
    assert decide([-1], level=0, quiet=0).columns["quiet"].tolist() == [0]


def test_a_month_has_8640_windows() -> None:
    assert WINDOWS_PER_MONTH == 8_640
    assert log_e_over_horizon(np.array([math.ceil(math.log(8_640) / LOG_UNIT)]), 8_640).tolist() == [0]


def test_e_bh_rejects_at_the_threshold_itself() -> None:
    """M = 2, α = ½: one alone needs 4, two together 2 each."""
    four, two = (math.ceil(math.log(e) / LOG_UNIT) for e in (4, 2))
    assert e_bh(np.array([four, -9]), 0.5).tolist() == [True, False]
    assert e_bh(np.array([four - 1, -9]), 0.5).tolist() == [False, False]
    assert e_bh(np.array([two, two]), 0.5).tolist() == [True, True]
    assert e_bh(np.array([two, two - 1]), 0.5).tolist() == [False, False]
    # Of three the largest needs 6, two need 3 each, three 2 each.
    assert e_bh(np.array([two, four, two]), 0.5).tolist() == [True, True, True]
    assert e_bh(np.array([two, four, two - 1]), 0.5).tolist() == [False, False, False]


def test_the_weights_of_e_lond_fall_as_stated() -> None:
    assert lond_weight(1) == pytest.approx(0.2951 / math.log(2) ** 2)
    assert lond_weight(10) == pytest.approx(0.2951 / (10 * math.log(11) ** 2))
    assert ELond(0.1).level == pytest.approx(0.1 * lond_weight(1))
    assert ELond(0.1, 4, 2).level == pytest.approx(0.1 * lond_weight(5) * 3)


def test_the_declared_shares_have_a_concentration_of_a_thousand() -> None:
    assert int(beta_binomial(60, 100, 0.5)) == int(beta_binomial(60, 100, 0.5, 1000.0))
    assert int(dirichlet_multinomial([60, 40], [0.5, 0.5])) == int(dirichlet_multinomial([60, 40], [0.5, 0.5], 1000.0))
    # k = 1000, one trial of two equal parts: as likely under both.
    assert abs(int(beta_binomial(1, 1, 0.5))) <= 1


def test_ratios_of_falls_are_those_of_rises_turned_round() -> None:
    assert [1 / rise for rise in RISE_RATIOS] == pytest.approx(list(FALL_RATIOS))
    assert RISE_RATIOS == (1.25, 1.5, 2.0, 3.0, 5.0)


def test_a_raised_share_goes_up_to_95_of_a_hundred_and_never_down() -> None:
    assert alternative_share([0.1, 0.5, 0.97], 2.0).tolist() == pytest.approx([0.2, 0.95, 0.97])
    assert alternative_share([0.1, 0.97], 0.5).tolist() == pytest.approx([0.05, 0.485])
    assert alternative_share(0.97, 1.0) == pytest.approx(0.97)


def test_a_likelihood_ratio_counts_up_to_2_to_the_32() -> None:
    beyond = np.array([int(40 / LOG_UNIT)])
    assert to_e_units(0.25, beyond).tolist() == [pytest.approx(2**54, rel=1e-14)]
    assert from_e_units(2**54) == 2**30
    assert to_e_units(1.0, np.array([0])).tolist() == [2**24]


def test_cusums_of_two_voters_by_hand() -> None:
    steps, group = np.array([3, -5, 4, 1, -2, -9, 6]), np.array([0, 0, 0, 1, 1, 1, 1])
    # max(before, 0) + step; the second voter begins at 7.
    assert cusums(steps, group, np.array([0, 7])).tolist() == [3, -2, 4, 8, 6, -3, 6]
    assert cusums(steps[:3], group[:3], np.array([-4])).tolist() == [3, -2, 4]


def board() -> Reference:
    return Reference(
        1, np.array([4, 2]), np.array([0.5, -0.5]), np.array([[0.04, 0.01], [0.01, 0.09]]), 0.3, (3.0, 7.0)
    )


def test_a_model_is_found_by_its_number_and_others_are_not() -> None:
    assert board().index_of(np.array([2, 4, 0, 3, 5, -1, 10**12])).tolist() == [1, 0, -1, -1, -1, -1, -1]
    found = board().has_both(np.array([2, 2, 3]), np.array([4, 3, 4]))
    assert found.tolist() == [True, False, False]


def test_what_is_expected_of_a_win_is_rounded_up_in_1024ths() -> None:
    p = 0.7 / (1 + math.exp(-1))
    assert board().expected_wins[0, 1] == math.ceil(p * 1024)
    assert board().expected_wins[1, 0] == math.ceil((0.7 - p) * 1024)


def test_a_voter_s_own_ties_follow_the_votes_before() -> None:
    assert board().expected_tie_share(np.array([0, 5]), np.array([0, 10])).tolist() == pytest.approx([0.3, 0.4])
    ratio = board().random_tie_ratio(np.array([True, False]), np.array([0.4, 0.4])) * LOG_UNIT
    assert ratio == pytest.approx([math.log(0.5 / 0.4), math.log(0.5 / 0.6)], abs=2e-6)


def test_the_bands_of_taste_widen_at_the_31st_the_91st_and_the_141st_vote() -> None:
    before = np.array([0, 29, 30, 89, 90, 139, 140, 10_000])
    assert Reference.taste_band(before).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
