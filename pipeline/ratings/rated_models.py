"""Which models a refresh can rate, and why the others wait.

Law: one model with three lost votes must not block the board (an attacker could place it at will), and a
board torn in pieces must not be published: the component with most votes is rated when it holds at least
`least_share` of them, every other model is named with its reason, and below that share nothing is rated.

Not handled: whether the fit then converges; `bradley_terry.fit` refuses that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..vocabulary.arrays import Int64
from .pair_counts import PairCounts
from .win_graph import disconnected_error, largest_component, strong_components


class UnratedModel(NamedTuple):
    """A model that has no rating, and why, in a plain sentence."""

    model: str
    reason: str


def select_rated_models(
    counts: PairCounts, *, least_share: float = 0.95
) -> tuple[PairCounts, tuple[UnratedModel, ...]]:
    """Keep the strongly connected component that holds most votes.

    Args:
        counts: all votes of the view.
        least_share: the least share of all votes that the component must hold.

    Returns:
        The counts among its models, and the models left out, in axis order.

    Raises:
        BadCounts: there are no votes.
        Disconnected: the component holds less than `least_share` of the votes.
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
    battles = counts.battles()
    outside = np.setdiff1d(np.arange(len(counts.models)), members)
    return tuple(
        UnratedModel(counts.models[i], _reason(int(won[i]), int(lost[i]), int(battles[i]))) for i in outside.tolist()
    )


def _reason(won: int, lost: int, battles: int) -> str:
    # Outside the component a model cannot have both won and lost against it, nor tied: it would be inside.
    if battles == 0:
        return "No counted vote yet."
    if won == 0 and lost == 0:
        return f"None of its {_votes(battles)} is a battle with a rated model."
    if won == 0:
        return f"It lost all of its {_votes(lost)} against rated models; a rating needs a win or a tie."
    return f"It won all of its {_votes(won)} against rated models; a rating needs a loss or a tie."


def _votes(count: int) -> str:
    return f"{count} vote" if count == 1 else f"{count} votes"
