"""Likelihood ratios of counts: published figures, exact rational arithmetic, and the law that they are e-values."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.evidence import LOG_UNIT, count_likelihoods

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "evidence.json").read_text())
shares = st.floats(0.001, 0.6)
rises = st.sampled_from(count_likelihoods.RISE_RATIOS)
every_ratio = st.sampled_from(count_likelihoods.RISE_RATIOS + count_likelihoods.FALL_RATIOS)


def nats(units: object) -> float:
    return float(np.asarray(units)) * LOG_UNIT


def log_of(value: Fraction) -> float:
    """The logarithm of a fraction of any size."""
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    return math.log(value / Fraction(2) ** shift) + shift * math.log(2)


@pytest.mark.parametrize("case", GOLDEN["counts"], ids=lambda c: f"{c['family']}-{c['arguments']}")
def test_the_golden_ratios(case: dict[str, object]) -> None:
    units = getattr(count_likelihoods, str(case["family"]))(*case["arguments"])  # type: ignore[misc]
    assert int(units) == case["units"]


def test_a_share_of_one_per_cent_that_is_silent_for_917_votes_is_evidence_of_ten_thousand() -> None:
    # The figure of the reference: .99^-917 = 10⁴; as a ratio of 0 the binomial gives the same.
    silent = nats(count_likelihoods.binomial(0, 917, 0.01, 0.0))
    assert math.exp(silent) == pytest.approx(1e4, rel=0.01)
    assert silent == pytest.approx(-917 * math.log(0.99), abs=2 * LOG_UNIT)


def test_the_negative_binomial_with_little_overdispersion_is_the_poisson_ratio() -> None:
    x = np.arange(60)
    near = count_likelihoods.negative_binomial(x, 20.0, 1.5, 1e9) * LOG_UNIT
    assert near == pytest.approx(stats.poisson.logpmf(x, 30.0) - stats.poisson.logpmf(x, 20.0), abs=1e-5)


@given(st.integers(0, 40), st.integers(0, 40), shares, every_ratio)
@settings(deadline=None)
def test_the_binomial_ratio_is_that_of_exact_arithmetic(x: int, more: int, share: float, ratio: float) -> None:
    p = Fraction(share)
    q = Fraction(float(count_likelihoods.alternative_share(share, ratio)))
    exact = log_of((q / p) ** x * ((1 - q) / (1 - p)) ** more)
    found = nats(count_likelihoods.binomial(x, x + more, share, ratio))
    assert exact - 1e-9 - LOG_UNIT <= found <= exact + 1e-9


@given(st.integers(0, 80), st.floats(0.1, 50), every_ratio, st.sampled_from([0.5, 4.0, 30.0]))
@settings(deadline=None)
def test_the_ratio_of_a_count_is_that_of_the_probabilities(x: int, mean: float, ratio: float, size: float) -> None:
    def log_probability(mu: float) -> float:
        return x * math.log(mu / (size + mu)) + size * math.log(size / (size + mu))

    found = nats(count_likelihoods.negative_binomial(x, mean, ratio, size))
    assert found == pytest.approx(log_probability(ratio * mean) - log_probability(mean), abs=1e-9 + LOG_UNIT)


def expectation(log_units: np.ndarray, log_probability: np.ndarray) -> float:
    return float(np.exp(log_units * LOG_UNIT + log_probability).sum())


@given(st.integers(1, 120), shares, rises, st.floats(0, 1), st.sampled_from([2.0, 20.0, 400.0]))
@settings(deadline=None, max_examples=60)
def test_a_rise_of_a_share_is_an_e_value_for_every_smaller_share(
    n: int, share: float, ratio: float, part: float, k: float
) -> None:
    x, less = np.arange(n + 1), share * part
    assert expectation(count_likelihoods.binomial(x, n, share, ratio), stats.binom.logpmf(x, n, less)) <= 1 + 1e-9
    dispersed = count_likelihoods.overdispersed_binomial(x, n, share, ratio, k)
    for law in (
        stats.betabinom.logpmf(x, n, k * share, k * (1 - share)),  # as much spread as was allowed for
        stats.betabinom.logpmf(x, n, 5 * k * less + 1e-9, 5 * k * (1 - less)),  # less, and a smaller share
        stats.binom.logpmf(x, n, less),  # none
    ):
        assert expectation(dispersed, law) <= 1 + 1e-6


@given(st.floats(0.2, 40), rises, st.floats(0, 1), st.sampled_from([1.0, 4.0, 50.0]))
@settings(deadline=None, max_examples=60)
def test_a_rise_of_a_count_is_an_e_value_for_every_smaller_mean(
    mean: float, ratio: float, part: float, size: float
) -> None:
    x, less = np.arange(4000), mean * part
    negative = count_likelihoods.negative_binomial(x, mean, ratio, size)
    assert expectation(negative, stats.nbinom.logpmf(x, size, size / (size + less))) <= 1 + 1e-6
    assert expectation(negative, stats.poisson.logpmf(x, less)) <= 1 + 1e-9


@given(
    st.floats(0.2, 40),
    st.sampled_from(count_likelihoods.FALL_RATIOS),
    st.floats(1, 3),
    st.sampled_from([1.0, 4.0, 50.0]),
)
@settings(deadline=None, max_examples=60)
def test_a_fall_of_a_count_is_an_e_value_for_every_larger_mean(
    mean: float, ratio: float, times: float, size: float
) -> None:
    x, more = np.arange(4000), mean * times
    negative = count_likelihoods.negative_binomial(x, mean, ratio, size)
    assert expectation(negative, stats.nbinom.logpmf(x, size, size / (size + more))) <= 1 + 1e-6


def test_a_rise_beyond_certainty_stays_a_share() -> None:
    assert count_likelihoods.alternative_share(0.3, 5.0) == 0.95
    assert count_likelihoods.alternative_share(0.97, 2.0) == 0.97
    assert count_likelihoods.alternative_share(0.3, 0.5) == 0.15


@given(st.lists(st.floats(0.02, 0.9), min_size=1, max_size=9), st.floats(0.1, 3), st.floats(0, 1), st.floats(-1, 1))
@settings(deadline=None, max_examples=80)
def test_a_shift_of_unequal_chances_is_an_e_value_for_every_shift_within_the_band(
    chances: list[float], delta: float, base: float, where: float
) -> None:
    n = len(chances)
    odds = np.array(chances) / (1 - np.array(chances)) * np.exp(where * base)
    honest = odds / (1 + odds)
    law = np.ones(1)
    for p in honest:  # the distribution of a sum of unequal coins
        law = np.convolve(law, [1 - p, p])
    ratio = count_likelihoods.shifted_logit(np.arange(n + 1), n, sum(chances), delta, base)
    assert expectation(ratio, np.log(law)) <= 1 + 1e-9


def test_no_votes_are_no_evidence_of_a_shift() -> None:
    assert int(count_likelihoods.shifted_logit(0, 0, 0.0, 0.7, 0.2)) == 0
    equal = count_likelihoods.shifted_logit(7, 10, 4.0, 0.7, 0.0) * LOG_UNIT
    assert equal == pytest.approx(7 * 0.7 - 10 * math.log(1 + 0.4 * (math.exp(0.7) - 1)), abs=1e-5)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=12), st.floats(0.1, 4), st.floats(0.1, 1))
def test_events_that_are_too_rare_are_an_e_value_for_every_mean_above_the_bound(
    chances: list[float], shift: float, part: float
) -> None:
    n, bound = len(chances), float(np.mean(chances)) * part
    counts = np.ones(1)
    for chance in chances:  # the distribution of the number of events
        counts = np.convolve(counts, [1 - chance, chance])
    ratio = np.exp(count_likelihoods.rare_events(np.arange(n + 1), n, bound, shift) * LOG_UNIT)
    assert (counts * ratio).sum() <= 1 + 1e-9
    assert ratio[0] >= 1
