"""The tie models against a published example, closed forms and a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pipeline.errors import BadCounts
from pipeline.ratings import PairCounts, fit
from pipeline.ratings.tie_models import fit_davidson, fit_rao_kupper

# Davidson 1970, example 2: six brands of chocolate pudding; i, j, preferred i, preferred j, no preference.
PUDDING = np.array(
    [
        *[[1, 2, 19, 22, 16], [1, 3, 16, 19, 12], [2, 3, 19, 19, 10], [1, 4, 18, 23, 13], [2, 4, 23, 19, 9]],
        *[[3, 4, 19, 20, 15], [1, 5, 13, 19, 18], [2, 5, 16, 20, 12], [3, 5, 16, 15, 17], [4, 5, 17, 14, 16]],
        *[[1, 6, 18, 21, 12], [2, 6, 22, 20, 12], [3, 6, 13, 18, 10], [4, 6, 14, 19, 18], [5, 6, 11, 21, 12]],
    ]
)


def _counts(rows: np.ndarray, models: int) -> PairCounts:
    table = np.column_stack([rows[:, 2:5], np.zeros(len(rows), dtype=np.int64)])
    return PairCounts.from_rows(tuple(f"m{k}" for k in range(models)), rows[:, 0], rows[:, 1], table)


def _pudding() -> PairCounts:
    rows = PUDDING.copy()
    rows[:, :2] -= 1
    return _counts(rows, 6)


def test_davidson_equals_the_published_pudding_example() -> None:
    # Log worths relative to brand 1 and ν, as published for this data (Turner et al. 2020, PlackettLuce, section 2.1).
    counts = _pudding()
    found = fit_davidson(counts, fit(counts).theta)
    assert found.theta - found.theta[0] == pytest.approx([0, 0.2202, 0.1530, 0.1753, 0.1339, 0.3771], abs=2e-4)
    assert np.exp(found.phi) == pytest.approx(0.7468, abs=2e-4)
    assert np.sqrt(found.covariance()[-1, -1]) == pytest.approx(0.0825, abs=1e-4)


@pytest.mark.parametrize(("won", "lost", "tied"), [(30, 10, 20), (5, 5, 1), (1, 400, 99)])
def test_two_models_have_a_closed_form(won: int, lost: int, tied: int) -> None:
    counts = _counts(np.array([[0, 1, won, lost, tied]]), 2)
    total, start = won + lost + tied, fit(counts).theta
    rao = fit_rao_kupper(counts, start)
    # The two probabilities of a win determine d and φ.
    logit_won, logit_lost = np.log(won / (lost + tied)), np.log(lost / (won + tied))
    assert rao.theta[0] - rao.theta[1] == pytest.approx((logit_won - logit_lost) / 2, abs=1e-8)
    assert rao.phi == pytest.approx(-(logit_won + logit_lost) / 2, abs=1e-8)
    davidson = fit_davidson(counts, start)
    assert davidson.theta[0] - davidson.theta[1] == pytest.approx(np.log(won / lost), abs=1e-8)
    assert davidson.phi == pytest.approx(np.log(tied / np.sqrt(won * lost)), abs=1e-8)
    assert total == counts.total


def _slow(rows: np.ndarray, models: int, davidson: bool) -> tuple[np.ndarray, float]:
    """Maximise the likelihood as the papers write it, row by row, with a general optimiser."""

    def loss(x: np.ndarray) -> float:
        worth, extra, total = np.exp(x[:models]), np.exp(x[models]), 0.0
        for i, j, won, lost, tied in rows.tolist():
            a, b = worth[i], worth[j]
            if davidson:
                all_three = a + b + extra * np.sqrt(a * b)
                p, q, t = a / all_three, b / all_three, extra * np.sqrt(a * b) / all_three
            else:
                limit = 1 + extra
                p, q = a / (a + limit * b), b / (b + limit * a)
                t = a * b * (limit**2 - 1) / ((a + limit * b) * (b + limit * a))
            total -= won * np.log(p) + lost * np.log(q) + tied * np.log(t)
        return total + x[:models].sum() ** 2

    x = minimize(loss, np.zeros(models + 1), method="BFGS", options={"gtol": 1e-8}).x
    return x[:models] - x[:models].mean(), x[models] if davidson else np.log1p(np.exp(x[models]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.integers(1, 40)] * 3), min_size=6, max_size=6))
def test_the_fits_equal_a_slow_reference(cells: list[tuple[int, int, int]]) -> None:
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    rows = np.array([[*pair, *cell] for pair, cell in zip(pairs, cells, strict=True)])
    counts = _counts(rows, 4)
    start = fit(counts).theta
    for fitted, davidson in ((fit_rao_kupper(counts, start), False), (fit_davidson(counts, start), True)):
        theta, phi = _slow(rows, 4, davidson)
        assert fitted.theta == pytest.approx(theta, abs=2e-4)
        assert fitted.phi == pytest.approx(phi, abs=2e-4)


def test_votes_without_a_tie_have_no_tie_parameter() -> None:
    counts = _counts(np.array([[0, 1, 3, 4, 0]]), 2)
    with pytest.raises(BadCounts, match="expected ties"):
        fit_davidson(counts, np.zeros(2))
