"""Proof 1 of 3: published examples.

Both are in Agresti (2002), Categorical Data Analysis, 2nd ed., and in Turner & Firth (2012), "Bradley-Terry
Models in R: The BradleyTerry2 Package", J. Stat. Software 48(9); the figures are those that package prints
(its reference outputs tests/baseball.Rout.save and tests/BTabilities.Rout.save). They are maximum-likelihood
estimates with model-based standard errors, hence the inverse information and not the sandwich.
"""

import numpy as np
import pytest

from pipeline.ratings import Fit, PairCounts, fit, fit_matrix

# Agresti table 10.10: American League East 1987, wins of the row over the column.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ]
)
# Estimate and standard error against Baltimore.
BASEBALL_FIT = {
    "Boston": (1.1077, 0.3339),
    "Cleveland": (0.6839, 0.3319),
    "Detroit": (1.4364, 0.3396),
    "Milwaukee": (1.5814, 0.3433),
    "New York": (1.2476, 0.3359),
    "Toronto": (1.2945, 0.3367),
}

# Stigler (1994), Statistical Science 9: citations of the row by the column, own citations left out.
JOURNALS = ("Biometrika", "Comm Statist", "JASA", "JRSS-B")
CITATIONS = np.array([[0, 730, 498, 221], [33, 0, 68, 17], [320, 813, 0, 142], [284, 276, 325, 0]])
MEAN_ZERO = (0.7899221, -2.1591504, 0.3103523, 1.0588761)
MEAN_ZERO_SE = (0.04333047, 0.07257974, 0.04164102, 0.05304699)
AGAINST_BIOMETRIKA = (0.0, -2.9490725, -0.4795698, 0.2689541)
AGAINST_BIOMETRIKA_SE = (0.0, 0.10254534, 0.06058873, 0.07082997)


def _counts(names: tuple[str, ...], wins: np.ndarray) -> PairCounts:
    a, b = np.triu_indices(len(names), 1)
    none = np.zeros_like(a)
    return PairCounts.from_rows(names, a, b, np.stack([wins[a, b], wins[b, a], none, none], axis=1))


def _inverse(fitted: Fit) -> np.ndarray:
    return np.linalg.pinv(fitted.hessian, rtol=1e-10, hermitian=True)


def _against(fitted: Fit, reference: int) -> tuple[np.ndarray, np.ndarray]:
    inverse = _inverse(fitted)
    variance = np.diag(inverse) + inverse[reference, reference] - 2 * inverse[reference]
    return fitted.theta - fitted.theta[reference], np.sqrt(np.maximum(variance, 0))


def test_baseball_1987() -> None:
    theta, se = _against(fit(_counts(TEAMS, BASEBALL)), TEAMS.index("Baltimore"))
    for team, (estimate, error) in BASEBALL_FIT.items():
        assert theta[TEAMS.index(team)] == pytest.approx(estimate, abs=5.1e-5)
        assert se[TEAMS.index(team)] == pytest.approx(error, abs=5.1e-5)


def test_journal_citations_in_the_mean_zero_gauge() -> None:
    fitted = fit(_counts(JOURNALS, CITATIONS))
    assert fitted.theta == pytest.approx(MEAN_ZERO, abs=1e-7)
    assert np.sqrt(np.diag(_inverse(fitted))) == pytest.approx(MEAN_ZERO_SE, abs=1e-8)


def test_journal_citations_against_one_journal() -> None:
    theta, se = _against(fit_matrix(CITATIONS, names=JOURNALS), 0)
    assert theta == pytest.approx(AGAINST_BIOMETRIKA, abs=1e-7)
    assert se == pytest.approx(AGAINST_BIOMETRIKA_SE, abs=2e-8)
