"""Cells: the expectation of every ratio by enumeration, a slow reference, golden values, and what a cell counts."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import beta, norm

from pipeline.evidence import DELTAS, Reference, cell_counts, cells, taste_nulls
from pipeline.evidence.taste import Taste
from pipeline.evidence.tie_ratios import TIES_KEPT
from pipeline.scoring.signals import CRITICAL

FINE = np.linspace(-7, 7, 2801)
FINE_WEIGHTS = norm.pdf(FINE) / norm.pdf(FINE).sum()


def board(models: int = 4, taste: float = 0.5, providers: list[int] | None = None) -> Reference:
    theta = np.linspace(-1, 1, models)
    owned = None if providers is None else np.array(providers)
    return Reference(
        1, np.arange(models), theta, np.zeros((models, models)), 0.3, (3.0, 7.0), Taste(taste, 0.0, 0.3, models), owned
    )


def by_taste(p: float, sd: float) -> np.ndarray:
    """The chance of a win for every value of FINE, with mean p exactly."""
    shift = brentq(lambda c: float(expit(logit(p) + c + sd * FINE) @ FINE_WEIGHTS) - p, -20, 20, xtol=1e-13)
    return expit(logit(p) + shift + sd * FINE)


@pytest.mark.parametrize("chances", [(0.5,) * 6, (0.2, 0.5, 0.9, 0.6), (0.97, 0.99, 0.95), (0.02, 0.1, 0.3, 0.05, 0.2)])
@pytest.mark.parametrize("sd", [0.0, 0.1, 0.5, 1.2])
def test_the_expectation_over_all_outcomes_is_at_most_one(chances: tuple[float, ...], sd: float) -> None:
    wins = np.array(list(product((0, 1), repeat=len(chances))))
    p = np.array([by_taste(one, sd) for one in chances])  # [votes, z]
    given = np.ones((len(wins), len(FINE)))
    for i in range(len(chances)):
        given *= np.where(wins[:, i, None] == 1, p[i], 1 - p[i])
    probability = given @ FINE_WEIGHTS
    mean, count = np.full(len(wins), np.mean(chances)), np.full(len(wins), float(len(chances)))
    ratios = np.exp(
        taste_nulls.win_ratios(wins.sum(axis=1).astype(float), count, taste_nulls.chances_by_taste(mean, sd))
    )
    expectation = probability @ ratios
    assert (expectation <= 1 + 1e-9).all(), expectation
    assert len(set(chances)) > 1 or (expectation > 0.5).all(), expectation  # rounding costs little


@pytest.mark.parametrize("sd", [0.1, 0.6])
@pytest.mark.parametrize(("ties", "votes"), [(0.0, 0.0), (2.0, 30.0), (300.0, 400.0)])
def test_the_expectation_with_ties_is_at_most_one(sd: float, ties: float, votes: float) -> None:
    n, p, factor = 5, 0.6, 0.9
    shares = taste_nulls.tie_shares(np.array([ties]), np.array([votes]), (3.0, 7.0))
    z = by_taste(p, sd)
    outcomes = [(k, w) for k in range(n + 1) for w in range(n - k + 1)]
    expected = np.zeros((4, 3))
    for share, log_weight in zip(shares[0][0], shares[1][0], strict=True):
        t = share * factor
        for k, w in outcomes:
            paths = math.comb(n, k) * math.comb(n - k, w)
            chance = paths * t**k * (1 - t) ** (n - k) * float((z**w * (1 - z) ** (n - k - w)) @ FINE_WEIGHTS)
            kk, ww, nn = np.array([float(k)]), np.array([float(w)]), np.array([float(n)])
            by_z = taste_nulls.chances_by_taste(np.array([p]), sd)
            won = taste_nulls.win_ratios(ww, nn - kk, by_z)[0]
            rarer = taste_nulls.tie_ratios(kk, nn, np.array([factor]), shares)[0]
            lost = taste_nulls.loss_ratios(nn - kk - ww, nn, by_z, shares)[0]
            told = taste_nulls.told_ratios(kk, nn - kk - ww, nn, by_z, shares)[0]
            expected += math.exp(log_weight) * chance * np.exp(np.stack([won + rarer, won, lost, told]))
    assert (expected <= 1 + 1e-9).all(), expected
    assert (expected > 0.5).all(), expected


def test_the_shares_of_ties_have_the_moments_of_the_posterior() -> None:
    shares, logs = taste_nulls.tie_shares(np.array([0.0, 12.0]), np.array([0.0, 30.0]), (3.0, 7.0))
    for x, w, (a, b) in zip(shares, np.exp(logs), [(3.0, 7.0), (15.0, 25.0)], strict=True):
        variance = 1 / a + 1 / b
        kept = variance / (variance + taste_nulls.TIE_SPREAD**2)
        assert x @ w == pytest.approx(beta.mean(a * kept, b * kept), abs=0.004)
        assert x**2 @ w - (x @ w) ** 2 == pytest.approx(beta.var(a * kept, b * kept), rel=0.06)


def test_the_shift_keeps_the_mean_and_every_node_is_rounded_up() -> None:
    p = np.array([0.001, 0.1, 0.5, 0.8, 0.999])
    for sd in (0.0, 0.3, 1.0):
        rounded = taste_nulls.chances_by_taste(p, sd)
        assert (rounded @ taste_nulls._WEIGHTS >= p - 1e-12).all()
        for row, mean in zip(rounded, p, strict=True):
            exact = np.interp(taste_nulls._NODES[:-1], FINE, by_taste(float(mean), sd))
            assert (row[:-1] >= exact - 0.003).all()
            assert row[-1] == 1


def slow_ratio(
    cell: dict[str, float], taste: float, delta: float, kept: float, pooled: bool
) -> tuple[float, float, float]:
    """The three ratios of "promotes", one number at a time."""
    nodes, weights = taste_nulls._NODES, taste_nulls._WEIGHTS

    def honest(high: float, low: float) -> tuple[float, float]:
        if pooled:
            return high, taste
        top, bottom = math.log(high / (1 - high)), math.log(low / (1 - low))
        return 1 / (1 + math.exp(-(top + bottom) / 2)), math.hypot(taste, (top - bottom) / 4)

    def won(
        chance: tuple[float, float], n: float, joined: bool, shrink: float, decided: float, tied: float = 0
    ) -> float:
        p, sd = chance
        chances = taste_nulls.chances_by_taste(np.array([p]), sd)[0]
        total, mass = 0.0, 0.0
        for j, (_, w) in enumerate(zip(nodes, weights, strict=True)):
            mass += w
            if joined and j not in taste_nulls._JOINED.tolist():
                continue
            x = decided * (1 - chances[j]) - tied if joined else chances[j]
            total += mass * (1 + x * shrink) ** n
            mass = 0.0
        return total

    d = cell["votes"] - cell["ties"]
    decided = honest(cell["high"] / d, cell["low"] / d)
    wins = math.exp(delta * cell["wins"]) / won(decided, d, False, math.expm1(delta), 1)
    shares, logs = taste_nulls.tie_shares(np.array([cell["other_ties"]]), np.array([cell["other_votes"]]), (3.0, 7.0))
    above = below = lost = told = 0.0
    f, k, n = cell["even"] / cell["votes"], cell["ties"], cell["votes"]
    over_all = honest(cell["all"] / n, cell["least"] / n)
    for t, w in zip(shares[0], np.exp(logs[0]), strict=True):
        above += w * (kept * f * t) ** k * (1 - kept * f * t) ** (n - k)
        below += w * (f * t) ** k * (1 - f * t) ** (n - k)
        tied = min(1.05 * t, 1)
        lost += w * won(over_all, n, True, math.expm1(-delta), 1 - tied)
        told += w * won(over_all, n, True, math.expm1(-delta), 1 - tied, tied)
    rare = math.exp(-delta * (d - cell["wins"]))
    both = rare / lost + min(rare * (2 - math.exp(-delta)) ** k / told, math.exp(taste_nulls.MOST_TOLD))
    return wins * above / below, wins, both / 2


@pytest.mark.parametrize("pooled", [False, True])
def test_the_ratios_are_those_of_a_slow_reference(pooled: bool) -> None:
    rng = np.random.default_rng(5)
    reference = replace(board(6, taste=0.4), covariance=np.eye(6) * 0.01)
    n = 120
    voter, a = rng.integers(0, 3, n), rng.integers(0, 6, n)
    b = (a + rng.integers(1, 6, n)) % 6
    outcome = rng.integers(0, 3, n).astype(np.int8)
    found = cell_counts.count_cells(voter, a, b, outcome, reference)
    ratios = np.exp(cells.log_ratios(found.counts, reference, 0.4, pooled=pooled))
    for i in range(0, len(found.voter), 4):
        who, m = found.voter[i], found.key[i]
        names = ("votes", "ties", "wins", "high", "low", "all", "least", "even", "other_ties", "other_votes")
        cell = dict.fromkeys(names, 0.0)
        for v, x, y, o in zip(voter, a, b, outcome, strict=True):
            if v != who:
                continue
            if m not in (x, y):
                cell["other_votes"] += 1
                cell["other_ties"] += o == 2
                continue
            rival = y if x == m else x
            gap, error = reference.theta[m] - reference.theta[rival], 2 * math.sqrt(0.02)
            high = math.ceil(expit(gap + error) * 2**16) / 2**16
            low = 1 - math.ceil(expit(error - gap) * 2**16) / 2**16
            cell["votes"] += 1
            cell["ties"] += o == 2
            cell["wins"] += (o == 0) if x == m else (o == 1)
            cell["all"] += high
            cell["least"] += low
            cell["high"] += high if o != 2 else 0
            cell["low"] += low if o != 2 else 0
            cell["even"] += int(reference.tie_factors[m, rival]) / 2**16
        for s, (delta, kept) in enumerate(zip(DELTAS, TIES_KEPT, strict=True)):
            assert ratios[i, 0, :, s] == pytest.approx(slow_ratio(cell, 0.4, delta, kept, pooled), rel=1e-9)


@pytest.mark.parametrize(("taste", "error"), [(0.2, 0.1), (0.2, 0.4), (0.6, 0.3)])
def test_the_expectation_over_errors_of_the_ratings_is_at_most_one(taste: float, error: float) -> None:
    """The ratings of 100 boards differ from the truth by independent errors; on each board 20 honest voters vote."""
    rng = np.random.default_rng(11)
    models, boards, voters, votes, values = 8, 100, 20, 60, []
    for _ in range(boards):
        theta = rng.normal(0, 0.7, models)
        rated = theta + rng.normal(0, error, models)
        reference = Reference(1, np.arange(models), rated, np.eye(models) * error**2, 0.3, (3.0, 7.0),
                              Taste(taste, 0.0, 0.0, models))  # fmt: skip
        voter, a = np.repeat(np.arange(voters), votes), rng.integers(0, models, voters * votes)
        b, like = (a + rng.integers(1, models, len(a))) % models, rng.normal(0, taste, (voters, models))
        won = rng.random(len(a)) < expit(theta[a] - theta[b] + like[voter, a] - like[voter, b])
        tied = rng.random(len(a)) < rng.beta(3, 7, voters)[voter]
        outcome = np.where(tied, 2, np.where(won, 0, 1)).astype(np.int8)
        values.append(cells.voter_e_values(voter, a, b, outcome, reference)[1])
    every = np.concatenate(values)
    assert (every >= 100).mean() < 0.01 / 10
    assert 0.02 < every.mean() < 1, every.max()


def test_errors_of_the_ratings_weaken_evidence_less_than_the_worst_ratings_within_them() -> None:
    exact = board(20, taste=0.2)
    rough = replace(exact, covariance=np.eye(20) * 0.04)
    n = 300
    a = np.where(np.arange(n) % 5 == 0, 4, np.arange(n) % 15 + 5)
    b = np.where(a == 4, np.arange(n) % 15 + 5, (a - 4) % 15 + 5)
    outcome = np.where(a == 4, np.arange(n) // 5 % 5 == 0, np.arange(n) % 3).astype(np.int8)

    def best(reference: Reference, pooled: bool) -> float:
        counts = cell_counts.count_cells(np.zeros(n, int), a, b, outcome, reference).counts.take([0])
        return float(cells.log_ratios(counts, reference, 0.2, pooled=pooled)[0, 0, 1].max())

    assert best(rough, pooled=True) + 1 < best(rough, pooled=False) < best(exact, pooled=False)


def test_promotes_and_demotes_mirror_each_other() -> None:
    reference = board(2)
    voter, outcome = np.zeros(30, int), np.array([0, 0, 2, 0, 1] * 6, np.int8)
    a, b = np.zeros(30, int), np.ones(30, int)
    found = cell_counts.count_cells(voter, a, b, outcome, reference)
    ratios = cells.log_ratios(found.counts, reference, 0.5)
    assert ratios[0, 0] == pytest.approx(ratios[1, 1])
    assert ratios[0, 1] == pytest.approx(ratios[1, 0])


def test_the_bound_is_above_every_value_and_near_it_for_clear_cells() -> None:
    rng = np.random.default_rng(9)
    for taste in (0.0, 0.3, 1.0):
        reference = board(6, taste)
        n = 6000
        voter, a = rng.integers(0, 200, n), rng.integers(0, 6, n)
        b, outcome = (a + rng.integers(1, 6, n)) % 6, rng.integers(0, 3, n)
        outcome = np.where((voter % 4 == 0) & (a == 2), 0, outcome)
        outcome = np.where((voter % 4 == 1) & (b == 3) & (outcome == 0), 2, outcome).astype(np.int8)
        found = cell_counts.count_cells(voter, a, b, outcome, reference)
        bound = cells.log_bounds(found.counts, reference)
        assert (np.log(cells.cell_e_values(found.counts, reference, taste)) <= bound + 1e-9).all()
        assert (bound < 3).mean() > 0.5


def test_golden_values() -> None:
    reference = board(3, taste=0.3)
    a, b = np.array([0, 1, 2] * 20), np.array([1, 2, 0] * 20)
    outcome = np.where(a == 2, 0, np.where(b == 2, 1, 2)).astype(np.int8)
    found = cell_counts.count_cells(np.zeros(60, int), a, b, outcome, reference)
    logs = np.log(cells.cell_e_values(found.counts, reference, 0.3))
    assert logs == pytest.approx(GOLDEN, abs=1e-5)


def test_a_loser_of_no_battle_is_found_by_rare_losses_alone() -> None:
    rng = np.random.default_rng(3)
    reference = board(20, taste=0.5)
    n = 600
    a = np.where(np.arange(n) % 10 == 0, 4, rng.integers(0, 20, n))
    b = (a + rng.integers(1, 20, n)) % 20
    won = rng.random(n) < expit(reference.theta[a] - reference.theta[b])
    outcome = np.where(rng.random(n) < 0.3, 2, np.where(won, 0, 1))
    lost = (a == 4) & (outcome == 1) | (b == 4) & (outcome == 0)
    honest, attack = outcome.astype(np.int8), np.where(lost, 2, outcome).astype(np.int8)
    voter = np.zeros(n, int)
    assert cells.voter_e_values(voter, a, b, honest, reference)[1][0] < 3
    assert cells.voter_e_values(voter, a, b, attack, reference)[1][0] > 1e4
    found = cell_counts.count_cells(voter, a, b, attack, reference)
    target = int(np.flatnonzero(found.key == 4)[0])
    best = np.unravel_index(cells.log_ratios(found.counts, reference, 0.5)[target].argmax(), cells.WEIGHTS.shape)
    assert (cells.VERBS[best[0]], cells.KINDS[best[1]]) == ("promotes", "rare losses")


def test_losses_told_as_ties_are_found_among_voters_of_strong_taste_and_exclude_nobody_alone() -> None:
    """A strong taste explains that a model never loses, and then it wins: it does not explain that it ties so often."""
    rng = np.random.default_rng(3)
    n = 400
    a = np.where(np.arange(n) % 5 == 0, 4, rng.integers(5, 20, n))
    b = np.where(a == 4, rng.integers(5, 20, n), (a - 4) % 15 + 5)
    won = rng.random(n) < 0.5
    outcome = np.where(rng.random(n) < 0.3, 2, np.where(won, 0, 1))
    told = np.where((a == 4) & (outcome == 1), 2, outcome).astype(np.int8)
    loved = np.where((a == 4) & (outcome == 1), 0, outcome).astype(np.int8)
    even = Reference(1, np.arange(20), np.zeros(20), np.zeros((20, 20)), 0.3, (3.0, 7.0), Taste(1.0, 0.0, 0.3, 20))
    value = {name: cells.voter_e_values(np.zeros(n, int), a, b, o, even)[1][0] for name, o in
             {"told": told, "honest": outcome.astype(np.int8)}.items()}  # fmt: skip
    assert value["honest"] < 1
    assert 200 < value["told"] < 1e4
    counts = cell_counts.count_cells(np.zeros(n, int), a, b, told, even).counts.take([0])
    favoured = cell_counts.count_cells(np.zeros(n, int), a, b, loved, even).counts.take([0])
    rare, told_too = (cells.log_ratios(one, even, 1.0)[0, 0, 2].max() for one in (favoured, counts))
    assert rare < 7 < taste_nulls.MOST_TOLD - 1 < told_too


def test_ratios_of_losses_told_as_ties_alone_exclude_nobody_and_together_with_others_may() -> None:
    """At their limit in every cell, for and against: 8,981. With too few losses beside them, the sum has no limit."""
    limit = math.exp(taste_nulls.MOST_TOLD)
    told = cells.WEIGHTS[:, cells.KINDS.index("rare losses")].sum() / 2 * limit
    assert 8_900 < told < CRITICAL
    reference = board(20, taste=0.1)
    n = 3_000
    a = np.where(np.arange(n) % 3 == 0, 4, np.arange(n) % 15 + 5)
    b = np.where(a == 4, np.arange(n) % 15 + 5, (a - 4) % 15 + 5)
    outcome = np.where(a == 4, 2, np.arange(n) % 2).astype(np.int8)
    ratios = cells.log_ratios(
        cell_counts.count_cells(np.zeros(n, int), a, b, outcome, reference).counts, reference, 0.1
    )
    assert ratios[0, 0, cells.KINDS.index("rare losses")].max() > taste_nulls.MOST_TOLD + 1
    assert cells.voter_e_values(np.zeros(n, int), a, b, outcome, reference)[1][0] > CRITICAL


def test_the_supporter_of_a_provider_is_found_over_its_models_together() -> None:
    rng = np.random.default_rng(4)
    providers = [0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6]
    reference, alone = board(20, 0.5, providers), board(20, 0.5)
    n = 90
    a = rng.integers(0, 20, n)
    b = (a + rng.integers(1, 20, n)) % 20
    own = np.array(providers)
    won = rng.random(n) < expit(reference.theta[a] - reference.theta[b])
    outcome = np.where(rng.random(n) < 0.3, 2, np.where(won, 0, 1))
    outcome = np.where((own[a] == 1) & (own[b] != 1), 0, np.where((own[b] == 1) & (own[a] != 1), 1, outcome))
    voter = np.zeros(n, int)
    together = cells.voter_e_values(voter, a, b, outcome.astype(np.int8), reference)[1][0]
    assert together > 1e4 > 10 * cells.voter_e_values(voter, a, b, outcome.astype(np.int8), alone)[1][0]
    counts = cell_counts.count_cells(voter, a, b, outcome.astype(np.int8), reference, reference.provider)
    exactly_one = int(((own[a] == 1) ^ (own[b] == 1)).sum())
    assert counts.counts.votes[counts.key == 1].tolist() == [exactly_one]


def test_counts_add_up_in_any_order_and_weights_sum_to_at_most_one() -> None:
    rng = np.random.default_rng(8)
    reference = board(5)
    n = 400
    voter, a = rng.integers(0, 9, n) * 10**15, rng.integers(0, 5, n)
    b, outcome = (a + rng.integers(1, 5, n)) % 5, rng.integers(0, 4, n).astype(np.int8)
    order = rng.permutation(n)
    one = cells.voter_e_values(voter, a, b, outcome, reference)
    other = cells.voter_e_values(voter[order], a[order], b[order], outcome[order], reference)
    assert (one[1] == other[1]).all()
    found = cell_counts.count_cells(voter, a, b, outcome, reference)
    weights = cells.cell_weights(found.voter, found.counts.votes)
    assert (np.bincount(found.voter // 10**15, weights=weights) <= 1).all()
    assert cells.WEIGHTS.sum() == pytest.approx(1)
    assert (found.counts.votes + found.counts.other_votes == np.bincount(voter // 10**15)[found.voter // 10**15]).all()


GOLDEN = [5.32173, 9.95247, 22.78964]
