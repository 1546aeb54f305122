"""Selects the models that can be rated together, and states why the others are not rated.

Models can be rated together if they are in one strongly connected component of the win digraph (`win_graph`). This
graph has an edge from i to j if model i won a vote against model j. The component with the most votes is rated if it
has at least `least_share` of all votes; below that share nothing is rated. Every model outside the component is listed
with the reason. A model with few votes, all of them lost, is outside the component. It must not block the board, since
an attacker could add many such models. A board without a component that has most of the votes must not be published.

Not handled: whether the fit converges (`bradley_terry.fit`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadCounts
from ..vocabulary.arrays import Int64
from .pair_counts import PairCounts
from .win_graph import components_of_pairs, disconnected_error, label_islands

PUBLISHED_SHARE = 0.5
"""A board is published only if its rated component has at least this share of the votes.

The alert `rated_share` has its own threshold, which is the setting INTEGRITY_LEAST_SHARE."""


@dataclass(frozen=True, slots=True)
class UnratedModel:
    """A model without a rating, and a sentence that states the reason."""

    model: str
    reason: str


def select_rated_models(
    counts: PairCounts, *, least_share: float = 0.95
) -> tuple[PairCounts, tuple[UnratedModel, ...]]:
    """Select the models of the largest strongly connected component, and count the votes between them.

    Args:
        counts: all votes.
        least_share: the least share of all votes that the component must have.

    Returns:
        Two values: the pair counts of the models in the component; and the models left out, with reasons, in the order
            of `counts.models`.

    Raises:
        BadCounts: there are no votes.
        Disconnected: the component has less than `least_share` of the votes.
    """
    parts, votes = _components(counts)
    share = int(votes[0]) / counts.total
    if share < least_share:
        expected = f"expected a component with at least {least_share:.1%} of the votes, the largest has {share:.1%}"
        raise disconnected_error(parts, counts.models, expected)
    return counts.subset(parts[0]), _left_out(counts, parts[0])


def explain_disconnection(counts: PairCounts) -> str:
    """Return a sentence that says why the models in `counts` cannot all be rated together.

    The cause is either that the models form islands that never met, or that some models only won or only lost. The
    sentence also has the number of votes in the largest component.

    Args:
        counts: votes whose models form several components.

    Raises:
        BadCounts: there are no votes.
    """
    _, votes = _components(counts)
    met = counts.battles_per_model() > 0
    islands = len(np.unique(label_islands(len(counts.models), counts.a, counts.b)[met]))
    cause = (
        f"they form {islands:,} islands that never met"
        if islands > 1
        else "some of them only won or only lost against the others"
    )
    do = "votes do" if counts.total > 1 else "vote does"
    return (
        f"{counts.total:,} {do} not connect {int(met.sum()):,} models: {cause}; the largest group that "
        f"can be rated has {int(votes[0]):,} of {counts.total:,} votes"
    )


def find_islands(counts: PairCounts, rated: Sequence[str]) -> list[tuple[tuple[str, ...], int]]:
    """Find the groups of unrated models that met one another but never met a rated model.

    Args:
        counts: all votes.
        rated: the rated models.

    Returns:
        A pair for each group, the one with the most votes first: its models, and the number of votes among them.
    """
    names = np.array(counts.models, dtype=object)
    label = label_islands(len(names), counts.a, counts.b)
    votes = np.bincount(label[counts.a], weights=counts.table().sum(axis=1), minlength=len(names)).astype(np.int64)
    apart = np.setdiff1d(np.flatnonzero(votes), label[np.isin(names, list(rated))])
    found = [(tuple(names[label == one].tolist()), int(votes[one])) for one in apart.tolist()]
    return sorted(found, key=lambda island: (-island[1], island[0]))


def explain_unregistered(unrated: Iterable[UnratedModel], waiting: Mapping[str, int]) -> tuple[UnratedModel, ...]:
    """Return the unrated models. For a model in `waiting`, the reason "Not registered …" replaces the given one.

    Args:
        unrated: models without a rating.
        waiting: name of an unregistered model → number of its votes, which are not counted until it is registered.
    """
    return tuple(
        UnratedModel(one.model, f"Not registered: {_votes(waiting[one.model])} wait until the registry knows it.")
        if one.model in waiting
        else one
        for one in unrated
    )


def rated_share(counts: PairCounts) -> float:
    """Return the share of votes in the largest strongly connected component, whose models can be rated together.

    Raises:
        BadCounts: there are no votes.
    """
    return int(_components(counts)[1][0]) / counts.total


def count_rated(counts: PairCounts) -> int:
    """Return the number of models that can be rated together; 0 without votes.

    These are the models of the largest strongly connected component.
    """
    return len(_components(counts)[0][0]) if counts.total else 0


def _components(counts: PairCounts) -> tuple[list[Int64], Int64]:
    if counts.total == 0:
        raise BadCounts(f"expected at least one vote, got none on {len(counts.models)} models")
    return components_of_pairs(len(counts.models), counts.a, counts.b, counts.table())


def _left_out(counts: PairCounts, members: Int64) -> tuple[UnratedModel, ...]:
    is_member = np.zeros(len(counts.models), dtype=np.bool_)
    is_member[members] = True
    won, lost = np.zeros((2, len(counts.models)), dtype=np.int64)
    for one, other, wins, losses in (
        (counts.a, counts.b, counts.wins_a, counts.wins_b),
        (counts.b, counts.a, counts.wins_b, counts.wins_a),
    ):
        met = is_member[other]
        np.add.at(won, one[met], wins[met])
        np.add.at(lost, one[met], losses[met])
    battles = counts.battles_per_model()
    return tuple(
        UnratedModel(counts.models[i], _reason(int(won[i]), int(lost[i]), int(battles[i])))
        for i in np.flatnonzero(~is_member).tolist()
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
