"""Where the rules of an audit begin and end: each threshold from both sides, and figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import sqrt

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import poisson

from pipeline.audits.board_history import board_history
from pipeline.audits.families import name_families, name_stem, similarity
from pipeline.audits.finding import Finding
from pipeline.audits.model_releases import ModelRelease, VariantScore, best_of_n, releases
from pipeline.audits.policy import RULES, PolicyFacts, active_shares, evaluate_policy, parse_policy, total_variation
from pipeline.audits.prompts import MonthlyRepeats, prompt_duplication, prompt_findings
from pipeline.audits.retraction import unannounced_removals, withdrawn_scores
from pipeline.audits.sampling import DailyAppearances, LedgerLine, SamplingLedger, ledger, sampling_findings
from pipeline.audits.second_opinion import RankDisagreement, second_opinion
from pipeline.audits.shares import gini, hhi, license_group, shares
from pipeline.audits.top_churn import TopChurn, top_churn, top_churn_findings
from pipeline.audits.variants import ConcurrentVariants, peak_variants
from pipeline.audits.version_mismatch import ModelVersion, StyleStatistics, style_difference, version_mismatch
from pipeline.errors import BadCounts
from pipeline.formats.published_boards import PublishedBoard
from pipeline.ratings import PairCounts
from pipeline.registry import Registry
from tests.unit.audits.events import day, deprecated, released, renamed, retracted, submitted

NAN = float("nan")


def board(
    on: int, models: str, score: list[float], votes: list[int], half: float = 4.0, **more: list
) -> PublishedBoard:
    points = np.array(score, dtype=np.float64)
    return PublishedBoard(
        "text",
        date(2025, 1, on),
        tuple(models),
        np.array(more.get("rank", [NAN] * len(models))),
        np.array(more.get("style_rank", [NAN] * len(models))),
        points,
        points - half,
        points + half,
        np.array(votes),
        tuple(more.get("organizations", ["Hill"] * len(models))),
        tuple(more.get("licenses", ["MIT"] * len(models))),
    )


# --- the first place --------------------------------------------------------------------------------------------------


def test_a_rival_overtakes_by_chance_as_far_as_new_votes_reach() -> None:
    """A leads b by 10; se 4/1.96; a gets half as many votes again, b twice as many, c is 20 behind and stays."""
    found = top_churn(
        [board(1, "abc", [1300, 1290, 1280], [1000, 500, 800]), board(2, "abc", [1300, 1290, 1280], [1500, 1000, 800])]
    )
    se = 4 / 1.959964
    moved = {"a": se**2 * (1 - 1000 / 1500), "b": se**2 * (1 - 500 / 1000), "c": 0.0}
    expected = ndtr(-10 / sqrt(moved["a"] + moved["b"])) + ndtr(-20 / sqrt(moved["a"] + moved["c"]))
    assert found.by_chance == pytest.approx(expected)
    assert (found.changes, found.overtakings, found.p_value) == ((), 0, 1.0)


def test_a_first_model_that_left_moves_nothing_by_chance() -> None:
    """A is not in the later snapshot: only the new votes of b can move the two."""
    found = top_churn([board(1, "ab", [1300, 1290], [1, 500]), board(2, "b", [1290], [1000])])
    se = 4 / 1.959964
    assert found.by_chance == pytest.approx(ndtr(-10 / sqrt(se**2 / 2)))
    # A had less than one vote for each later one: no later vote of a is known, so none is assumed.
    half_a_vote = top_churn([board(1, "ab", [1300, 1290], [0.5, 500]), board(2, "b", [1290], [1000])])
    assert half_a_vote.by_chance == found.by_chance


def test_votes_that_fell_move_nothing_by_chance() -> None:
    found = top_churn([board(1, "ab", [1300, 1290], [1000, 1000]), board(2, "ab", [1300, 1290], [900, 1000])])
    assert found.by_chance == 0.0


def test_of_equal_scores_the_one_with_more_votes_is_first() -> None:
    boards = [board(1, "ab", [1300, 1300], [10, 20]), board(2, "ab", [1300, 1300], [30, 20])]
    (change,) = top_churn(boards).changes
    assert (change.old, change.new, change.gap, change.newcomer) == ("b", "a", 0.0, False)
    assert change.overlap is True


def test_intervals_that_touch_overlap() -> None:
    first = board(1, "ab", [1300, 1290], [10, 10])
    (touching,) = top_churn([first, board(2, "ab", [1292, 1300], [20, 20])]).changes
    (apart,) = top_churn([first, board(2, "ab", [1291.9, 1300], [20, 20])]).changes
    assert (touching.overlap, apart.overlap) == (True, False)
    without = board(2, "ab", [1290, 1300], [20, 20], half=NAN)
    assert top_churn([first, without]).changes[0].overlap is None


def test_a_change_seven_days_after_the_last_is_within_a_week() -> None:
    boards = [board(1, "ab", [1, 0], [9, 9]), board(8, "ab", [0, 1], [9, 9]), board(16, "ab", [1, 0], [9, 9])]
    assert [change.within_week for change in top_churn(boards).changes] == [True, False]


def test_more_changes_than_chance_explains_have_the_poisson_tail() -> None:
    boards = [board(n, "ab", [1300 - 8 * (n % 2), 1300 - 8 * (1 - n % 2)], [1000 + n, 1000 + n]) for n in range(1, 5)]
    found = top_churn(boards)
    assert found.overtakings == 3
    assert found.p_value == pytest.approx(poisson.sf(2, found.by_chance))


def test_one_in_a_hundred_is_no_finding_yet() -> None:
    assert top_churn_findings(TopChurn((), 0.5, 0.01)) == ()
    (finding,) = top_churn_findings(TopChurn((), 0.5, 0.0099))
    assert finding.evidence["by_chance"] == 0.5


# --- history ----------------------------------------------------------------------------------------------------------


def test_a_total_that_stays_and_counts_that_stay_are_no_falls() -> None:
    same = board_history([board(1, "ab", [1, 0], [10, 20]), board(2, "ab", [1, 0], [10, 20])])
    assert not same.suspicious
    assert (same.transitions, same.transitions_with_falling_votes, same.names_seen) == (1, 0, 2)


def test_of_a_name_that_stands_twice_the_larger_count_is_taken() -> None:
    found = board_history([board(1, "aab", [1, 1, 0], [10, 30, 5]), board(2, "ab", [1, 0], [20, 35])])
    assert found.names_twice == ((date(2025, 1, 1), "a"),)
    assert [(fall.model, fall.before, fall.after) for fall in found.falls] == [("a", 30, 20)]
    assert found.gone == ()


def test_a_name_without_votes_that_is_gone_had_none() -> None:
    found = board_history([board(1, "ab", [1, 0], [10, 0]), board(2, "a", [1], [10])])
    assert [(gone.model, gone.votes) for gone in found.gone] == [("b", 0)]
    assert (found.falls, found.total_falls, found.suspicious) == ((), (), True)


def test_shifts_under_style_control_are_listed_by_size_then_rank() -> None:
    shown = board(1, "abcd", [4, 3, 2, 1], [9] * 4, rank=[1, 2, 3, 4], style_rank=[2, 1, 3, NAN])
    (shift,) = board_history([shown]).style
    assert (shift.compared, shift.shifted, shift.mean) == (3, 2, pytest.approx(2 / 3))
    assert shift.models == (("a", 1, 2), ("b", 2, 1))
    bare = board(1, "ab", [2, 1], [9, 9], rank=[NAN, NAN], style_rank=[1, NAN])
    assert board_history([bare]).style[0].mean == 0.0


def test_a_snapshot_without_votes_has_no_shares() -> None:
    assert board_history([board(1, "ab", [1, 0], [0, 0])]).shares == ()


# --- shares -----------------------------------------------------------------------------------------------------------


def test_amounts_of_one_three_and_six_by_hand() -> None:
    assert shares({"x": 1, "y": 3, "z": 6}) == {"x": 0.1, "y": 0.3, "z": 0.6}
    assert hhi([1, 3, 6]) == pytest.approx(0.01 + 0.09 + 0.36)
    # Mean absolute difference (2 · (2 + 5 + 3) / 9) over twice the mean 10/3.
    assert gini([6, 1, 3]) == pytest.approx(20 / 9 / (20 / 3))
    with pytest.raises(BadCounts, match="inf of x"):
        shares({"x": float("inf")})
    assert shares({"x": 0, "y": 2}) == {"x": 0.0, "y": 1.0}


def test_a_licence_that_nobody_named_is_unknown() -> None:
    assert [license_group(name) for name in (None, "", " ", "N/A", "Other")] == ["unknown"] * 5
    assert [license_group(name) for name in ("proprietary ", "PROPRIETRY", "MIT")] == ["proprietary"] * 2 + ["open"]


# --- sampling ---------------------------------------------------------------------------------------------------------


def line(**values: object) -> LedgerLine:
    plain = {
        "kind": "model", "name": "m", "models": 1, "appearances": 30, "share": 0.15, "rate": 0.3, "peak": 0.5,
        "peak_day": "d1", "declared": 0.2, "p_value": 0.001, "far": (0.1, "d2", 0.25), "peak_p_value": 0.5,
    }  # fmt: skip
    return LedgerLine(**{**plain, **values})  # type: ignore[arg-type]


def one(given: LedgerLine) -> tuple[Finding, ...]:
    return sampling_findings(SamplingLedger(("d1", "d2"), 100, (given,), (), (), 1.0, 0.0))


def test_what_departs_more_all_days_or_a_single_one_is_told() -> None:
    (whole,) = one(line())
    assert (whole.direction, whole.p_value, whole.severity) == ("more than declared", pytest.approx(0.002), "warning")
    assert "in 30.0% of the battles over all days, declared are 20.0%" in whole.what
    (daily,) = one(line(p_value=0.5, peak_p_value=0.001))
    assert (daily.direction, daily.p_value) == ("less than declared", pytest.approx(0.002))
    assert "in 10.0% of the battles on d2, declared are 25.0%" in daily.what
    (tied,) = one(line(p_value=0.001, peak_p_value=0.001))
    assert "over all days" in tied.what


def test_a_departure_is_told_below_one_in_a_hundred_over_all_lines() -> None:
    assert one(line(p_value=0.005, peak_p_value=0.005)) == ()
    assert len(one(line(p_value=0.00499))) == 1
    two = sampling_findings(SamplingLedger(("d1",), 100, (line(p_value=0.004), line(p_value=0.9)), (), (), 1.0, 0.0))
    assert two == ()
    assert one(line(p_value=None)) == one(line(peak_p_value=None)) == one(line(declared=None)) == ()


def test_a_hundred_million_to_one_is_critical() -> None:
    assert one(line(p_value=0.49e-8))[0].severity == "critical"
    assert one(line(p_value=0.51e-8))[0].severity == "warning"


def test_a_group_is_held_against_the_largest_variance_that_its_mean_allows() -> None:
    """Two models of one provider declared at 1.2 appearances a battle, seen 150 times in 100 battles."""
    shown = DailyAppearances(
        ("a", "b", "c"), ("d1", "d2"), np.array([100, 0]), np.array([[75, 75, 50], [0, 0, 0]]),
        np.array([[0.6, 0.6, 0.8], [NAN] * 3]),
    )  # fmt: skip
    book = ledger(shown, {"a": "p", "b": "p", "c": "q"}, {})
    p = next(one for one in book.providers if one.name == "p")
    z = (150 - 120) / sqrt(100 * 1.2 * 0.8)
    assert p.p_value == p.peak_p_value == pytest.approx(2 * ndtr(-z))
    assert (p.models, p.appearances, p.share, p.rate, p.declared) == (2, 150, 0.75, 1.5, pytest.approx(1.2))
    assert p.far == (1.5, "d1", pytest.approx(1.2))
    assert book.providers[0] is p
    assert book.days == ("d1", "d2")
    less = DailyAppearances(
        ("a", "b", "c"), ("d1",), np.array([100]), np.array([[45, 45, 110 - 10]]), np.array([[0.6, 0.6, 0.8]])
    )
    assert ledger(less, {"a": "p", "b": "p"}, {}).providers[1].p_value == pytest.approx(2 * ndtr(-z))


def test_models_that_are_declared_always_or_never() -> None:
    always = DailyAppearances(("a", "b"), ("d",), np.array([10]), np.array([[10, 10]]), np.array([[1.0, 1.0]]))
    assert [one.p_value for one in ledger(always, {}, {}).models] == [1.0, 1.0]
    # Both models of a group in every battle: no variance is left, and only the exact count fits.
    assert ledger(always, {"a": "p", "b": "p"}, {}).providers[0].p_value == 1.0
    broken = DailyAppearances(
        ("a", "b", "c"), ("d",), np.array([10]), np.array([[10, 9, 1]]), np.array([[1.0, 1.0, 0.0]])
    )
    book = ledger(broken, {"a": "p", "b": "p"}, {})
    assert [one.p_value for one in book.providers] == [0.0, 0.0]


def test_a_model_never_shown_has_the_lower_tail_alone() -> None:
    shown = DailyAppearances(("a", "b"), ("d",), np.array([20]), np.array([[0, 40 - 20]]), np.array([[0.1, 0.9]]))
    never = next(one for one in ledger(shown, {}, {}).models if one.name == "a")
    assert never.p_value == pytest.approx(2 * 0.9**20)


def test_the_worst_day_is_multiplied_by_the_days() -> None:
    shown = DailyAppearances(
        ("a", "b"), ("d1", "d2", "d3"), np.array([20, 20, 20]), np.array([[2, 38 - 18], [0, 20], [3, 17]]),
        np.array([[0.1, 0.9]] * 3),
    )  # fmt: skip
    a = next(one for one in ledger(shown, {}, {}).models if one.name == "a")
    assert a.peak_p_value == pytest.approx(3 * 2 * 0.9**20)
    assert a.far == (0.0, "d2", 0.1)
    assert (a.peak, a.peak_day) == (0.15, "d3")


# --- versions ---------------------------------------------------------------------------------------------------------


def test_two_answers_each_are_enough_to_compare_styles() -> None:
    d, z = style_difference(StyleStatistics(10.0, 2.0, 2), StyleStatistics(7.0, 4.0, 4))
    pooled = sqrt((1 * 4 + 3 * 16) / 4)
    assert d == pytest.approx(3 / pooled)
    assert z == pytest.approx(3 / pooled / sqrt(1 / 2 + 1 / 4))
    with pytest.raises(BadCounts):
        style_difference(StyleStatistics(1, -0.1, 5), StyleStatistics(1, 1, 5))


def test_a_style_differs_by_a_fifth_of_a_deviation_and_by_more_than_chance() -> None:
    def found(shift: float, n: int, features: int = 1) -> list[str]:
        tested = {f"f{k}": StyleStatistics(100.0, 10.0, n) for k in range(features)}
        public = {**tested, "f0": StyleStatistics(100.0 - shift, 10.0, n)}
        return [f.direction for f in version_mismatch(ModelVersion("a", style=tested), ModelVersion("b", style=public))]

    assert found(2.0, 10_000) == ["another style: f0"]
    assert found(-2.0, 10_000) == ["another style: f0"]
    assert found(1.99, 10_000) == []
    # d = .5: z = .5 √(n/2) is 2.598 at n = 54 (p = .0094) and 2.55 at 52 (p = .0108).
    assert found(5.0, 54) == ["another style: f0"]
    assert found(5.0, 52) == []
    assert found(5.0, 54, features=2) == []  # two features: .0188


def test_a_rating_that_fell_is_critical_and_one_that_rose_a_warning() -> None:
    strong, weak = ModelVersion("a", 1300.0, 5.0, 3), ModelVersion("b", 1250.0, 5.0)
    (fell,) = version_mismatch(strong, weak)
    assert (fell.direction, fell.severity, fell.subject) == ("weaker than tested", "critical", "b")
    assert "1300 as tested (#3), b scores 1250: z = 7.1" in fell.what
    (rose,) = version_mismatch(weak, strong)
    assert (rose.direction, rose.severity) == ("stronger than tested", "warning")
    assert version_mismatch(strong, ModelVersion("b", 1250.0, None)) == ()
    # The curse of choosing explains forty of the fifty points: z = 10/√50.
    assert version_mismatch(strong, weak, 40.0) == ()


# --- variants ---------------------------------------------------------------------------------------------------------


def test_the_score_that_the_choice_was_made_by_is_the_part_before_the_release() -> None:
    assert VariantScore(1200.0, 5.0, 100, 25).kept == 0.25
    assert (
        VariantScore(1200.0, 5.0, 100).kept
        == VariantScore(1200.0, 5.0, 0, 25).kept
        == VariantScore(1.0, 5.0, 10, 20).kept
        == 1.0
    )


def test_luck_is_what_the_correction_takes_away() -> None:
    plain = ModelRelease("m", "m", "p", 0, None, ("m",))
    assert (plain.n, plain.curse) == (1, 0.0)
    known = ModelRelease("m", "m", "p", 0, 9, ("m", "n"), 1300.0, 5.0, 1290.0, 5.0, bounds=(1280.0, 1300.0))
    assert known.curse == 10.0
    assert replace(known, corrected=None).curse == 20.0
    assert ModelRelease("m", "m", "p", 0, None, ("m",), 1300.0).curse == 0.0


def test_a_variant_submitted_at_the_moment_of_the_release_was_seen_before_it() -> None:
    state = Registry([submitted(0, "ant-v0"), submitted(1, "ant-v1"), submitted(2, "ant-v2"), released(1, "ant-v0")])
    (found,) = releases(state.as_of(day(9)), {})
    assert found.seen == ("ant-v0", "ant-v1")


def test_one_variant_seen_and_none_disclosed_is_no_finding_and_eleven_are_large() -> None:
    def output(disclosed: int | None, seen: int) -> list[tuple[str, str]]:
        release = ModelRelease("m", "m", "p", 0, disclosed, tuple(f"m{k}" for k in range(seen)))
        return [(f.direction, f.severity) for f in best_of_n([release])]

    assert output(None, 1) == []
    assert output(None, 2) == [("N not disclosed", "warning")]
    assert output(None, 10) == [("N not disclosed", "warning")]
    assert output(None, 11) == [("N not disclosed", "critical")]
    assert output(2, 2) == []
    assert output(1, 2) == [("N disclosed too low", "critical")]
    assert output(10, 1) == []
    assert output(11, 1) == [("large N", "warning")]


def test_a_test_that_ends_when_another_begins_is_not_at_once() -> None:
    events = [submitted(0, "v0"), submitted(1, "v1"), retracted(2, "v0"), submitted(2, "v2")]
    peak = peak_variants(Registry(events).as_of(day(9)))["acme"]
    assert peak is not None
    assert (peak.most, peak.at) == (2, day(1))


# --- retraction -------------------------------------------------------------------------------------------------------


def test_a_score_at_the_moment_of_its_retraction_was_seen() -> None:
    events = [submitted(0, "a"), retracted(5, "a")]
    assert len(withdrawn_scores(events, {"a": day(5)})) == 1
    assert withdrawn_scores(events, {"a": day(5) + 1}) == ()
    assert withdrawn_scores(events, {}) == ()


def test_a_rename_with_a_notice_is_in_the_open() -> None:
    events = [submitted(0, "a"), submitted(0, "b"), renamed(5, "a", "x", "https://example.org"), renamed(5, "b", "y")]
    (found,) = withdrawn_scores(events, {"a": day(1), "b": day(1)})
    assert (found.subject, found.evidence["to"], found.evidence["scored_at"]) == ("b", "y", day(1))


def test_models_leave_in_the_open_or_are_counted() -> None:
    events = [
        *(submitted(0, name, visibility="public") for name in ("few", "enough", "unseen", "noticed", "silent")),
        *(submitted(0, name) for name in ("scored", "unscored", "variant", "itself", "product")),
        deprecated(5, "noticed", notice="https://example.org"),
        deprecated(5, "silent"),
        retracted(5, "scored"),
        retracted(5, "unscored"),
        released(5, "variant", "product"),
        released(5, "itself", "itself"),
    ]
    recent = {"few": 10, "enough": 11, "noticed": 0, "variant": 0, "itself": 3, "product": 99, "unscored": 0}
    found = unannounced_removals(Registry(events).as_of(day(9)), {"scored": day(1), "few": day(1)}, recent, 10, 52)
    assert found == {
        "few": "10 votes in 52 days and never deprecated",
        "itself": "3 votes in 52 days and never deprecated",
        "scored": "retracted after it was scored",
        "silent": "deprecated without a notice",
    }


# --- policy -----------------------------------------------------------------------------------------------------------

TESTED = {"acme": ConcurrentVariants(("a",), 0)}
GOOD = PolicyFacts([], TESTED, {"open": 1, "proprietary": 1}, {"open": 40, "proprietary": 45}, [], 0.2, {})


def passed(rule: str, facts: PolicyFacts, **given: float) -> bool | None:
    (verdict,) = evaluate_policy(parse_policy({rule: given}), facts)
    return verdict.passed


def with_(**values: object) -> PolicyFacts:
    return PolicyFacts(**{**{name: getattr(GOOD, name) for name in PolicyFacts.__slots__}, **values})  # type: ignore[arg-type]


def test_a_distance_of_just_what_is_allowed_passes() -> None:
    assert passed("fair_sampling", with_(distance=0.5)) is True
    assert passed("fair_sampling", with_(distance=0.51)) is False
    assert passed("fair_sampling", with_(distance=None)) is True


def test_licence_groups_ten_points_apart_pass_and_more_need_chance() -> None:
    # 200 of 1,000 and 100 of 1,000: p = 3·10⁻¹⁰, but 10.0% apart and no more.
    def facts(open_ones: int) -> PolicyFacts:
        return with_(listed={"open": 1000, "proprietary": 1000}, retired={"open": open_ones, "proprietary": 100})

    assert passed("deprecation_by_license", facts(200)) is True
    assert passed("deprecation_by_license", facts(201)) is False
    (verdict,) = evaluate_policy(parse_policy({"deprecation_by_license": {}}), facts(201))
    assert verdict.evidence["apart"] == pytest.approx(0.101)
    assert verdict.evidence["open"] == {"retired": 201, "listed": 1000}
    assert "201 of 1000 open, 100 of 1000 proprietary" in verdict.what


def test_a_parameter_of_nothing_is_a_number() -> None:
    assert parse_policy({"private_variants": {"most": 0}}) == {"private_variants": {"most": 0}}
    assert passed("private_variants", GOOD, most=0) is False
    assert passed("private_variants", with_(most_tested={}), most=0) is True
    peaks = {"p": ConcurrentVariants(tuple("abcd"), 0), "q": ConcurrentVariants(tuple("abcde"), 0)}
    (verdict,) = evaluate_policy(parse_policy({"private_variants": {}}), with_(most_tested=peaks))
    assert verdict.evidence == {"over": {"p": 4, "q": 5}, "at": dict.fromkeys("pq", "1970-01-01T00:00:00Z")}
    assert "under test at once were 5, on 1970-01-01T00:00:00Z; 3 are allowed" in verdict.what
    assert RULES["public_removal"] == {"votes": 10, "days": 52}  # the published definition


def test_two_models_are_drawn_alike_and_half_the_differences_is_the_distance() -> None:
    counts = PairCounts.from_rows(("a", "b"), [0], [1], [[7, 3, 1, 0]])
    assert active_shares(counts).tolist() == [0.5, 0.5]
    assert total_variation(np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.2, 0.3])) == pytest.approx(0.2)


# --- names, prompts, other boards -------------------------------------------------------------------------------------


def test_half_of_the_trigrams_make_a_family() -> None:
    # "  abcd " has 5 trigrams, "  abcdef " 7 and "  abcdefg " 8; 4 are shared: 4 of 8, and 4 of 9.
    assert similarity("abcd", "abcdef") == 0.5
    assert similarity("abcd", "abcdefg") == pytest.approx(4 / 9)
    assert name_families(["abcd", "abcdef"]) == (("abcd", "abcdef"),)
    assert name_families(["abcd", "abcdefg"]) == (("abcd",), ("abcdefg",))
    assert similarity("xy", "xyz") == pytest.approx(2 / 5)
    assert name_stem("model-v2-20250101") == "model"


def test_a_prompt_asked_in_the_month_before_is_across_and_in_an_earlier_one_not() -> None:
    found = prompt_duplication([1, 1, 2, 2, 4], [5, 6, 6, 9, 9])
    assert found == (MonthlyRepeats(1, 2, 0.0, None), MonthlyRepeats(2, 2, 0.0, 0.5), MonthlyRepeats(4, 1, 0.0, None))
    assert prompt_duplication([1, 1], [-1, -1]) == ()
    assert prompt_duplication([1, 1, 1], [-1, 0, 0]) == (MonthlyRepeats(1, 2, 0.5, None),)


def test_a_quarter_of_repeats_is_the_limit() -> None:
    assert prompt_findings((MonthlyRepeats(1, 4, 0.25, None),)) == ()
    (finding,) = prompt_findings((MonthlyRepeats(7, 1000, 0.251, 0.1),))
    assert finding.direction == "prompts repeat in month 7"
    assert finding.evidence == {"month": 7, "votes": 1000, "within": 0.251, "across": 0.1}


def test_three_models_in_common_are_enough_and_equals_share_the_better_place() -> None:
    found = second_opinion({"a": 3, "b": 2, "c": 2}, {"a": 1, "b": 2, "c": 3})
    assert found.common == 3
    # Places 1 2 2 against 3 2 1.
    assert found.apart == (RankDisagreement("a", 1, 3), RankDisagreement("c", 2, 1))
    with pytest.raises(BadCounts):
        second_opinion({"a": 3, "b": 2}, {"a": 1, "b": 2})
