"""Finds the models that a voter votes for or against far more often than honest voters do."""

from __future__ import annotations

import numpy as np

from pipeline.incidents.claims import LIFTED, LOWERED
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.outcomes import OUTCOME_CODES

LEAST_SHARE = 0.08
"""A voter leans for or against a model only if at least this share of the voter's votes are for or against it."""

_LEAST_VOTES = 5
_TIMES = 5.0
# An honest voter's votes for a model are one of as many as there are models; more for a strong or a new one.
_WON_A, _WON_B = OUTCOME_CODES["model_a"], OUTCOME_CODES["model_b"]


def find_leanings(model_a: Int64, model_b: Int64, outcome: Int64, models: int) -> list[tuple[int, str]]:
    """Find the models that a voter votes for or against far more often than honest voters do.

    Args:
        model_a, model_b: int64[n], the numbers of the models of the voter's votes.
        outcome: int64[n], the outcomes as `pipeline.vocabulary.outcomes` codes them.
        models: the number of models on the board.

    Returns:
        Pairs, sorted: the number of a model; and LIFTED if the voter votes for it, LOWERED if against it.
    """
    least = max(_LEAST_VOTES, len(outcome) * max(LEAST_SHARE, _TIMES / max(1, models)))
    first, second = outcome == _WON_A, outcome == _WON_B
    found = []
    for effect, parts in (
        (LIFTED, (model_a[first], model_b[second])),
        (LOWERED, (model_b[first], model_a[second])),
    ):
        numbers, votes = np.unique(np.concatenate(parts), return_counts=True)
        found += [(int(number), effect) for number in numbers[votes >= least]]
    return sorted(found)
