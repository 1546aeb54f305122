"""Bootstrap: a published example, the golden standard errors, laws, and a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings

from pipeline.errors import BadCounts, Disconnected
from pipeline.ratings import POINTS_PER_LOGIT, PairCounts, fit, fit_matrix
from pipeline.ratings.bootstrap import _logistic, bootstrap_ratings
from tests.unit.ratings.strategies import NAMES, connected
from tests.unit.ratings.test_ratings_published import BASEBALL, BASEBALL_FIT, TEAMS


def test_baseball_1987_has_the_published_standard_errors() -> None:
    a, b = np.triu_indices(len(TEAMS), 1)
    none = np.zeros_like(a)
    counts = PairCounts.from_rows(TEAMS, a, b, np.stack([BASEBALL[a, b], BASEBALL[b, a], none, none], axis=1))
    drawn = bootstrap_ratings(counts, fit(counts), 2000, seed=1).theta
    against = drawn - drawn[:, [TEAMS.index("Baltimore")]]
    for team, (_, error) in BASEBALL_FIT.items():
        # 2,000 rounds: 1.6% of Monte Carlo error; 13 games a pair, so resampling is not quite the information.
        assert against[:, TEAMS.index(team)].std() == pytest.approx(error, rel=0.15)


def test_standard_errors_on_the_real_counts_are_the_golden_ones(real: PairCounts, golden) -> None:
    found = bootstrap_ratings(real, fit(real), 400, seed=0)
    expected = np.array([float(golden[m]["sandwich_se_mean_zero_gauge"]) for m in real.models])
    ratio = found.theta.std(axis=0) * POINTS_PER_LOGIT / expected
    # 400 rounds: 3.5% of Monte Carlo error each, 129 of them.
    assert 0.87 <= ratio.min() <= ratio.max() <= 1.13
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    assert (found.redrawn, found.newton_rounds) == (0, 0)


def test_rounds_are_the_exact_fits_of_their_votes(real: PairCounts) -> None:
    small = real.subset(np.argsort(real.battles_per_model())[:40])
    kept = small.subset(_component(small))
    fitted = fit(kept)
    found = bootstrap_ratings(kept, fitted, 3, seed=5)
    for theta, stream in zip(found.theta, np.random.SeedSequence(5).spawn(3), strict=True):
        assert theta == pytest.approx(_drawn_again(kept, stream), abs=1e-6)


def _component(counts: PairCounts) -> np.ndarray:
    from pipeline.ratings import largest_component

    return largest_component(counts.win_matrix())[0]


def _drawn_again(counts: PairCounts, stream: np.random.SeedSequence) -> np.ndarray:
    """The same draw, fitted by Newton from nothing."""
    cells = np.concatenate([counts.wins_a, counts.wins_b, counts.ties + counts.both_bad])
    won, lost, tied = np.random.default_rng(stream).multinomial(cells.sum(), cells / cells.sum()).reshape(3, -1)
    W, T = np.zeros((2, len(counts.models), len(counts.models)))
    W[counts.a, counts.b], W[counts.b, counts.a] = won, lost
    T[counts.a, counts.b] = T[counts.b, counts.a] = tied
    return fit_matrix(W, T).theta


@settings(max_examples=25, deadline=None)
@given(connected(8))
def test_any_counts_give_finite_rounds_or_name_the_disconnected_models(counts: PairCounts) -> None:
    try:
        found = bootstrap_ratings(counts, fit(counts), 20, seed=2)
    except Disconnected as error:
        assert any(name in str(error) for name in counts.models)
        return
    assert np.isfinite(found.theta).all()
    assert found.theta.mean(axis=1) == pytest.approx(0, abs=1e-9)
    low, high = found.percentile_bounds(0.9)
    assert (low <= high).all()


@pytest.mark.long
@settings(max_examples=25, deadline=None)
@given(connected(30))
def test_k_times_the_votes_shrink_the_spread_by_root_k(counts: PairCounts) -> None:
    many = PairCounts.from_rows(counts.models, counts.a, counts.b, counts.table() * 400)
    more = PairCounts.from_rows(counts.models, counts.a, counts.b, counts.table() * 1600)
    one, other = (bootstrap_ratings(c, fit(c), 300, seed=4).covariance().diagonal() for c in (many, more))
    assert np.sqrt(one.sum() / other.sum()) == pytest.approx(2, rel=0.2)


def test_the_spread_is_that_of_the_sandwich_whatever_the_models_are_called(small) -> None:
    fitted = fit(small.counts)
    place = np.array([3, 0, 5, 1, 2, 4])
    moved = PairCounts.from_rows(
        [small.models[k] for k in np.argsort(place)],
        place[small.counts.a],
        place[small.counts.b],
        small.counts.table(),
    )
    for counts, order in ((small.counts, np.arange(6)), (moved, place)):
        spread = bootstrap_ratings(counts, fit(counts), 1500, seed=9).theta.std(axis=0)[order]
        assert spread == pytest.approx(np.sqrt(np.diag(fitted.covariance)), rel=0.08)


def test_the_same_seed_gives_the_same_rounds_and_a_longer_run_begins_with_them(small) -> None:
    fitted = fit(small.counts)
    one, again, longer = (bootstrap_ratings(small.counts, fitted, n, seed=7).theta for n in (10, 10, 90))
    assert one.tolist() == again.tolist()
    assert longer[:10] == pytest.approx(one, abs=1e-9)
    assert bootstrap_ratings(small.counts, fitted, 10, seed=8).theta.tolist() != one.tolist()


def test_rounds_that_chord_newton_does_not_finish_are_fitted_by_full_newton(
    small, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit(small.counts)
    settled = bootstrap_ratings(small.counts, fitted, 12, seed=3)
    monkeypatch.setattr("pipeline.ratings.bootstrap._CHORD_STEPS", 1)
    finished = bootstrap_ratings(small.counts, fitted, 12, seed=3)
    assert (settled.newton_rounds, finished.newton_rounds) == (0, 12)
    assert finished.theta == pytest.approx(settled.theta, abs=1e-6)


def test_reweighted_rounds_spread_around_the_reweighted_fit(small) -> None:
    fitted = fit(small.counts, reweight=20)
    found = bootstrap_ratings(small.counts, fitted, 800, seed=1, reweight=20)
    assert found.theta.mean(axis=0) == pytest.approx(fitted.theta, abs=0.02)
    assert found.theta.std(axis=0) == pytest.approx(np.sqrt(np.diag(fitted.covariance)), rel=0.1)


def test_a_model_with_one_win_is_named() -> None:
    counts = PairCounts.from_rows(NAMES[:3], [0, 1], [1, 2], [[50, 50, 0, 0], [30, 1, 0, 0]])
    with pytest.raises(Disconnected, match=r"cat had no win .* use the sandwich"):
        bootstrap_ratings(counts, fit(counts), 100)


def test_a_rare_round_without_an_estimate_is_drawn_again_and_counted() -> None:
    counts = PairCounts.from_rows(NAMES[:3], [0, 1], [1, 2], [[50, 50, 0, 0], [30, 4, 0, 0]])
    found = bootstrap_ratings(counts, fit(counts), 200, seed=11)
    assert 1 <= found.redrawn <= 10
    assert np.isfinite(found.theta).all()


def test_bad_arguments_are_named(small) -> None:
    fitted = fit(small.counts)
    with pytest.raises(BadCounts, match="at least 2 rounds, got 1"):
        bootstrap_ratings(small.counts, fitted, 1)
    with pytest.raises(BadCounts, match="a fit of 2 models, got one of 6"):
        bootstrap_ratings(small.counts.subset([0, 1]), fitted, 10)
    with pytest.raises(BadCounts, match="level between 0 and 1"):
        bootstrap_ratings(small.counts, fitted, 10).percentile_bounds(1.5)


@pytest.mark.filterwarnings("error")
def test_the_logistic_function_overflows_nowhere() -> None:
    assert _logistic(np.array([-5000.0, -710.0, 0.0, 710.0])).tolist() == pytest.approx(
        [0.0, 0.0, 0.5, 1.0], abs=1e-300
    )
