"""Rates the view `style`, which corrects the ratings for the length and markup of the answers.

The view rates the defended votes that have style counts. It is published if there are such votes and the fit converges.
Otherwise the snapshot states the reason, and the other two views are published without it. The fit reads all votes with
style counts, not only the new ones; 2 million votes take about a second.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import RatingError
from pipeline.ratings import (
    STYLE_FEATURES,
    Leaderboard,
    PairCounts,
    StyleFit,
    assemble_leaderboard,
    fit_style,
    select_rated_models,
    style_contrast,
    wald_intervals,
    with_tie_only_variance,
)
from pipeline.settings import Settings
from pipeline.store.log.sealed_styles import StyledVotes

# Decimals of a published coefficient: the last bits of a float may differ between machines.
_DIGITS = 6


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
    votes: StyledVotes, numbers: dict[int, str], options: Settings, *, tie_only: bool = True
) -> StyleView:
    """Rate the view under style control.

    Args:
        votes: the votes of the view: those with style counts that are not excluded.
        numbers: model number (model_no) → name of the model.
        options: the settings.
        tie_only: whether to widen the standard errors of models that have neither won nor lost a vote.

    Returns:
        The board with the coefficients, or the reason why there is no board. No error is raised if the votes cannot be
        rated.
    """
    if not len(votes):
        return StyleView(None, [], 0, "no counted vote has style counts of both answers")
    axis = sorted(numbers)
    place = np.zeros(axis[-1] + 1, dtype=np.int64)
    place[axis] = np.arange(len(axis))
    labels = tuple(numbers[number] for number in axis)
    try:
        return _view(labels, place[votes.model_a], place[votes.model_b], votes, options, tie_only)
    except RatingError as error:
        return StyleView(None, [], len(votes), str(error))


def _view(labels: tuple[str, ...], a: Any, b: Any, votes: StyledVotes, options: Settings, tie_only: bool) -> StyleView:
    counts = PairCounts.from_codes(labels, a, b, votes.outcome)
    rated, unrated = select_rated_models(counts, least_share=options.least_share)
    code = {name: number for number, name in enumerate(rated.models)}
    moved = np.array([code.get(name, -1) for name in labels])
    rows = (moved[a] >= 0) & (moved[b] >= 0)
    half = len(STYLE_FEATURES)
    of_a, of_b = votes.style[rows, :half], votes.style[rows, half:]
    z = style_contrast(list(of_a.T), list(of_b.T), STYLE_FEATURES)
    varies = (z != 0).any(axis=0)
    if not varies.any():
        return StyleView(None, [], len(votes), "every vote has the same style counts on both sides")
    names = tuple(np.array(STYLE_FEATURES)[varies].tolist())
    found = fit_style(rated.models, moved[a[rows]], moved[b[rows]], votes.outcome[rows], z[:, varies], features=names)
    left, right = moved[a[rows]], moved[b[rows]]
    shown = found.ratings
    if tie_only:
        shown = with_tie_only_variance(shown, PairCounts.from_codes(rated.models, left, right, votes.outcome[rows]))
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
