"""Variants: what the registry shows, what choosing is worth, what must not fire."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audits import families
from pipeline.audits.model_releases import VariantScore, best_of_n, releases
from pipeline.audits.retraction import withdrawn_scores
from pipeline.audits.variants import variant_churn, variants_under_test
from pipeline.audits.version_mismatch import ModelVersion, StyleStatistics, style_difference, version_mismatch
from pipeline.errors import BadCounts
from pipeline.events.registry_events import RegistryEvent
from pipeline.ratings.winners_curse import expected_max, selection_gain, standard_error
from pipeline.registry import Registry
from tests.unit.audits.events import day, deprecated, released, renamed, retracted, submitted

AFFAIR: list[RegistryEvent] = [
    *(submitted(i / 10, f"llama-x-variant{i}", "acme") for i in range(27)),
    submitted(3, "llama-x", "acme", visibility="public"),
    released(5, "llama-x-variant3", "llama-x"),
]


def test_concurrent_private_variants_are_counted_to_their_end() -> None:
    events = [*(submitted(i, f"v{i}") for i in range(5)), retracted(6, "v0"), released(7, "v1"), deprecated(8, "v2")]
    registry = Registry(events)
    assert [len(variants_under_test(registry.as_of(day(d)))["acme"]) for d in (0, 4, 6, 7, 8)] == [1, 5, 4, 3, 2]


def test_the_model_that_a_variant_is_released_as_is_under_test_no_more() -> None:
    events = [submitted(0, "v0"), submitted(0, "v1"), submitted(0, "v2"), released(3, "v0", "v1")]
    registry = Registry(events)
    assert variants_under_test(registry.as_of(day(2))) == {"acme": ("v0", "v1", "v2")}
    assert variants_under_test(registry.as_of(day(3))) == {"acme": ("v2",)}


@pytest.mark.parametrize(("variants", "output"), [(3, None), (4, "warning"), (10, "warning"), (11, "critical")])
def test_more_than_three_warn_and_more_than_ten_are_critical(variants: int, output: str | None) -> None:
    events = [submitted(0, f"v{i}") for i in range(variants)] + [submitted(0, "p", visibility="public")]
    findings = variant_churn(Registry(events).as_of(day(1)))
    assert [f.severity for f in findings] == ([output] if output else [])
    assert [f.subject for f in findings] == (["acme"] if output else [])


def test_the_affair_shows_27_undisclosed_variants_and_the_score_without_the_curse() -> None:
    scores = {"llama-x-variant3": VariantScore(1300.0, 6.3, 3000)}
    (one,) = releases(Registry(AFFAIR).as_of(day(9)), scores)
    assert (one.n, one.disclosed_n, one.released_as) == (27, None, "llama-x")
    assert one.corrected is None
    assert one.bounds == pytest.approx((1300 - expected_max(27) * 6.3, 1300.0))
    (finding,) = best_of_n([one])
    assert (finding.direction, finding.severity, finding.subject) == ("N not disclosed", "critical", "llama-x-variant3")
    assert "27 variants were seen" in finding.what
    assert "without the winner's curse between 1287.4 and 1300.0" in finding.what


@pytest.mark.parametrize(
    ("n", "direction"), [(None, "N not disclosed"), (3, "N disclosed too low"), (4, None), (10, None), (11, "large N")]
)
def test_a_disclosed_number_is_held_against_what_was_seen(n: int | None, direction: str | None) -> None:
    events = [*(submitted(0, f"ant-v{i}") for i in range(4)), released(1, "ant-v0", n=n)]
    found = best_of_n(releases(Registry(events).as_of(day(2)), {}))
    assert [f.direction for f in found] == ([direction] if direction else [])


def test_a_lone_release_is_nobody_s_best() -> None:
    state = Registry([submitted(0, "ant", visibility="public"), released(1, "ant")]).as_of(day(2))
    (one,) = releases(state, {"ant": VariantScore(1200, 5, 1000)})
    assert (one.n, one.corrected, best_of_n([one])) == (1, pytest.approx(1200), ())


def test_fifty_tests_at_three_thousand_votes_are_worth_eleven_and_a_half_points() -> None:
    events = [submitted(0, "ant-v0"), released(1, "ant-v0", n=50)]
    se = standard_error(3000, 0.345)
    (one,) = releases(Registry(events).as_of(day(2)), {"ant-v0": VariantScore(1250, se, 3000)})
    assert one.gain is not None
    assert one.gain.curse == pytest.approx(11.5, abs=0.1)
    assert one.raw - one.bounds[0] == pytest.approx(11.5, abs=0.1)
    assert one.bounds[0] < one.corrected < one.raw  # how much the variants differ is not known
    assert one.corrected_interval[0] < one.bounds[0]
    assert one.corrected_interval[1] > one.raw


def test_scores_of_the_whole_family_shrink_to_its_mean() -> None:
    rng = np.random.default_rng(4)
    y = 1200 + 6.3 * rng.standard_normal(27)
    best = int(y.argmax())
    events = [*(submitted(0, f"ant-v{i}") for i in range(27)), released(1, f"ant-v{best}", n=27)]
    scores = {f"ant-v{i}": VariantScore(float(y[i]), 6.3, 3000) for i in range(27)}
    (one,) = releases(Registry(events).as_of(day(2)), scores)
    assert abs(one.shrunk - 1200) < abs(one.raw - 1200) / 3
    scores.pop("ant-v5" if best != 5 else "ant-v6")
    assert releases(Registry(events).as_of(day(2)), scores)[0].shrunk is None
    with pytest.raises(BadCounts, match="ant-v"):
        releases(Registry(events).as_of(day(2)), {f"ant-v{best}": VariantScore(1, 0, 1)})


def test_two_scores_shrink_to_their_mean() -> None:
    events = [submitted(0, "ant-v0"), submitted(0, "ant-v1"), released(1, "ant-v0", n=2)]
    scores = {"ant-v0": VariantScore(1210.0, 5.0, 3000), "ant-v1": VariantScore(1190.0, 5.0, 3000)}
    (one,) = releases(Registry(events).as_of(day(2)), scores)
    assert one.shrunk is not None
    assert 1200 <= one.shrunk < 1210


def test_another_provider_s_or_family_s_variants_do_not_count() -> None:
    events = [
        submitted(0, "ant-v1", family="ant"),
        submitted(0, "ant-v2", family="bee"),
        submitted(0, "ant-v3", "other"),
        submitted(0, "zebra"),
        submitted(2, "ant-v4", family="ant"),  # after the release
        submitted(0, "codename", family="ant"),
        released(1, "ant-v1"),
    ]
    (one,) = releases(Registry(events).as_of(day(3)), {})
    assert one.seen == ("ant-v1", "codename")


def test_names_of_one_product_are_one_family() -> None:
    names = ["gemini-1.5-pro-exp-0801", "gemini-1.5-pro-001", "Gemini-1.5-Pro-Preview-0514", "gemma-2-27b-it"]
    assert families.name_families(names) == (("Gemini-1.5-Pro-Preview-0514", *sorted(names[:2])), ("gemma-2-27b-it",))
    assert families.name_families([]) == ()
    assert families.similarity("claude-3-opus-20240229", "claude-3-opus") == 1.0
    assert families.similarity("gpt-4o", "command-r") < 0.2
    assert families.name_stem("2024-05-13") == "2024-05-13"  # nothing but a date: the name itself


def test_scores_that_are_taken_back() -> None:
    events = [
        *(submitted(0, name) for name in ("a", "b", "c", "d", "e")),
        retracted(5, "a"),
        deprecated(5, "b"),
        deprecated(5, "c", notice="https://example.org/notice"),
        renamed(5, "d", "shiny"),
        retracted(5, "e"),  # never scored
        deprecated(6, "shiny"),
    ]
    found = withdrawn_scores(events, {"a": day(2), "b": day(2), "c": day(2), "d": day(2), "e": day(7)})
    assert [(f.subject, f.direction) for f in found] == [
        ("a", "retracted after it was scored"),
        ("b", "deprecated in silence"),
        ("d", "renamed in silence"),
        ("d", "deprecated in silence"),
    ]


def test_what_was_too_many_in_spring_is_found_in_summer() -> None:
    spring = [*(submitted(90 + i / 10, f"v{i}") for i in range(27)), *(retracted(100, f"v{i}") for i in range(1, 27))]
    events = [*spring, released(100, "v0"), submitted(180, "later")]
    (finding,) = variant_churn(Registry(events).as_of(day(200)))
    assert (finding.severity, len(finding.evidence["variants"]), finding.evidence["now"]) == ("critical", 27, 1)
    assert "27 private variants of acme were under test at once on 2025-04-03" in finding.what
    assert variants_under_test(Registry(events).as_of(day(200))) == {"acme": ("later",)}
    # One after another is never more than one at once, also where a test ends as the next one begins.
    turns = [e for i in range(9) for e in (submitted(i, f"v{i}"), retracted(i + 1, f"v{i}"))]
    assert variant_churn(Registry(turns).as_of(day(20))) == ()


def test_tested_private_variants_that_are_withdrawn_have_a_withdrawn_score() -> None:
    events: list[RegistryEvent] = [
        *(submitted(0, f"v{i}") for i in range(27)),
        released(5, "v0", "best"),
        *(retracted(6, f"v{i}") for i in range(1, 20)),
        *(deprecated(6, f"v{i}") for i in range(20, 27)),
    ]
    tested = {f"v{i}": day(1) for i in range(27)}
    found = withdrawn_scores(events, {}, tested)
    assert [(f.subject, f.direction) for f in found] == [(f"v{i}", "private score withdrawn") for i in range(1, 27)]
    assert "its score was never published" in found[0].what
    # Without a vote before the end there is no score; nor is it withdrawn if it is published in the end.
    assert withdrawn_scores(events, {}, {f"v{i}": day(7) for i in range(27)}) == ()
    assert len(withdrawn_scores([*events, released(7, "v1")], {}, tested)) == 25
    public = [submitted(0, "p", visibility="public"), retracted(6, "p")]
    assert withdrawn_scores(public, {}, {"p": day(1)}) == ()
    noticed = [submitted(0, "v0"), deprecated(6, "v0", notice="https://example.org/why")]
    assert withdrawn_scores(noticed, {}, tested) == ()


@pytest.mark.parametrize(("first", "second", "se"), [(1069, 1052, 13.8), (1097, 1059, 27.2)])
def test_identical_checkpoints_do_not_fire(first: float, second: float, se: float) -> None:
    a, b = ModelVersion("a", first, se, digest="same"), ModelVersion("b", second, se, digest="same")
    assert version_mismatch(a, b) == ()
    assert version_mismatch(b, a) == ()


def test_the_tested_variant_of_the_affair_is_not_the_released_one() -> None:
    tested = ModelVersion("experimental", 1417, 6.4, 2, 5, "d1", {"tokens": StyleStatistics(1200, 500, 2500)})
    public = ModelVersion("released", 1271, 5.0, 32, 32, "d2", {"tokens": StyleStatistics(700, 400, 4000)})
    found = version_mismatch(tested, public, selection_gain(27, 6.4, 0).curse)
    assert [f.direction for f in found] == ["another checkpoint", "weaker than tested", "another style: tokens"]
    assert "1417 as tested (#2, #5 under style control)" in found[1].what
    assert found[1].evidence["curse"] == pytest.approx(12.8, abs=0.1)


def test_style_needs_both_a_size_and_a_certainty() -> None:
    big = StyleStatistics(100.0, 50.0, 1_000_000)
    assert (
        version_mismatch(
            ModelVersion("a", style={"t": big}), ModelVersion("b", style={"t": StyleStatistics(102.0, 50.0, 1_000_000)})
        )
        == ()
    )
    few = (
        ModelVersion("a", style={"t": StyleStatistics(120.0, 50.0, 5)}),
        ModelVersion("b", style={"t": StyleStatistics(100.0, 50.0, 5)}),
    )
    assert version_mismatch(*few) == ()
    rng = np.random.default_rng(6)
    x, y = rng.normal(10, 3, 400), rng.normal(12, 3, 300)
    d, z = style_difference(
        StyleStatistics(x.mean(), x.std(ddof=1), 400), StyleStatistics(y.mean(), y.std(ddof=1), 300)
    )
    pooled = np.sqrt((399 * x.var(ddof=1) + 299 * y.var(ddof=1)) / 698)
    assert d == pytest.approx((x.mean() - y.mean()) / pooled)
    # z is Student's t of the two samples.
    assert z == pytest.approx((x.mean() - y.mean()) / (pooled * np.sqrt(1 / 400 + 1 / 300)))
    with pytest.raises(BadCounts, match="two or more answers"):
        style_difference(StyleStatistics(1, 1, 1), StyleStatistics(1, 1, 10))


def test_answers_that_are_all_alike_are_compared_by_rounding() -> None:
    d, _ = style_difference(StyleStatistics(3.0, 0.0, 10), StyleStatistics(2.0, 0.0, 10))
    assert d == pytest.approx(np.sqrt(12))
