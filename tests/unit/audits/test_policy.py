"""The five recommendations: what passes, what fails, what cannot be judged."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact

import pipeline
from pipeline.audits.finding import Finding
from pipeline.audits.policy import RULES, PolicyFacts, active_shares, evaluate_policy, parse_policy, total_variation
from pipeline.audits.variants import ConcurrentVariants
from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts

SHIPPED = Path(pipeline.__file__).parent / "data" / "policy.toml"
SPRING = 1_743_465_600_000_000
GOOD = PolicyFacts(
    [],
    {"acme": ConcurrentVariants(("a", "b", "c"), SPRING)},
    {"open": 1, "proprietary": 1},
    {"open": 40, "proprietary": 45},
    [],
    0.2,
    {},
)
WRONG = Finding("score_retraction", "model", "ant", "retracted after it was scored", "critical", "…")


def judged(facts: PolicyFacts, **given: dict[str, float]) -> dict[str, bool | None]:
    policy = parse_policy(given or {rule: {} for rule in RULES})
    return {verdict.rule: verdict.passed for verdict in evaluate_policy(policy, facts)}


def test_the_shipped_policy_holds_the_five_rules_with_the_documented_numbers() -> None:
    assert parse_policy(tomllib.loads(SHIPPED.read_text("utf-8"))) == {
        rule: dict(given) for rule, given in RULES.items()
    }


def test_a_board_that_keeps_its_word_passes_all_five() -> None:
    assert judged(GOOD) == dict.fromkeys(RULES, True)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("no_retraction", {"retractions": [WRONG]}),
        ("private_variants", {"most_tested": {"acme": ConcurrentVariants(("a", "b", "c", "d"), SPRING)}}),
        # Published: of 66 and 87 deprecated, weights were open for 66% and closed for 30%.
        ("deprecation_by_license", {"retired": {"open": 36, "proprietary": 14}}),
        ("fair_sampling", {"unfair": [WRONG]}),
        ("fair_sampling", {"distance": 0.6}),
        ("public_removal", {"removals": {"ant": "deprecated without a notice"}}),
        ("public_removal", {"pauses": {"ant": "0 votes in 80 days, then shown again"}}),
    ],
)
def test_each_rule_fails_alone(rule: str, change: dict) -> None:
    assert judged(replace(GOOD, **change)) == {name: name != rule for name in RULES}


def test_a_p_value_at_the_level_passes() -> None:
    facts = replace(GOOD, retired={"open": 36, "proprietary": 14})
    table = [[36, 4], [14, 31]]
    p = float(fisher_exact(table).pvalue)
    rule = "deprecation_by_license"
    assert judged(facts, **{rule: {"level": p}})[rule] is True
    assert judged(facts, **{rule: {"level": p * 1.001}})[rule] is False


def test_a_difference_that_chance_explains_or_that_is_small_passes() -> None:
    few = replace(GOOD, retired={"open": 1, "proprietary": 0}, listed={"open": 3, "proprietary": 3})
    assert judged(few)["deprecation_by_license"] is True
    small = replace(GOOD, retired={"open": 550, "proprietary": 500}, listed={"open": 10_000, "proprietary": 11_000})
    assert judged(small)["deprecation_by_license"] is True


def test_what_cannot_be_judged_is_neither_passed_nor_failed() -> None:
    blind = replace(GOOD, unfair=None, distance=None, listed={"open": 3, "unknown": 9})
    assert judged(blind)["fair_sampling"] is None
    assert judged(blind)["deprecation_by_license"] is None


def test_a_policy_of_one_s_own_judges_its_rules_alone_by_its_own_numbers() -> None:
    four = replace(GOOD, most_tested={"acme": ConcurrentVariants(("a", "b", "c", "d"), SPRING)})
    assert judged(four, private_variants={"most": 4}) == {"private_variants": True}
    assert judged(four, private_variants={"most": 3}) == {"private_variants": False}


@pytest.mark.parametrize(
    ("policy", "output"),
    [
        ({"no_such_rule": {}}, "got 'no_such_rule'"),
        ({"private_variants": {"least": 3}}, "expected most.*got least = 3"),
        ({"private_variants": {"most": -1}}, "got most = -1"),
        ({"private_variants": {"most": "3"}}, "got most = '3'"),
        ({"private_variants": {"most": True}}, "got most = True"),
        ({"no_retraction": {"x": 1}}, "expected no parameter"),
        ({"private_variants": 3}, "got 'private_variants'"),
    ],
)
def test_a_policy_that_is_none_is_refused(policy: dict, output: str) -> None:
    with pytest.raises(BadCounts, match=output):
        parse_policy(policy)


def test_the_active_sampling_rule_prefers_what_is_known_least() -> None:
    rows = np.array([[0, 1, 500, 500, 0, 0], [0, 2, 5, 5, 0, 0], [1, 2, 500, 500, 0, 0]])
    shares = active_shares(PairCounts.from_rows(("a", "b", "c"), rows[:, 0], rows[:, 1], rows[:, 2:]))
    gain = [np.sqrt(0.25 / n) - np.sqrt(0.25 / (n + 1)) for n in (1000, 10, 1000)]
    pair = np.array([gain[0] + gain[1], gain[0] + gain[2], gain[1] + gain[2]])
    assert shares == pytest.approx(pair / pair.sum())


def test_a_pair_that_never_met_is_drawn_like_one_that_met_once() -> None:
    rows = np.array([[0, 1, 4, 4, 8, 0], [1, 2, 9, 0, 0, 0]])
    counts = PairCounts.from_rows(("a", "b", "c"), rows[:, 0], rows[:, 1], rows[:, 2:])

    def gain(v: float, n: int) -> float:
        return float(np.sqrt(v / n) - np.sqrt(v / (n + 1)))

    # Half of the votes are ties: E[y²] − p² = 1/4 + 1/8 − 1/4. All nine wins: half a vote for the other.
    ab, bc, ac = gain(0.125, 16), gain(0.25 / 9, 9), gain(0.25, 1)
    assert active_shares(counts) == pytest.approx(np.array([ab + ac, ab + bc, bc + ac]) / (2 * (ab + bc + ac)))
    with pytest.raises(BadCounts, match="at least two models"):
        active_shares(counts.subset([0]))


def test_distance_is_nothing_for_equals_and_one_for_strangers() -> None:
    assert total_variation(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    assert total_variation(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
