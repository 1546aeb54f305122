"""Bayes factors: two published examples, exact arithmetic, and the e-process law."""

import json
import math
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.evidence import LOG_UNIT, bayes_factors

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "evidence.json").read_text())


def factor(units: object) -> float:
    return math.exp(float(np.asarray(units)) * LOG_UNIT)


@pytest.mark.parametrize("case", GOLDEN["bayes"], ids=lambda c: f"{c['name']}-{c['arguments']}")
def test_the_golden_factors(case: dict[str, object]) -> None:
    assert int(getattr(bayes_factors, str(case["name"]))(*case["arguments"])) == case["units"]  # type: ignore[misc]


def test_115_of_200_coin_flips_give_the_textbook_factor() -> None:
    # A uniform share against one half (k = 2, θ = ½): 1/201 against .005956, a factor of 1/1.197.
    assert 1 / factor(bayes_factors.beta_binomial(115, 200, 0.5, 2.0)) == pytest.approx(1.197, abs=0.001)


def test_lindleys_births_give_the_published_posterior() -> None:
    # 49,581 boys of 98,451: with equal odds P(half) = .95.
    against = factor(bayes_factors.beta_binomial(49_581, 98_451, 0.5, 2.0))
    assert 1 / (1 + against) == pytest.approx(0.95, abs=0.005)


def test_under_a_flat_dirichlet_every_composition_is_equally_likely() -> None:
    # Γ(3) n! / Γ(n + 3): each of the C(n + 2, 2) compositions of n = 7 into three parts.
    for counts in ((7, 0, 0), (3, 2, 2), (0, 1, 6)):
        ways = math.factorial(7) / math.prod(math.factorial(c) for c in counts)
        null = ways / 3.0**7
        assert factor(bayes_factors.dirichlet_multinomial(counts, [1 / 3] * 3, 3.0)) * null == pytest.approx(
            1 / 36, rel=1e-5
        )


@given(st.lists(st.integers(0, 12), min_size=2, max_size=4), st.integers(0, 99), st.sampled_from([2.0, 40.0, 1000.0]))
@settings(deadline=None)
def test_the_joint_factor_is_that_of_an_urn_in_exact_arithmetic(counts: list[int], seed: int, k: float) -> None:
    raw = np.random.default_rng(seed).integers(1, 20, len(counts))
    theta = [Fraction(int(w), int(raw.sum())) for w in raw]
    exact = Fraction(1)
    for c, t in zip(counts, theta, strict=True):
        exact *= math.prod([Fraction(k) * t + i for i in range(c)], start=Fraction(1)) / t**c
    exact /= math.prod([Fraction(k) + i for i in range(sum(counts))], start=Fraction(1))
    found = float(bayes_factors.dirichlet_multinomial(counts, [float(t) for t in theta], k)) * LOG_UNIT
    assert found == pytest.approx(math.log(exact), abs=1e-8 + LOG_UNIT)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.01, 0.9), st.sampled_from([2.0, 1000.0]))
@settings(deadline=None)
def test_the_factor_of_one_key_is_the_joint_one_of_it_and_the_rest(s: int, rest: int, theta: float, k: float) -> None:
    one = float(bayes_factors.beta_binomial(s, s + rest, theta, k))
    joint = float(bayes_factors.dirichlet_multinomial([s, rest], [theta, 1 - theta], k))
    assert one * LOG_UNIT == pytest.approx(joint * LOG_UNIT, abs=1e-6)


def test_the_factor_after_n_votes_has_expectation_one() -> None:
    theta, n = np.array([0.2, 0.3, 0.5]), 6
    total = 0.0
    for path in product(range(3), repeat=n):
        counts = np.bincount(path, minlength=3)
        total += math.prod(theta[list(path)]) * factor(bayes_factors.dirichlet_multinomial(counts, theta, 5.0))
    assert 1 - 1e-5 < total <= 1


@pytest.mark.parametrize("share", [0.17, 0.2, 0.23])
def test_with_bounds_the_factors_are_e_values_for_every_share_within_them(share: float) -> None:
    n, bounds = 400, (0.17, 0.23)
    counts = np.arange(n + 1)
    chance = stats.binom.pmf(counts, n, share)
    one = np.exp(bayes_factors.beta_binomial(counts, n, 0.2, 250.0, bounds) * LOG_UNIT)
    assert (chance * one).sum() <= 1
    assert one[200] > 100
    pairs = np.stack([counts, n - counts], axis=1)
    both = np.array([0.17, 0.77]), np.array([0.23, 0.83])
    joint = [bayes_factors.dirichlet_multinomial(pair, [0.2, 0.8], 250.0, both) for pair in pairs]
    assert (chance * np.exp(np.array(joint) * LOG_UNIT)).sum() <= 1
    assert np.abs(np.array(joint) * LOG_UNIT - np.log(one)).max() < 1e-3
