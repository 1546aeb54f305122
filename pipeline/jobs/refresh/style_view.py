"""Rates the view `style`, which corrects the ratings for the length and markup of the answers.

The view rates the defended votes that have style counts. It is published if there are such votes and the fit converges.
Otherwise the snapshot states the reason, and the other two views are published without it. The fit reads all votes with
style counts, not only the new ones; 2 million votes take about a second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.compute.open_runner import open_runner
from pipeline.compute.runner import Runner
from pipeline.compute.style_counts import StyleCounts, count_styled
from pipeline.compute.style_sums import FittedAxis, StyleSums
from pipeline.errors import RatingError
from pipeline.jobs.refresh.model_axis import ModelAxis
from pipeline.ratings import (
    POINTS_PER_LOGIT,
    STYLE_FEATURES,
    Leaderboard,
    PairCounts,
    StyleFit,
    assemble_leaderboard,
    select_rated_models,
    wald_intervals,
    with_tie_only_variance,
)
from pipeline.ratings.style_control import StyleStart, fit_style_sums
from pipeline.settings import Settings
from pipeline.store.boards import snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.log.sealed_styles import StyledLog
from pipeline.vocabulary.arrays import Int64

# Decimals of a published coefficient: the last bits of a float may differ between machines.
_DIGITS = 6
_NO_VOTES = "no counted vote has style counts of both answers"


@dataclass(frozen=True, slots=True, eq=False)
class StyleView:
    """The board under style control, or the reason why there is none.

    Attributes:
        board: the board, rounded as it is published; None if there is none.
        coefficients: {"feature", "coefficient", "lower", "upper"} of each style feature, in logits per standard
            deviation of the feature; empty without a board.
        votes: number of votes with style counts.
        reason: why there is no board; empty if there is one.
    """

    board: Leaderboard | None
    coefficients: list[dict[str, Any]]
    votes: int
    reason: str


def rate_style_view(
    votes: StyledLog,
    numbers: dict[int, str],
    options: Settings,
    *,
    tie_only: bool = True,
    before: Mapping[str, Any] | None = None,
    runner: Runner | None = None,
) -> StyleView:
    """Rate the view under style control.

    Args:
        votes: the votes of the view: those with style counts that are not excluded.
        numbers: model number (model_no) → name of the model.
        options: the settings.
        tie_only: whether to widen the standard errors of models that have neither won nor lost a vote.
        before: an earlier view, from which the fit starts: {"coefficients", "ratings"}. "coefficients" is as in
            `StyleView`, "ratings" is name of a model → its points. None to start from a fit without style.
        runner: the engine that reads the votes; None for the engine that the settings name.

    Returns:
        The board with the coefficients, or the reason why there is no board. If the votes cannot be rated, no error is
        raised.
    """
    if not len(votes):
        return StyleView(None, [], 0, _NO_VOTES)
    if runner is None:
        with open_runner(options.engine) as opened:
            return _rate(_Fit(votes, ModelAxis(numbers), options, opened, tie_only), before)
    return _rate(_Fit(votes, ModelAxis(numbers), options, runner, tie_only), before)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    votes: StyledLog
    axis: ModelAxis
    options: Settings
    runner: Runner
    tie_only: bool


def _rate(given: _Fit, before: Mapping[str, Any] | None) -> StyleView:
    labels = given.axis.labels
    counted = count_styled(given.votes, given.axis.positions, len(labels), given.runner)
    counts = counted.pair_counts(labels)
    if not counts.total:
        return StyleView(None, [], 0, _NO_VOTES)
    try:
        return _view(given, counted, counts, before)
    except RatingError as error:
        return StyleView(None, [], counts.total, str(error))


def _view(given: _Fit, counted: StyleCounts, counts: PairCounts, before: Mapping[str, Any] | None) -> StyleView:
    options, labels = given.options, given.axis.labels
    rated, unrated = select_rated_models(counts, least_share=options.least_share)
    kept = np.flatnonzero(np.isin(labels, rated.models))
    squares = counted.squares_of(kept, len(labels))
    if not squares.any():
        return StyleView(None, [], counts.total, "every vote has the same style counts on both sides")
    fitted = FittedAxis(_place(given.axis, kept), len(kept), tuple(np.flatnonzero(squares).tolist()))
    names = tuple(STYLE_FEATURES[at] for at in fitted.features)
    sums = StyleSums(given.votes, rated, squares[list(fitted.features)], fitted, given.runner)
    found = fit_style_sums(sums, rated, features=names, start=_start(before, rated.models, names))
    shown = with_tie_only_variance(found.ratings, rated) if given.tie_only else found.ratings
    battles = dict(zip(labels, counts.battles_per_model().tolist(), strict=True))
    anchor = options.anchor_points
    board = assemble_leaderboard(
        rated.models,
        shown,
        wald_intervals(shown),
        votes=np.array([battles[name] for name in rated.models], dtype=np.int64),
        anchor=anchor if anchor and anchor[0] in rated.models else None,
        unrated=unrated,
    )
    return StyleView(board.rounded(), _coefficients(found), counts.total, "")


def _place(axis: ModelAxis, kept: Int64) -> Int64:
    """Return an int64 array whose element i is the code of the model with the number i (model_no), −1 for no code.

    The models at the positions `kept` of the axis have the codes 0, 1, 2 …; other models have none.
    """
    code = np.full(len(axis.labels), -1, dtype=np.int64)
    code[kept] = np.arange(len(kept))
    return np.asarray(code[axis.positions])


def _start(before: Mapping[str, Any] | None, models: Sequence[str], features: Sequence[str]) -> StyleStart | None:
    """Return where the fit starts, according to the earlier view `before`.

    The result is None without an earlier view, and also if the earlier view has other features or none of `models`.
    """
    if before is None or [row["feature"] for row in before["coefficients"]] != list(features):
        return None
    theta = np.array([before["ratings"].get(model, np.nan) for model in models]) / POINTS_PER_LOGIT
    if np.isnan(theta).all():
        return None
    return StyleStart(theta, np.array([row["coefficient"] for row in before["coefficients"]]))


def published_view(connection: Connection, snapshot: PublishedSnapshot | None) -> dict[str, Any] | None:
    """Return the view `style` of a snapshot, as the argument `before` of `rate_style_view`; None if there is none."""
    if snapshot is None or "style" not in snapshot.body["views"]:
        return None
    rows = snapshots.read_rows(connection, snapshot.snapshot_id, "style")
    ratings = {row["model"]: row["rating"] for row in rows}
    return {"coefficients": snapshot.body["style"]["coefficients"], "ratings": ratings}


def _coefficients(found: StyleFit) -> list[dict[str, Any]]:
    low, high = found.coefficient_intervals()
    columns = np.round([found.coefficients, low, high], _DIGITS).T.tolist()
    names = ("feature", "coefficient", "lower", "upper")
    return [dict(zip(names, (name, *row), strict=True)) for name, row in zip(found.features, columns, strict=True)]


def same_coefficients(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Return whether two lists of style coefficients are equal up to 1.5 units of the last published decimal."""
    if [row["feature"] for row in one] != [row["feature"] for row in other]:
        return False
    pairs = zip(one, other, strict=True)
    return all(abs(a[k] - b[k]) <= 1.5 * 10**-_DIGITS for a, b in pairs for k in ("coefficient", "lower", "upper"))
