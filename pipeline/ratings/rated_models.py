"""Selects the models that can be rated together, and states why the others are not rated.

Law: the strongly connected component with most votes is rated if it has at least `least_share` of all votes, and every
other model is listed with its reason; below that share nothing is rated. Why: a model that lost its only three votes
must not block the board (an attacker could add many), but a board that falls apart must not be published.

Not handled: whether the fit converges (`bradley_terry.fit`).
"""

from dataclasses import dataclass

import numpy as np

from ..vocabulary.arrays import Int64
from .pair_counts import PairCounts
from .win_graph import disconnected_error, largest_component, strong_components


@dataclass(frozen=True, slots=True)
class UnratedModel:
    """A model without a rating, and the reason as a sentence."""

    model: str
    reason: str


def select_rated_models(
    counts: PairCounts, *, least_share: float = 0.95
) -> tuple[PairCounts, tuple[UnratedModel, ...]]:
    """Return the votes between the models of the largest strongly connected component, and the models left out.

    Args:
        counts: all votes of the view.
        least_share: the least share of all votes that must be between these models.

    Returns:
        The counts between the models kept, and the models left out, in the order of `counts.models`.

    Raises:
        BadCounts: there are no votes.
        Disconnected: the component has less than `least_share` of the votes.
    """
    W = counts.win_matrix()
    members, share = largest_component(W)
    if share < least_share:
        expected = f"expected a component with at least {least_share:.1%} of the votes, the largest has {share:.1%}"
        raise disconnected_error(strong_components(W), counts.models, expected)
    return counts.subset(members), _left_out(counts, members)


def _left_out(counts: PairCounts, members: Int64) -> tuple[UnratedModel, ...]:
    W = counts.win_matrix()
    won, lost = W[:, members].sum(axis=1), W[members, :].sum(axis=0)
    battles = counts.battles_per_model()
    outside = np.setdiff1d(np.arange(len(counts.models)), members)
    return tuple(
        UnratedModel(counts.models[i], _reason(int(won[i]), int(lost[i]), int(battles[i]))) for i in outside.tolist()
    )


def _reason(won: int, lost: int, battles: int) -> str:
    # A model that won and lost, or tied, against the component would be a part of it.
    if battles == 0:
        return "No counted vote yet."
    if won == 0 and lost == 0:
        return f"Not rated: it never met a rated model ({_votes(battles)})."
    if won == 0:
        return f"It lost all of its {_votes(lost)} against rated models; a rating needs a win or a tie."
    return f"It won all of its {_votes(won)} against rated models; a rating needs a loss or a tie."


def _votes(count: int) -> str:
    return f"{count} vote" if count == 1 else f"{count} votes"
