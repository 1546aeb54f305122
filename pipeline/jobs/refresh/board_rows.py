"""Rates a view, rounds the board as it is published, and builds the rows of the snapshot."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.ledger.published_views import counts_digest
from pipeline.ratings import Leaderboard, PairCounts, compute_leaderboard, select_rated_models
from pipeline.ratings.rated_models import PUBLISHED_SHARE, explain_unregistered, rated_share
from pipeline.settings import Settings

# Decimals of the share of votes among rated models.
_SHARE_DIGITS = 6
_COLUMNS = ("rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes")


def rate_view(
    counts: PairCounts, options: Settings, waiting: Mapping[str, int] | None = None, *, tie_only: bool = True
) -> Leaderboard:
    """Rate the votes of a view, and round the board as it is published.

    Args:
        counts: the votes of the view.
        options: the settings.
        waiting: unregistered model → number of its votes, which are not in `counts`. The board names these models as
            unrated. None if there are no such models.
        tie_only: whether to widen the standard errors of models that have neither won nor lost a vote.

    Returns:
        The rounded board, best model first.

    Raises:
        RatingError: the models cannot be compared (largest component too small), or the fit does not converge.
    """
    anchor, share = rating_options(counts, options)
    board = compute_leaderboard(counts, anchor=anchor, least_share=share, tie_only=tie_only).rounded()
    return replace(board, unrated=explain_unregistered(board.unrated, waiting or {}))


def rating_options(counts: PairCounts, options: Settings) -> tuple[tuple[str, float] | None, float]:
    """Return the anchor and the least share of votes with which a view is rated.

    Returns:
        Two values. The first is the anchor (model, points), None if the settings name none or its model is not rated.
        The second is the smallest share of the votes, from 0 to 1, that must be between rated models.
    """
    return _anchor(counts, options), min(options.least_share, PUBLISHED_SHARE)


def _anchor(counts: PairCounts, options: Settings) -> tuple[str, float] | None:
    """Return the anchor (model, rating) of the settings, if the model is rated in these counts.

    Otherwise return None, and the board gets the mean 1000.
    """
    anchor = options.anchor_points
    if anchor is None or anchor[0] not in counts.models:
        return None
    rated, _ = select_rated_models(counts, least_share=min(options.least_share, PUBLISHED_SHARE))
    return anchor if anchor[0] in rated.models else None


def board_rows(shown: Leaderboard) -> list[dict[str, Any]]:
    """Convert a board to the rows of a snapshot, sorted by the name of the model.

    Returns:
        {"model", "rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes"} of each model.
    """
    rows = [
        {"model": model} | {name: getattr(shown, name)[i].item() for name in _COLUMNS}
        for i, model in enumerate(shown.models)
    ]
    return sort_rows(rows)


def sort_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort rows by the name of the model. The digest of a view is computed over the rows in this order."""
    return sorted(rows, key=lambda row: str(row["model"]))


def fit_summary(shown: Leaderboard, counts: PairCounts | None = None) -> dict[str, Any]:
    """Return the fields by which the body of a snapshot describes the fit of a view.

    Args:
        shown: the board of the view.
        counts: the votes of the view; None to leave out the fields about votes.

    Returns:
        About the fit: {"models", "gradient_norm", "iterations", "converged", "unrated"}. About the votes: {"votes",
        "counts_sha256", "rated_share"}. "rated_share" is the share of the votes, from 0 to 1, that are between models
        that can be rated.
    """
    counted: dict[str, Any] = {}
    if counts is not None:
        share = round(rated_share(counts), _SHARE_DIGITS)
        counted = {"votes": counts.total, "counts_sha256": counts_digest(counts), "rated_share": share}
    return {
        **counted,
        "models": len(shown.models),
        "gradient_norm": float(shown.gradient_norm),
        "iterations": int(shown.iterations),
        "converged": bool(shown.converged),
        "unrated": [{"model": u.model, "reason": u.reason} for u in shown.unrated],
    }
