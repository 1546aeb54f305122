"""Evidence: exact integers, rounded down, and e-values for every honest voter in the band."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evidence import (
    DELTAS,
    E_UNIT,
    LOG_UNIT,
    Reference,
    from_e_units,
    group_starts,
    running_sums,
    to_e_units,
    to_log_units,
)
from pipeline.evidence.honest_reference import BAND_GROWTH, TASTE, UNIFORM_BAND
from pipeline.evidence.taste import Taste
from pipeline.evidence.tie_ratios import (
    GENERIC_TIE_RATIOS,
    MAX_TIE_RATIO,
    TARGET_TIE_RATIOS,
    TIE_LEVELS,
    TIES_KEPT,
)

CAP = 2.0**32


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def log_odds(p: float) -> float:
    return math.log(p / (1 - p))


def board(
    size: int = 5, seed: int = 1, tie_share: float = 0.32, spread: float = 0.75, noise: float = 0.15
) -> Reference:
    rng = np.random.default_rng(seed)
    root = rng.normal(0, noise, (size, size))
    return Reference(
        sequence=3,
        model_no=rng.permutation(3 * size)[:size].astype(np.int64),
        theta=rng.normal(0, spread, size),
        covariance=root @ root.T / size,
        tie_share=tie_share,
        tie_prior=(3.2, 6.8),
    )


def band(reference: Reference, i: int, j: int, taste: float = 0.5) -> float:
    c = reference.covariance
    return taste + 2 * math.sqrt(max(c[i, i] + c[j, j] - 2 * c[i, j], 0))


BOARDS = [
    board(),
    board(4, 2, tie_share=0.0001),
    board(4, 3, tie_share=0.7, spread=3),
    board(3, 4, noise=0.0),
    board(4, 5, spread=0.0),
    board(4, 6, noise=2.0),
]
each_board = pytest.mark.parametrize("reference", BOARDS, ids=range(len(BOARDS)))


# -- fixed point ------------------------------------------------------------------------------


def test_the_units_of_stored_states_never_change() -> None:
    assert (LOG_UNIT, E_UNIT) == (2.0**-20, 2.0**-24)
    assert TASTE == 0.5
    assert DELTAS == (0.7, 1.5, 3.0)


@given(st.lists(st.floats(-2000, 2000), max_size=8))
def test_a_logarithm_is_rounded_down_by_less_than_a_unit(values: list[float]) -> None:
    units = to_log_units(np.array(values))
    assert units.dtype == np.int64
    for value, unit in zip(values, units.tolist(), strict=True):
        assert unit * LOG_UNIT <= value < (unit + 1) * LOG_UNIT


@given(st.floats(0, 1), st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=8))
def test_an_e_value_is_rounded_down_and_capped(weight: float, sums: list[int]) -> None:
    units = to_e_units(weight, np.array(sums, dtype=np.int64))
    assert units.dtype == np.int64
    for log_sum, unit in zip(sums, units.tolist(), strict=True):
        ratio = min(math.exp(min(log_sum * LOG_UNIT, 40.0)), CAP)
        # An exponential is known to about 1e-15 of itself; beyond that the rounding is exact.
        assert weight * ratio * (1 - 1e-14) - E_UNIT <= from_e_units(unit) <= weight * ratio * (1 + 1e-14)
    assert (units >= 0).all()


def test_a_sum_of_capped_components_fits_an_int64_however_many_there_are() -> None:
    ranks = np.arange(1, 2001)
    about_a_model = np.outer([2 / 3, 1 / 3], [0.6, 0.2, 0.2]).ravel()
    weights = np.append((0.6 / (ranks * (ranks + 1)))[:, None] * about_a_model, [0.4 / 3] * 3)
    assert weights.sum() <= 1
    total = to_e_units(weights, np.full(len(weights), 2**62, dtype=np.int64)).sum()
    assert 0 < total <= 2**56


def test_sums_of_units_are_the_same_in_any_order_and_any_cut() -> None:
    rng = np.random.default_rng(5)
    steps = to_log_units(rng.normal(0, 1, 500))
    assert steps.sum() == steps[::-1].sum() == rng.permutation(steps).sum() == steps[:77].sum() + steps[77:].sum()


# -- running sums -----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9)), max_size=25), st.sampled_from([(), (3,)]))
@settings(deadline=None)
def test_running_sums_are_those_of_a_loop(rows: list[tuple[int, int]], extra: tuple[int, ...]) -> None:
    group = np.array(sorted(g for g, _ in rows), dtype=np.int64)
    shape = (len(rows), *extra)
    values = np.array([v for _, v in rows], dtype=np.int64).reshape(-1, *(1 for _ in extra)) * np.ones(shape, int)
    if extra:
        values = values * np.array([1, 10, -1])
    prior = np.arange(5 * int(np.prod(extra, dtype=int)), dtype=np.int64).reshape(5, *extra)
    total, expected = prior.copy(), []
    for g, value in zip(group.tolist(), values, strict=True):
        total[g] += value
        expected.append(total[g].copy())
    before = values.copy()
    assert running_sums(values, group, prior).tolist() == [np.asarray(e).tolist() for e in expected]
    assert np.array_equal(values, before)


def test_a_group_starts_where_its_number_changes() -> None:
    assert group_starts(np.array([], dtype=np.int64)).tolist() == []
    assert group_starts(np.array([2, 2, 5, 5, 5, 9])).tolist() == [True, False, True, False, False, True]


# -- the reference ----------------------------------------------------------------------------


def test_models_are_found_by_their_number_and_unknown_ones_are_minus_one() -> None:
    reference = board()
    assert reference.index_of(reference.model_no).tolist() == list(range(5))
    absent = sorted(set(range(-3, 40)) - set(reference.model_no.tolist()))
    assert set(reference.index_of(np.array(absent)).tolist()) == {-1}
    assert reference.index_of(np.array([], dtype=np.int64)).tolist() == []
    nobody = Reference(1, np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 0)), 0.3, (1.0, 1.0))
    assert nobody.index_of(np.array([0, 1])).tolist() == [-1, -1]


@each_board
def test_target_ratios_are_those_of_the_formula(reference: Reference) -> None:
    n = len(reference.theta)
    for i in range(n):
        for j in range(n):
            p = sigmoid(reference.theta[i] - reference.theta[j])
            for k, taste in enumerate((0.6, 0.72, 1.2, 1.8)):  # the assumed taste of .5 gives the widest band
                worst = sigmoid(log_odds(p) + band(reference, i, j, taste * math.sqrt(n / (n - 1))))
                for d, delta in enumerate((0.7, 1.5, 3.0)):
                    q = math.exp(delta) * worst / (math.exp(delta) * worst + 1 - worst)
                    got = reference.target_ratios[k, i, j, :, d].tolist()
                    for unit, ratio in zip(got, [(1 - q) / (1 - worst), q / worst], strict=True):
                        assert abs(unit - math.floor(math.log(ratio) / 2**-20)) <= 1


def test_the_band_widens_with_the_votes_on_a_model() -> None:
    votes = np.array([0, 29, 30, 89, 90, 139, 140, 10**6])
    assert Reference.taste_band(votes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(("sd", "error", "eta"), [(0.0, 0.02, 0.1), (0.115, 0.02, 0.25), (0.48, 0.1, 0.6)])
def test_the_band_follows_the_taste_that_was_estimated(sd: float, error: float, eta: float) -> None:
    assert BAND_GROWTH == (1.0, 1.2, 2.0, 3.0)
    reference = replace(board(20, spread=0.0, noise=0.0), taste=Taste(sd, error, 0.3, 20))
    ratios = np.exp(reference.target_ratios * LOG_UNIT)[:, 0, 1, 1, 2]
    # Between equals and with no error the worst honest voter wins σ(η), and δ = 3 more than that.
    for ratio, growth in zip(ratios, BAND_GROWTH, strict=True):
        worst = sigmoid(eta * growth * math.sqrt(20 / 19))
        assert ratio == pytest.approx(math.exp(3) / (math.exp(3) * worst + 1 - worst), rel=1e-5)


@each_board
def test_generic_ratios_are_those_of_the_formula(reference: Reference) -> None:
    n = len(reference.theta)
    for i in range(n):
        for j in range(n):
            d, eta = reference.theta[i] - reference.theta[j], band(reference, i, j)
            worst_a, worst_b = sigmoid(d + eta), sigmoid(-d + eta)
            pair = band(reference, i, j, 0.5 * math.sqrt(2))  # two tastes
            one = 0.015 + band(reference, i, j, 0.0) / 2  # and one standard error
            most_a, most_b = sigmoid(d + pair), sigmoid(-d + pair)
            against_a = 0.5 * (0.98 if d < 0 else 0.02) + 0.5 * sigmoid(-d)
            against_b = 0.5 * (0.98 if d > 0 else 0.02) + 0.5 * sigmoid(d)
            expected = [
                [0.98 / worst_a, 0.02 / worst_a, against_a / most_a, 0.5 / sigmoid(d + one)],
                [0.02 / worst_b, 0.98 / worst_b, against_b / most_b, 0.5 / sigmoid(one - d)],
            ]
            slow = np.floor(np.log(expected) / 2**-20)
            assert np.abs(reference.generic_ratios[i, j] - slow).max() <= 1


def test_generic_ratios_of_ties_are_those_of_the_voter() -> None:
    for level in (1, 4, 5, 6, 82, 200, 255):
        own = level / 256
        rarer = min(own, 0.02)
        for column, alternative in enumerate((rarer, rarer, (rarer + own) / 2)):
            expected = [(1 - alternative) / (1 - own), alternative / own]
            got = GENERIC_TIE_RATIOS[level, :, column]
            assert np.abs(got - np.floor(np.log(expected) / LOG_UNIT)).max() <= 1


@each_board
def test_every_generic_ratio_is_an_e_value_for_every_voter_in_the_band_however_it_ties(reference: Reference) -> None:
    n = len(reference.theta)
    highest = 0.0
    for i in range(n):
        for j in range(n):
            a, b, outcome = np.full(3, i), np.full(3, j), np.arange(3)
            for own in (0.02, 0.15, 0.32, 0.7):
                level = reference.tie_level(a, b, np.full(3, own))
                ratios = np.exp(reference.generic_steps(a, b, outcome, level) * LOG_UNIT)
                for part in np.linspace(-1, 1, 11):
                    d = reference.theta[i] - reference.theta[j] + part * band(reference, i, j)
                    for tie in np.linspace(level[0] / TIE_LEVELS, 1, 4):
                        honest = np.array([(1 - tie) * sigmoid(d), (1 - tie) * sigmoid(-d), tie])
                        assert (honest @ ratios <= 1 + 1e-12).all()
                        highest = max(highest, (honest @ ratios).max())
    assert highest > 0.9  # the bound is used, not merely kept


@each_board
def test_target_ratios_are_e_values_for_every_voter_in_the_band_who_ties_as_it_does_elsewhere(
    reference: Reference,
) -> None:
    n, nu = len(reference.theta), 2 * reference.tie_share / (1 - reference.tie_share)
    targets, by_ties = np.exp(reference.target_ratios * LOG_UNIT), np.exp(TARGET_TIE_RATIOS * LOG_UNIT)
    highest = 0.0
    for i in range(n):
        for j in range(n):
            p = sigmoid(reference.theta[i] - reference.theta[j])
            apart = math.cosh((reference.theta[i] - reference.theta[j]) / 2)
            for own in (0.001, 0.1, 0.32, 0.9):
                decided, tied = by_ties[int(reference.tie_level(np.array(i), np.array(j), np.array(own)))]
                least = own * nu / (nu + 2 * apart) / reference.tie_share
                for k, taste in enumerate(0.6 * np.array(BAND_GROWTH)):
                    most = sigmoid(log_odds(p) + band(reference, i, j, taste * math.sqrt(n / (n - 1))))
                    for win in np.linspace(0, most, 9):
                        either = win * targets[k, i, j, 1] + (1 - win) * targets[k, i, j, 0]
                        for tie in np.linspace(min(least, 1), 1, 5):
                            assert (tie * tied + (1 - tie) * either * decided <= 1 + 1e-12).all()
                        highest = max(highest, (least * tied + (1 - least) * either * decided).max())
    assert highest > 0.99  # the bound is used, not merely kept


def test_ties_speak_against_a_bias_and_decided_battles_for_it() -> None:
    assert TARGET_TIE_RATIOS.shape == (TIE_LEVELS, 2, len(DELTAS))
    assert (np.diff(TARGET_TIE_RATIOS[:, 0], axis=0) > 0).all()
    assert (np.diff(TARGET_TIE_RATIOS[1:, 0]) > 0).all()
    assert (TARGET_TIE_RATIOS[0, 0] == 0).all()
    for kept, units in zip(TIES_KEPT, TARGET_TIE_RATIOS[7, 1].tolist(), strict=True):
        assert units == math.floor(math.log(kept) / LOG_UNIT)
    every = np.concatenate([TARGET_TIE_RATIOS, GENERIC_TIE_RATIOS], axis=2)
    assert (every <= MAX_TIE_RATIO[:, :, None]).all()


def test_no_alternative_grows_faster_in_a_vote_than_the_bound() -> None:
    for reference in BOARDS:
        n = len(reference.theta)
        i, j = (side.ravel() for side in np.indices((n, n)))
        level = reference.tie_level(i, j, np.full(n * n, 0.4))
        for outcome in range(3):
            decided, by_ties = outcome < 2, TARGET_TIE_RATIOS[level, int(outcome == 2)]
            most = reference.largest_ratios[i, j, outcome] + MAX_TIE_RATIO[level, int(outcome == 2)]
            generic = reference.generic_steps(i, j, np.full(len(i), outcome), level)
            assert (generic.max(axis=1) <= most).all()
            for band_ in reference.target_ratios:
                promoted = band_[i, j, int(outcome == 0)] * decided + by_ties
                demoted = band_[j, i, int(outcome == 1)] * decided + by_ties
                assert (np.maximum(promoted, demoted).max(axis=1) <= most).all()


@each_board
def test_uniform_is_an_e_value_for_the_voter_that_the_board_describes(reference: Reference) -> None:
    generic = np.exp(reference.generic_ratios * LOG_UNIT)
    n = len(reference.theta)
    for i in range(n):
        for j in range(n):
            p = sigmoid(reference.theta[i] - reference.theta[j])
            expectation = np.array([p, 1 - p]) @ generic[i, j, :, 3]
            least = 1 - UNIFORM_BAND - band(reference, i, j, 0.0) / 2
            assert least < expectation <= 1 + 1e-12


def test_ratios_turn_with_the_sides() -> None:
    generic = board().generic_ratios
    assert np.array_equal(generic[:, :, 0, 0], generic.transpose(1, 0, 2, 3)[:, :, 1, 1])
    assert np.array_equal(generic[:, :, 0, 1], generic.transpose(1, 0, 2, 3)[:, :, 1, 0])
    assert np.array_equal(generic[:, :, 0, 2], generic.transpose(1, 0, 2, 3)[:, :, 1, 2])


def test_a_stronger_bias_is_believed_more_when_its_model_wins_and_less_when_not() -> None:
    targets = board().target_ratios
    assert (targets[..., 1, :] > 0).all()
    assert (targets[..., 0, :] < 0).all()
    assert (np.diff(targets[..., 0, :]) < 0).all()
    assert (np.diff(targets[..., 1, :]) > 0).all()
    # And in a wider band less, either way.
    assert (np.diff(targets[..., 1, :], axis=0) < 0).all()


def test_models_far_apart_and_boards_without_ties_give_finite_ratios() -> None:
    for tie_share in (0.0, 0.5, 1.0):
        far = Reference(1, np.arange(2), np.array([30.0, -30.0]), np.zeros((2, 2)), tie_share, (1.0, 1.0))
        assert np.abs(far.target_ratios * LOG_UNIT).max() < 100
        assert np.abs(far.generic_ratios * LOG_UNIT).max() < 100
        for own in (0.0, 1.0):
            level = far.tie_level(np.array([0, 0]), np.array([0, 1]), np.full(2, own))
            assert np.abs(TARGET_TIE_RATIOS[level] * LOG_UNIT).max() < 100


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_tie_ratio_is_an_e_value_under_the_beta_binomial(ties: int, others: int) -> None:
    reference = board()
    alpha, beta = reference.tie_prior
    p = (alpha + ties) / (alpha + beta + ties + others)
    own = reference.expected_tie_share(np.full(2, ties), np.full(2, ties + others))
    units = reference.random_tie_ratio(np.array([True, False]), own)
    assert np.abs(units - np.floor(np.log([0.5 / p, 0.5 / (1 - p)]) / LOG_UNIT)).max() <= 1
    yes, no = np.exp(units * LOG_UNIT)
    assert 1 - 1e-5 < p * yes + (1 - p) * no <= 1 + 1e-12
