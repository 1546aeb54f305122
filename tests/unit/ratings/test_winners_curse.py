"""Best of N: published figures, a seeded simulation of every estimator, laws against slow references."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr

from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts, fit
from pipeline.ratings.winners_curse import (
    debias_known_n,
    expected_max,
    mismatch_z,
    selection_gain,
    shrink_to_family_mean,
    standard_error,
    without_votes_before,
)
from tests.unit.ratings.strategies import connected

# Expected largest of N standard normals (Harter 1961, Biometrika 48; Tippett 1925).
HARTER = {1: 0.0, 2: 0.56419, 3: 0.84628, 5: 1.16296, 10: 1.53875, 20: 1.86748, 50: 2.24907, 100: 2.50759}


@pytest.mark.parametrize(("n", "expected"), HARTER.items())
def test_expected_maximum_is_harters(n: int, expected: float) -> None:
    assert expected_max(n) == pytest.approx(expected, abs=6e-6)


def test_the_published_dispute_is_one_formula() -> None:
    assert selection_gain(10, 0, 65).total == pytest.approx(100, abs=0.1)
    se = standard_error(3000, 0.345)
    luck = selection_gain(50, se, 0)
    assert (luck.legitimate, luck.curse) == (0, pytest.approx(11.5, abs=0.1))


def test_two_identical_checkpoints_have_no_mismatch() -> None:
    # Scored 1069 and 1052, and 1097 and 1059, by two and three thousand votes.
    assert 0.8 < mismatch_z(1069, 13.8, 1052, 13.8) < 1.0
    assert abs(mismatch_z(1097, 20, 1059, 20, curse=12)) < 1
    assert mismatch_z(1417, 6, 1273, 6) > 10


@pytest.mark.long
def test_every_estimator_has_its_bias_and_error() -> None:
    """27 variants of one quality, scored ± 6.3: the table of the module."""
    rng = np.random.default_rng(27)
    scores = rng.normal(0, 6.3, (6000, 27))
    best = scores.argmax(axis=1)
    naive = scores.max(axis=1)
    shrunk = np.array([shrink_to_family_mean(row, 6.3).scores[k] for row, k in zip(scores, best, strict=True)])
    debiased = np.array([debias_known_n(y, 27, 6.3) for y in naive])
    fresh = rng.normal(0, 6.3, 6000)
    for values, bias, error in ((naive, 12.6, 13.0), (debiased, 0, 3.2), (fresh, 0, 6.3), (shrunk, 1.2, 2.5)):
        assert values.mean() == pytest.approx(bias, abs=0.25)
        assert math.sqrt((values**2).mean()) == pytest.approx(error, abs=0.25)


def test_a_real_spread_is_kept_by_the_estimates() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 40, (3000, 10))
    scores = truth + rng.normal(0, 10, truth.shape)
    best = scores.argmax(axis=1)
    rows = np.arange(len(best))
    found = [shrink_to_family_mean(row, 10) for row in scores]
    estimate = np.array([s.scores[k] for s, k in zip(found, best, strict=True)])
    assert (estimate - truth[rows, best]).mean() == pytest.approx(0, abs=0.5)
    inside = [abs(e - t) <= 1.96 * s.se[k] for e, t, s, k in zip(estimate, truth[rows, best], found, best, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)
    expected = selection_gain(10, 10, 40)
    assert truth[rows, best].mean() == pytest.approx(expected.legitimate, abs=2)
    assert (scores - truth)[rows, best].mean() == pytest.approx(expected.curse, abs=0.5)
    assert np.mean([s.tau for s in found]) == pytest.approx(40, rel=0.05)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**6))
def test_expected_maximum_equals_the_integral(n: int) -> None:
    low = quad(lambda x: ndtr(x) ** n, -10, 0, epsabs=1e-12)[0]
    high = quad(lambda x: -math.expm1(n * math.log(ndtr(x))), 0, 10, epsabs=1e-12, limit=200)[0]
    assert expected_max(n) == pytest.approx(high - low, abs=1e-8)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0.1, 10))
def test_gains_add_up_scale_and_never_turn_into_nan(n: int, se: float, tau: float, k: float) -> None:
    gain = selection_gain(n, se, tau)
    assert gain.total == pytest.approx(expected_max(n) * math.hypot(se, tau), rel=1e-9, abs=1e-9)
    assert min(gain.legitimate, gain.curse) >= 0
    assert selection_gain(n, k * se, k * tau).curse == pytest.approx(k * gain.curse, rel=1e-6, abs=1e-9)
    assert debias_known_n(gain.total, n, se, tau) == pytest.approx(gain.legitimate, rel=1e-6, abs=1e-6)


def _slow_shrink(y: list[float], s: list[float]) -> tuple[list[float], float]:
    w = [1 / e**2 for e in s]
    mean = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w)
    q = sum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True))
    tau2 = max(0.0, (q - (len(y) - 1)) / (sum(w) - sum(a * a for a in w) / sum(w)))
    v = [1 / (e**2 + tau2) for e in s]
    centre = sum(a * b for a, b in zip(v, y, strict=True)) / sum(v)
    return [centre + tau2 / (tau2 + e**2) * (b - centre) for b, e in zip(y, s, strict=True)], math.sqrt(tau2)


_SCORES = st.lists(st.tuples(st.floats(-500, 500), st.floats(0.5, 50)), min_size=2, max_size=12)


@settings(max_examples=100, deadline=None)
@given(_SCORES, st.randoms(use_true_random=False))
def test_shrinking_equals_the_slow_reference_in_any_order(pairs, random) -> None:
    found = shrink_to_family_mean(*zip(*pairs, strict=True))
    slow, tau = _slow_shrink(*map(list, zip(*pairs, strict=True)))
    assert found.scores == pytest.approx(slow, abs=1e-6)
    assert found.tau == pytest.approx(tau, abs=1e-6)
    order = list(range(len(pairs)))
    random.shuffle(order)
    moved = shrink_to_family_mean(*zip(*(pairs[k] for k in order), strict=True))
    assert moved.scores == pytest.approx(found.scores[order], abs=1e-6)
    assert np.isfinite(found.se).all()
    assert (found.se >= 0).all()


@settings(max_examples=60, deadline=None)
@given(_SCORES, st.floats(0.1, 10), st.floats(-1000, 1000))
def test_shrinking_is_equivariant_to_scale_and_shift(pairs, k: float, shift: float) -> None:
    y, s = (np.array(column) for column in zip(*pairs, strict=True))
    one, other = shrink_to_family_mean(y, s), shrink_to_family_mean(k * y + shift, k * s)
    assert other.scores == pytest.approx(k * one.scores + shift, rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(connected(), st.data())
def test_fresh_votes_leave_out_the_models_old_ones_and_nothing_else(counts: PairCounts, data) -> None:
    model = data.draw(st.sampled_from(counts.models))
    old = np.array([[data.draw(st.integers(0, n)) for n in row] for row in counts.table().tolist()])
    before = PairCounts.from_rows(counts.models, counts.a, counts.b, old.reshape(-1, 4))
    fresh = without_votes_before(counts, before, model)
    code = counts.models.index(model)
    mine = (counts.a == code) | (counts.b == code)
    expected = PairCounts.from_rows(
        counts.models, counts.a, counts.b, np.where(mine[:, None], counts.table() - old, counts.table())
    )
    assert fresh.table().tolist() == expected.table().tolist()
    assert fresh.a.tolist() == expected.a.tolist()


def test_fresh_votes_rate_the_real_board(real: PairCounts) -> None:
    """A third of gpt-4o's votes stand for those before its release."""
    before = PairCounts.from_rows(real.models, real.a, real.b, real.table() // 3)
    fresh = without_votes_before(real, before, "gpt-4o-2024-05-13")
    place = real.models.index("gpt-4o-2024-05-13")
    old, new = fit(real), fit(fresh)
    assert fresh.battles_per_model()[place] == pytest.approx(77509 * 2 / 3, rel=0.01)
    assert new.theta[place] == pytest.approx(old.theta[place], abs=0.02)
    assert new.covariance[place, place] > 1.3 * old.covariance[place, place]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_max(0), "whole number of variants from 1, got 0"),
        (lambda: expected_max(2.5), "got 2.5"),
        (lambda: expected_max(True), "got True"),
        (lambda: selection_gain(3, -1, 0), "se to be a spread of at least 0 points, got -1"),
        (lambda: selection_gain(3, 1, math.nan), "tau .* got nan"),
        (lambda: selection_gain(3, math.inf, 0), "se .* got inf"),
        (lambda: standard_error(0), "votes above 0"),
        (lambda: standard_error(10, 1), "tie share in"),
        (lambda: standard_error(math.nan), "got nan"),
        (lambda: shrink_to_family_mean([1], [1]), "two or more scores"),
        (lambda: shrink_to_family_mean([1, math.nan], 1), "got nan ± 1.0 at place 1"),
        (lambda: shrink_to_family_mean([1, 2], [1, 0]), "got 2.0 ± 0.0 at place 1"),
        (lambda: mismatch_z(1, 0, 2, 0), "standard error above 0"),
    ],
)
def test_bad_arguments_are_named(call, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        call()


def test_an_unknown_model_is_refused() -> None:
    counts = PairCounts.from_rows(("ant", "bee"), [0], [1], [[2, 1, 0, 0]])
    with pytest.raises(BadCounts, match="got 'owl'"):
        without_votes_before(counts, counts, "owl")
