"""Compares the order of a board with the order of another fit of the same models.

A pair of models counts as reversed if two conditions hold. The votes separate the two models when all pairs are tested
together, and the other fit orders them the other way round. Other pairs may change places in any fit, so they are not
counted.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from pipeline.report.report_board import ReportBoard
from pipeline.vocabulary.arrays import Bool, Float64


def difference_errors(covariance: Float64) -> Float64:
    """Return float64[K, K], the standard errors of θ_i − θ_j from the covariance of θ."""
    variance = np.diag(covariance)[:, None] + np.diag(covariance)[None, :] - 2 * covariance
    result: Float64 = np.sqrt(np.maximum(variance, 0.0))
    return result


def separated_pairs(board: ReportBoard) -> Bool:
    """Return bool[R, R], true if the votes place model i above model j when all pairs are tested together.

    The test uses the critical value of the joint rank sets (`pipeline.ratings.rank_sets`).
    """
    joint = board.leaderboard.joint
    critical = np.inf if joint is None else joint.critical
    theta, se = board.clustered.theta, difference_errors(board.clustered.covariance)
    return np.asarray((theta[:, None] - theta[None, :] > critical * se) & (se > 0))


def reversed_pairs(board: ReportBoard, theta: Float64) -> list[tuple[str, str]]:
    """Return the pairs (above, below) of the board that another fit orders the other way round.

    A pair counts only if the ratings of the two models on the board differ significantly, in a joint test of all pairs.

    Args:
        board: the board.
        theta: float64[R], the strengths of the other fit.
    """
    names = board.counts.models
    found = np.argwhere(separated_pairs(board) & (theta[:, None] <= theta[None, :]))
    return [(names[i], names[j]) for i, j in found.tolist()]


def moved_models(board: ReportBoard, theta: Float64) -> int:
    """Return how many places of the order hold another model if the models are sorted by another fit.

    Args:
        board: the board.
        theta: float64[R], the strengths of the other fit.
    """
    before, after = (np.argsort(-values, kind="stable") for values in (board.fitted.theta, theta))
    return int((before != after).sum())


def kendall_tau(first: Float64, second: Float64) -> float | None:
    """Return Kendall's τ-b of two orders of the same models: 1 for the same order, −1 for the reverse.

    Args:
        first, second: float64[R], the models' strengths in each order.

    Returns:
        τ-b; None if all models of an order are equal, so that it is not defined.
    """
    found = float(kendalltau(first, second).statistic)
    return found if np.isfinite(found) else None


def name_pairs(pairs: list[tuple[str, str]], most: int = 3) -> str:
    """Return the first `most` pairs as text, such as "a above b, c above d, …"."""
    return ", ".join(f"{i} above {j}" for i, j in pairs[:most]) + (", …" if len(pairs) > most else "")
