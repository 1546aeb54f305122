"""Finds the models that a voter votes for or against far more often than honest voters do.

A voter with few votes for one model may seem to have a habit: in five votes, the model may be on the left every time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.incidents.claims import AT_RANDOM, HABIT, LIFTED, LOWERED, Claim
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.outcomes import OUTCOME_CODES

LEAST_SHARE = 0.08
"""A voter leans for or against a model only if at least this share of the voter's votes are for or against it."""

MOST = 0.5
"""A voter with at least this share of votes for or against a model leans for or against it, also if a habit explains
these votes."""

LEAST_VOTES = 5
"""A voter with fewer votes for or against a model has no leaning about the model."""

_TIMES = 5.0
# An honest voter's votes for a model are one of as many as there are models; more for a strong or a new one.
_WON_A, _WON_B = OUTCOME_CODES["model_a"], OUTCOME_CODES["model_b"]


def find_leanings(model_a: Int64, model_b: Int64, outcome: Int64, models: int) -> list[tuple[int, str, float]]:
    """Find the models that a voter votes for or against far more often than honest voters do.

    Args:
        model_a, model_b: int64[n], the numbers of the models of the voter's votes.
        outcome: int64[n], the outcomes as `pipeline.vocabulary.outcomes` codes them.
        models: the number of models on the board.

    Returns:
        Triples, sorted: the number of a model; LIFTED if the voter votes for it, LOWERED if against it; and the share
        of the voter's votes that are such votes, from 0 to 1.
    """
    least = max(LEAST_VOTES, len(outcome) * max(LEAST_SHARE, _TIMES / max(1, models)))
    first, second = outcome == _WON_A, outcome == _WON_B
    found = []
    for effect, parts in (
        (LIFTED, (model_a[first], model_b[second])),
        (LOWERED, (model_b[first], model_a[second])),
    ):
        numbers, votes = np.unique(np.concatenate(parts), return_counts=True)
        chosen = votes >= least
        shares = votes[chosen] / max(1, len(outcome))
        found += [(int(number), effect, float(share)) for number, share in zip(numbers[chosen], shares, strict=True)]
    return sorted(found)


def aims_behind(claim: Claim, leanings: Mapping[Claim, float]) -> set[Claim]:
    """Return which models a voter with a habit may aim at, as claims.

    If the habit is to vote at random, every leaning may be an aim. Any other habit spreads a voter's votes over the
    models. Then only a leaning with most of the voter's votes (MOST) may be an aim.

    Args:
        claim: the best explanation of the voter's votes. If it is not a habit, the result is empty.
        leanings: the models that the voter leans to, with the share of the voter's votes (`CarriedAlert.leanings`).
    """
    if claim.kind != HABIT:
        return set()
    least = LEAST_SHARE if claim.name in AT_RANDOM else MOST
    return {one for one, share in leanings.items() if share >= least}
