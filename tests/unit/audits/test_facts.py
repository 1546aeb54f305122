"""A provider's page: every figure again by hand, and none without definition, source and uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audits import facts, removal_facts, share_facts
from pipeline.audits.claims import ClaimCheck, Score
from pipeline.audits.model_releases import VariantScore, releases
from pipeline.audits.sampling import DailyAppearances, ledger
from pipeline.audits.variants import peak_variants
from pipeline.ratings.selection_intervals import best_of_n_interval
from pipeline.ratings.winners_curse import debiased_se, expected_max
from pipeline.registry import Registry
from tests.unit.audits.events import day, deprecated, released, retracted, submitted

SOURCES = facts.FactSources("the registry", "the log", "the snapshot", "the snapshots")
EVENTS = [
    *(submitted(i, f"ant-v{i}") for i in range(5)),
    submitted(0, "bee", "other", visibility="public"),
    retracted(4.5, "ant-v0"),
    submitted(4.75, "ant-v5"),
    released(5, "ant-v1", n=3),
    deprecated(6, "ant-v1"),
    deprecated(6, "ant-v2", notice="https://example.org/notice"),
]
STATE = Registry(EVENTS).as_of(day(9))


def by_name(found: tuple[facts.ProviderFact, ...]) -> dict[str, facts.ProviderFact]:
    assert all(fact.definition and fact.source and fact.uncertainty for fact in found)
    return {fact.name: fact for fact in found}


def test_variants_are_counted_to_the_moment_at_which_most_were_under_test() -> None:
    found = by_name(facts.variant_facts("acme", STATE, SOURCES))
    assert {name: fact.value for name, fact in found.items()} == {
        "models registered": 6,
        "private variants": 6,
        "private variants under test now": 3,
        "most private variants at once": 5,
    }
    assert found["private variants under test now"].detail == ("ant-v3", "ant-v4", "ant-v5")
    peak = peak_variants(STATE)["acme"]
    assert peak is not None and peak.at == day(4)
    assert "other" not in peak_variants(STATE)


def test_the_peak_is_the_most_that_a_look_at_every_event_shows() -> None:
    rng = np.random.default_rng(5)
    events = []
    for i in range(40):
        start = float(rng.integers(0, 20))
        events.append(submitted(start, f"v{i}"))
        if rng.random() < 0.7:
            events.append(retracted(start + float(rng.integers(1, 10)), f"v{i}"))
    registry = Registry(events)
    seen = [sum(m.retracted_at is None for m in registry.as_of(day(d)).models.values()) for d in range(31)]
    peak = peak_variants(registry.as_of(day(99)))["acme"]
    assert peak is not None
    assert (peak.most, peak.at) == (max(seen), day(seen.index(max(seen))))


def test_a_release_shows_both_numbers_and_the_score_with_and_without_the_curse() -> None:
    shown = releases(STATE, {"ant-v1": VariantScore(1300.0, 6.0, 2000)})
    found = by_name(facts.release_facts("acme", shown, SOURCES))
    assert (found["variants tested, disclosed"].value, found["variants tested, seen"].value) == (3, 6)
    score, corrected = found["score"], found["score without the winner's curse"]
    assert (score.lower, score.value, score.upper) == (pytest.approx(1288.24), 1300.0, pytest.approx(1311.76))
    expected = best_of_n_interval(1300, 6, 6)
    assert (corrected.lower, corrected.value, corrected.upper) == pytest.approx(
        (expected.lower, expected.score, expected.upper), abs=0.01
    )
    assert 1300 - expected_max(6) * 6 < corrected.value < 1300
    unrated = by_name(facts.release_facts("acme", releases(STATE, {}), SOURCES))
    assert unrated["score"].value is None
    assert facts.release_facts("other", shown, SOURCES) == ()


def test_votes_since_the_release_dilute_the_curse() -> None:
    """A score of n₀ lucky and n₁ fresh votes, drawn: what is left of the curse, and how sure the rest is."""
    rng, n, before, votes, s = np.random.default_rng(2), 27, 1500, 4000, 6.0
    tested, fresh = s * np.sqrt(votes / before), s * np.sqrt(votes / (votes - before))
    lucky = tested * rng.standard_normal((20_000, n)).max(axis=1)
    score = (before * lucky + (votes - before) * fresh * rng.standard_normal(20_000)) / votes
    events = [submitted(0, "ant"), released(1, "ant", n=n)]
    (one,) = releases(Registry(events).as_of(day(2)), {"ant": VariantScore(0.0, s, votes, before)})
    assert -one.bounds[0] == pytest.approx(score.mean(), abs=0.15)
    assert 0 < one.curse < -one.bounds[0]
    low, high = one.corrected_interval
    assert 0.93 < ((-high <= score) & (score <= -low)).mean() < 0.99
    (late,) = releases(Registry(events).as_of(day(2)), {"ant": VariantScore(1.0, s, votes, 0)})
    assert (late.corrected, late.corrected_se) == (1.0, s)


def test_an_undisclosed_number_gives_bounds_and_no_estimate() -> None:
    events = [*(submitted(0, f"bee-v{i}") for i in range(27)), released(1, "bee-v0")]
    shown = releases(Registry(events).as_of(day(2)), {"bee-v0": VariantScore(1300.0, 6.3, 2000)})
    one = by_name(facts.release_facts("acme", shown, SOURCES))["score without the winner's curse"]
    assert (one.value, one.lower, one.upper) == (None, pytest.approx(1300 - expected_max(27) * 6.3, abs=0.01), 1300.0)
    assert "N was not disclosed, 27 variants were seen" in one.definition
    assert "Bounds, not an interval" in one.uncertainty
    assert shown[0].curse == pytest.approx(expected_max(27) * 6.3)


@pytest.mark.parametrize("tau", [0.0, 10.0])
def test_the_corrected_score_is_as_sure_as_it_says(tau: float) -> None:
    rng, n, s = np.random.default_rng(3), 10, 6.3
    true = tau * rng.standard_normal((40_000, n))
    seen = true + s * rng.standard_normal((40_000, n))
    best = seen.argmax(axis=1)
    rows = np.arange(len(best))
    error = seen[rows, best] - true[rows, best]
    assert debiased_se(n, s, tau) == pytest.approx(error.std(), rel=0.02)
    assert debiased_se(1, s, tau) == pytest.approx(s)


def test_a_share_is_a_count_and_an_estimate_of_how_the_board_draws() -> None:
    shown = DailyAppearances(
        ("ant-v1", "bee", "cow"), ("2025-01-01", "2025-01-02"), np.array([100, 300]),
        np.array([[60, 70, 70], [210, 190, 200]]), np.full((2, 3), 2 / 3),
    )  # fmt: skip
    book = ledger(shown, {"ant-v1": "acme", "bee": "other", "cow": "other"}, {})
    found = by_name(share_facts.share_facts("acme", book, SOURCES))
    share = found["share of votes"]
    assert share.value == pytest.approx(270 / 800)
    rate = 270 / 400
    half = 1.959964 * np.sqrt(rate * (2 - rate) / 400)
    assert (share.lower, share.upper) == pytest.approx(((rate - half) / 2, (rate + half) / 2))
    assert share.detail == ("place 2 of 2 providers", "1 models with votes")
    assert found["votes shown"].value == 270
    assert (found["peak daily rate"].value, found["peak daily rate"].detail) == (0.7, ("2025-01-02",))
    assert found["concentration of the board"].value == pytest.approx((270 / 800) ** 2 + (530 / 800) ** 2)
    assert found["rate declared"].value == pytest.approx(2 / 3)
    practice = found["rate in practice"]
    assert practice.value == pytest.approx(rate)
    assert (practice.lower, practice.upper) == pytest.approx((rate - half, rate + half))
    assert share_facts.share_facts("nobody", book, SOURCES) == share_facts.share_facts("acme", None, SOURCES) == ()


def test_what_left_the_board_is_told_by_how_it_left() -> None:
    removed = {"ant-v1": "deprecated without a notice", "bee": "deprecated without a notice"}
    found = by_name(removal_facts.removal_facts("acme", STATE, removed, {"ant-v3": "ant-v3 had 2 votes"}, SOURCES))
    assert [(f.value, f.detail) for f in found.values()] == [
        (1, ("ant-v2",)),
        (1, ("ant-v1: deprecated without a notice",)),
        (1, ("ant-v3 had 2 votes",)),
    ]


def test_a_pause_is_told_of_the_provider_whose_model_it_is() -> None:
    paused = {"ant-v1": "0 votes in 80 days", "bee": "0 votes in 90 days"}
    assert removal_facts.pause_fact("acme", STATE, paused, SOURCES).detail == ("ant-v1: 0 votes in 80 days",)
    assert removal_facts.pause_fact("acme", STATE, {}, SOURCES).value == 0


def test_what_somebody_tried_to_say_is_told() -> None:
    registry = Registry([*EVENTS, retracted(7, "ant-v1")])
    (found,) = removal_facts.contradiction_facts("acme", registry.contradictions, SOURCES)
    assert (found.value, found.unit) == (1, "events")
    assert "retracted_after_release: expected a model under test, got ant-v1" in found.detail[0]


def test_a_claim_is_told_with_its_distance_and_bounds() -> None:
    (found,) = facts.claim_facts(
        [ClaimCheck("m", "GSM8K", Score(0.921, 1319), Score(0.788, 1319), "release notes", "the lab")], SOURCES
    )
    assert (found.value, found.lower, found.upper) == (
        13.3,
        pytest.approx(10.66, abs=0.01),
        pytest.approx(15.94, abs=0.01),
    )
    assert "92.1% (release notes)" in found.definition
