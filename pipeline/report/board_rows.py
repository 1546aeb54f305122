"""Makes the rows of the board of a report, and counts the neighbours that differ by more than chance."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from pipeline.report.report_board import ReportBoard

_WAYS = ("", "each", "jointly")


def board_rows(board: ReportBoard) -> list[dict[str, Any]]:
    """Return one dictionary for each model, best first.

    "separated_from_next" states whether the model and the next one differ by more than chance: "jointly" if they do
    when all pairs of models are tested together, "each" if they do only when this pair is tested alone, otherwise "".
    The value is None for the last model.
    """
    shown, joint = board.leaderboard.rounded(), board.leaderboard.joint
    assert joint is not None  # noqa: S101  # `rate_report_votes` computes it
    columns = {
        "rating": shown.rating, "se": shown.se, "lower": shown.lower, "upper": shown.upper, "rank": shown.rank,
        "rank_best": shown.rank_best, "rank_worst": shown.rank_worst, "rank_best_joint": joint.best,
        "rank_worst_joint": joint.worst, "votes": shown.votes,
    }  # fmt: skip
    lists = {name: values.tolist() for name, values in columns.items()}
    ways = [*_separations(board, joint.critical), None]
    return [
        {"model": model, **{name: values[k] for name, values in lists.items()}, "separated_from_next": ways[k]}
        for k, model in enumerate(shown.models)
    ]


def _separations(board: ReportBoard, critical: float) -> list[str]:
    order = board.order
    theta, V = board.clustered.theta[order], board.clustered.covariance[np.ix_(order, order)]
    variance = np.diag(V)[:-1] + np.diag(V)[1:] - 2 * np.diag(V, 1)
    se = np.sqrt(np.maximum(variance, 0.0))
    z = np.divide(theta[:-1] - theta[1:], se, out=np.zeros(len(se)), where=se > 0)
    alone = float(ndtri((1 + board.level) / 2))
    return [_WAYS[k] for k in ((z > alone).astype(int) + (z > critical)).tolist()]


def count_separated(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Count the pairs of neighbours on the board, and the pairs among them that differ by more than chance.

    Args:
        rows: the rows of the board, from `board_rows`.

    Returns:
        {"neighbours", "each", "jointly"}: the number of pairs of neighbours; the number of them that differ by more
        than chance if each pair is tested alone; and the number if all pairs are tested together.
    """
    ways = [row["separated_from_next"] for row in rows[:-1]]
    jointly = ways.count("jointly")
    return {"neighbours": len(ways), "each": ways.count("each") + jointly, "jointly": jointly}
