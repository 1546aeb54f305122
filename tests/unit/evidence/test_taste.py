"""Taste, sharpness and readiness to tie: estimates on streams with known values, and by a slow reference."""

import numpy as np
import pytest
from scipy.special import expit

from pipeline.evidence.grouped_sums import number_groups
from pipeline.evidence.taste import (
    ASSUMED_TASTE,
    USUAL_SQUARE,
    Taste,
    estimate_taste,
    estimate_tie_habits,
)
from pipeline.evidence.taste_pairs import CAP, decided_votes, pair_sums, shared_cells

_NORMAL = np.exp(-(np.linspace(-6, 6, 4001) ** 2) / 2) / np.exp(-(np.linspace(-6, 6, 4001) ** 2) / 2).sum()


def votes(seed: int, taste: float, sharpness: float = 0.0, voters: int = 1500, each: int = 25, models: int = 20):
    rng = np.random.default_rng(seed)
    theta, n = rng.normal(0, 0.75, models), voters * each
    voter, a = np.repeat(np.arange(voters), each), rng.integers(0, models, n)
    b = (a + rng.integers(1, models, n)) % models
    z, factor = rng.normal(0, taste, (voters, models)), 1 + rng.normal(0, sharpness, voters)
    difference = theta[a] - theta[b]
    won = rng.random(n) < expit(factor[voter] * difference + z[voter, a] - z[voter, b])
    outcome = np.where(rng.random(n) < 0.3, 2, np.where(won, 0, 1)).astype(np.int8)
    grid = np.linspace(0.4, 1.2, 81)  # the board's logits are those of all voters together
    loss = [np.logaddexp(0, -np.where(won, 1, -1) * c * difference).sum() for c in grid]
    return voter, a, b, outcome, difference * grid[int(np.argmin(loss))]


@pytest.mark.parametrize("taste", [0.3, 0.5, 0.75, 1.0])
def test_the_taste_of_a_known_board_is_found(taste: float) -> None:
    found = estimate_taste(*votes(7, taste))
    assert abs(found.sd - taste) < 3 * found.error + 0.06
    assert 0 < found.error < 0.12
    assert found.models == 20


def test_a_board_without_tastes_has_little() -> None:
    found = estimate_taste(*votes(2, 0.0))
    assert found.sd < 0.15
    assert found.band < 0.5


def test_a_rough_estimate_is_drawn_to_usual_tastes_and_an_exact_one_is_kept() -> None:
    assert Taste(1.0, 0.02, 0.3, 20).upper == pytest.approx(1.02, abs=0.01)
    assert Taste(0.0, 0.5, 0.3, 20).upper < Taste(1.0, 0.8, 0.3, 20).upper < 0.6
    assert Taste(0.5, 0.1, 0.4, 0).upper == 0.6  # assumed, not estimated
    # By a fine grid: the posterior of s² ∝ exp(−s²/0.1) × the normal density of its estimate.
    linear = [16 * ((expit(s * np.linspace(-6, 6, 4001)) - 0.5) ** 2 @ _NORMAL) for s in (0.4, 0.6)]
    square = np.linspace(0, 2, 200_001)
    log = -square / USUAL_SQUARE - ((square - linear[0]) / (linear[1] - linear[0])) ** 2 / 2
    chance = np.exp(log - log.max()).cumsum()
    quantile = square[np.searchsorted(chance, 0.84 * chance[-1])]
    upper = Taste(0.4, 0.2, 0.3, 20).upper
    assert 16 * ((expit(upper * np.linspace(-6, 6, 4001)) - 0.5) ** 2 @ _NORMAL) == pytest.approx(quantile, rel=0.01)


def test_sharpness_is_told_apart_from_taste() -> None:
    dull, sharp = (estimate_taste(*votes(3, 0.3, s, voters=4000)).sharpness for s in (0.0, 0.5))
    assert dull < 0.25
    assert sharp == pytest.approx(0.5, abs=0.12)


def test_the_formula_by_hand() -> None:
    # One voter, model 0 twice and model 1 twice: two votes a > b at p = ½, residuals ½ and −½.
    rows = decided_votes(*(np.array(x) for x in ([5, 5], [0, 0], [1, 1])), np.array([0, 0], np.int8), np.zeros(2))
    residual = rows.sign * rows.residual[rows.vote]
    assert residual.tolist() == [0.5, 0.5, -0.5, -0.5]
    above, below = pair_sums(rows.cell, residual, rows.weight[rows.vote])
    assert above.tolist() == [0.5 / 1.5, 0.5 / 1.5]  # (Σr)² − Σr² = 1 − ½, q = 1/(1 + ½)
    assert below.tolist() == [0.125 / 1.5, 0.125 / 1.5]


def test_only_the_first_votes_of_a_cell_count() -> None:
    n = 30
    rows = decided_votes(np.zeros(n, int), np.zeros(n, int), np.ones(n, int), np.zeros(n, np.int8), np.zeros(n))
    assert np.bincount(rows.cell).tolist() == [CAP, CAP]
    assert rows.vote.max() == CAP - 1
    voter, a, b, outcome, difference = votes(4, 0.3)
    # A voter with ten thousand wins of one model changes nothing much.
    extra = 10_000
    more = (np.append(voter, np.full(extra, 10**6)), np.append(a, np.full(extra, 3)), np.append(b, np.full(extra, 4)),
            np.append(outcome, np.zeros(extra, np.int8)), np.append(difference, np.zeros(extra)))  # fmt: skip
    assert estimate_taste(*more).sd == pytest.approx(estimate_taste(voter, a, b, outcome, difference).sd, abs=0.01)


def test_an_attack_on_a_few_models_does_not_move_the_taste() -> None:
    voter, a, b, outcome, difference = votes(5, 0.3)
    attacker = voter % 5 == 0
    forced = np.where(a == 2, 0, np.where(b == 2, 1, outcome)).astype(np.int8)
    found = estimate_taste(voter, a, b, np.where(attacker, forced, outcome).astype(np.int8), difference)
    assert found.sd == pytest.approx(estimate_taste(voter, a, b, outcome, difference).sd, abs=0.08)


def test_too_few_votes_give_the_assumed_taste() -> None:
    nothing = np.zeros(0, int)
    assert estimate_taste(nothing, nothing, nothing, np.zeros(0, np.int8), np.zeros(0)) is ASSUMED_TASTE
    once = np.arange(100)
    assert estimate_taste(once, once % 3, (once + 1) % 3, np.zeros(100, np.int8), np.zeros(100)) is ASSUMED_TASTE


def test_the_band_follows_the_estimate_between_its_ends() -> None:
    assert Taste(0.02, 0.01, 0, 9).band == 0.1
    assert Taste(0.115, 0.02, 0, 9).band == pytest.approx(0.25)
    assert Taste(0.5, 0.1, 0, 9).band == 0.6


def test_busy_voters_who_tie_more_do_not_change_the_spread_of_ties() -> None:
    rng = np.random.default_rng(1)
    n = rng.integers(2, 40, 20_000)
    k = rng.binomial(n, rng.beta(3, 7, len(n)))
    found = estimate_tie_habits(n, k)
    assert found is not None
    assert found.mean == pytest.approx(0.3, abs=0.01)
    assert found.concentration == pytest.approx(10, rel=0.06)
    # Half of the voters cast twenty times as many votes and tie half as much: a mean weighted by n(n − 1) is theirs.
    n = np.append(np.full(5000, 20), np.full(5000, 400))
    k = rng.binomial(n, np.append(rng.beta(6, 4, 5000), rng.beta(3, 7, 5000)))
    found = estimate_tie_habits(n, k)
    assert found is not None
    assert found.concentration == pytest.approx(10, rel=0.1)  # with one weighting; 76 with n for the mean
    assert found.logit_sd == pytest.approx(0.72, abs=0.05)


def test_voters_who_never_vote_twice_say_nothing_about_ties() -> None:
    assert estimate_tie_habits(np.ones(9, int), np.zeros(9, int)) is None
    assert estimate_tie_habits(np.full(9, 5), np.zeros(9, int)) is None


def test_sharpness_is_the_sum_over_all_pairs_of_votes_that_share_no_model() -> None:
    rng = np.random.default_rng(8)
    n = 4_000
    voter, a = rng.integers(-300, 300, n), rng.integers(0, 6, n)
    b, outcome = (a + rng.integers(1, 6, n)) % 6, rng.integers(0, 3, n).astype(np.int8)
    difference = rng.normal(0, 1, n)
    seen: dict[tuple[int, int], int] = {}
    kept: dict[int, list[tuple[set[int], float, float]]] = {}
    for i in np.flatnonzero(outcome < 2).tolist():
        cells = [(int(voter[i]), int(model)) for model in (a[i], b[i])]
        places = [seen.get(cell, 0) for cell in cells]
        seen.update((cell, place + 1) for cell, place in zip(cells, places, strict=True))
        if max(places) < CAP:
            p = expit(difference[i])
            u, w = ((outcome[i] == 0) - p) * difference[i], p * (1 - p) * difference[i] ** 2
            kept.setdefault(int(voter[i]), []).append(({int(a[i]), int(b[i])}, u, w))
    above = below = 0.0
    for votes_of_voter in kept.values():
        q = 1 / (1 + sum(w for _, _, w in votes_of_voter))
        pairs = [(x, y) for x in votes_of_voter for y in votes_of_voter if not x[0] & y[0]]
        above += q * sum(x[1] * y[1] for x, y in pairs)
        below += q * sum(x[2] * y[2] for x, y in pairs)
    found = decided_votes(voter, a, b, outcome, difference).sharpness()
    assert found == pytest.approx(np.sqrt(max(above, 0.0) / below), rel=1e-9, abs=1e-9)
    columns = (voter, a, b, outcome, difference)
    cells = shared_cells(number_groups(voter), a, b)
    given = decided_votes(*columns, cells)
    assert given.sharpness() == pytest.approx(found, rel=1e-9, abs=1e-9)
    assert estimate_taste(*columns, cells).sd == pytest.approx(estimate_taste(*columns).sd, rel=1e-9, abs=1e-9)
    order = np.argsort(voter, kind="stable")
    ordered = decided_votes(*(column[order] for column in (voter, a, b, outcome, difference))).sharpness()
    assert ordered == pytest.approx(found, rel=1e-9, abs=1e-9)
