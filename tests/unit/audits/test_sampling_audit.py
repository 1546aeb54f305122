"""The ledger books every appearance, and says when practice departs from policy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline.audits.sampling import DailyAppearances, ledger, sampling_findings
from pipeline.audits.shares import gini, hhi, license_group, shares
from pipeline.errors import BadCounts
from pipeline.registry import PolicyInForce


def shown(battles: list[int], appearances: list[list[int]], declared: list[list[float]]) -> DailyAppearances:
    k = len(appearances[0])
    return DailyAppearances(
        tuple(f"m{i}" for i in range(k)), tuple(f"2025-01-{d + 1:02}" for d in range(len(battles))),
        np.array(battles), np.array(appearances), np.array(declared, dtype=np.float64),
    )  # fmt: skip


def drawn(weights: np.ndarray, declared: np.ndarray, days: int, battles: int, seed: int) -> DailyAppearances:
    """Battles drawn as `weights` say, under a policy of `declared`."""
    rng, k = np.random.default_rng(seed), len(weights)
    first = rng.choice(k, size=(days, battles), p=weights / weights.sum())
    second = rng.choice(k, size=(days, battles), p=weights / weights.sum())
    while (same := first == second).any():
        second[same] = rng.choice(k, size=int(same.sum()), p=weights / weights.sum())
    count = [np.bincount(np.concatenate([first[d], second[d]]), minlength=k) for d in range(days)]
    pi = PolicyInForce(0, {str(i): float(w) for i, w in enumerate(declared)}).appearance
    return shown([battles] * days, np.array(count).tolist(), [[pi[str(i)] for i in range(k)]] * days)


def test_thirty_four_of_a_hundred_daily_votes_against_a_declared_thirteen_point_six_fires() -> None:
    rest = (2 - 0.136) / 9
    day = [34, *([18] * 4), *([19] * 4), 18]
    book = ledger(shown([100], [day], [[0.136, *([rest] * 9)]]), {f"m{i}": f"p{i}" for i in range(10)}, {})
    found = [f for f in sampling_findings(book) if f.subject_kind == "model"]
    assert [(f.subject, f.direction) for f in found] == [("m0", "more than declared")]
    assert "m0 was shown in 34.0% of the battles" in found[0].what
    assert "declared are 13.6%" in found[0].what
    line = next(line for line in book.models if line.name == "m0")
    assert line.p_value == pytest.approx(2 * binomtest(34, 100, 0.136, alternative="greater").pvalue)


def test_one_day_is_found_among_many_fair_ones() -> None:
    weights = np.ones(10)
    fair = drawn(weights, weights, 30, 200, 1)
    count = fair.appearances.copy()
    count[17, 3] += 60
    count[17, 4] -= 30
    count[17, 5] -= 30
    found = sampling_findings(
        ledger(DailyAppearances(fair.models, fair.days, fair.battles, count, fair.declared), {}, {})
    )
    assert ("m3", "more than declared") in [(f.subject, f.direction) for f in found]
    assert next(f for f in found if f.subject == "m3").evidence["far"][1] == "2025-01-18"


def test_fair_sampling_is_called_unfair_in_at_most_a_few_of_a_hundred_boards() -> None:
    weights = np.array([1, 1, 2, 2, 3, 5, 8, 1, 1, 4], dtype=float)
    provider = {f"m{i}": f"p{i % 3}" for i in range(10)}
    license_of = {f"m{i}": ("open", "proprietary")[i % 2] for i in range(10)}
    noisy = sum(
        bool(sampling_findings(ledger(drawn(weights, weights, 7, 300, s), provider, license_of))) for s in range(150)
    )
    assert noisy / 150 < 0.05  # three kinds of lines, each at .01


def test_a_provider_drawn_twice_as_often_is_found_as_a_group() -> None:
    declared, real = np.ones(12), np.array([2.0] * 4 + [1.0] * 8)
    provider = {f"m{i}": "big" if i < 4 else f"p{i}" for i in range(12)}
    found = sampling_findings(ledger(drawn(real, declared, 7, 500, 3), provider, {}))
    assert ("provider", "big", "more than declared") in [(f.subject_kind, f.subject, f.direction) for f in found]


def test_the_books_balance() -> None:
    weights = np.array([1, 2, 3, 4, 5], dtype=float)
    book = ledger(drawn(weights, weights, 3, 100, 4), {"m0": "a", "m1": "a", "m2": "b"}, {"m4": "open"})
    for lines in (book.models, book.providers, book.licenses):
        assert sum(line.share for line in lines) == pytest.approx(1)
        assert sum(line.appearances for line in lines) == 2 * book.battles == 600
        assert sum(line.declared for line in lines) == pytest.approx(2)
    assert {line.name: line.models for line in book.providers} == {"a": 2, "b": 1, "unknown": 2}
    assert book.hhi == pytest.approx(sum(line.share**2 for line in book.providers))


def test_without_a_policy_shares_are_booked_and_nothing_is_tested() -> None:
    book = ledger(shown([10, 0], [[10, 5, 5], [0, 0, 0]], [[np.nan] * 3] * 2), {}, {})
    assert (book.models[0].peak, book.models[0].peak_day, book.models[0].p_value) == (1.0, "2025-01-01", None)
    assert sampling_findings(book) == ()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadCounts, match=r"m1.*11 of 10 on 2025-01-01"):
        shown([10], [[9, 11]], [[1, 1]])
    with pytest.raises(BadCounts, match="1 days by 2 models"):
        DailyAppearances(("a", "b"), ("d",), np.array([1]), np.zeros((1, 3), dtype=int), np.zeros((1, 3)))
    with pytest.raises(BadCounts, match="at least one battle"):
        ledger(shown([0], [[0, 0]], [[1, 1]]), {}, {})


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any))
def test_concentration_and_inequality_against_their_definitions(amounts: list[int]) -> None:
    share = np.array(amounts) / sum(amounts)
    assert hhi(amounts) == pytest.approx((share**2).sum())
    pairs = np.abs(np.subtract.outer(share, share)).mean()
    assert gini(amounts) == pytest.approx(pairs / (2 * share.mean()), abs=1e-12)


def test_shares_of_nothing_are_refused() -> None:
    with pytest.raises(BadCounts, match="a sum above 0"):
        shares({"a": 0})
    with pytest.raises(BadCounts, match="-1 of a"):
        shares({"a": -1})
    assert license_group(None) == "unknown"
    assert license_group("Nvidia Open Model") == "open"
