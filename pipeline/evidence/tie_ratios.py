"""Tabulates log-likelihood ratios for whether a battle was a tie, by the honest probability of a tie.

The honest probability is the one that the caller predicts for the voter, rounded down to one of TIE_LEVELS levels. No
alternative makes ties more likely than this probability. So if a voter ties more often than predicted, no ratio is
larger on average.
"""

import numpy as np

from pipeline.evidence.fixed_point import to_log_units
from pipeline.vocabulary.arrays import Float64, Int64

TIES_KEPT = (0.65, 0.4, 0.15)
"""For each δ in DELTAS, a biased voter's probability of a tie on its model divided by an honest voter's."""

TIE_LEVELS = 256
"""Number of levels to which an expected share of ties is rounded down. Rounding down assumes an honest voter with fewer
ties, so evidence becomes slightly weaker and stays valid."""

ONE_SIDED_TIES = 0.02
"""The probability of a tie of a voter who always presses one side."""

_HONEST = np.arange(TIE_LEVELS)[:, None] / TIE_LEVELS


def _ratios(rarer: Float64) -> Int64:
    """Return the ratios of alternatives with these probabilities of a tie, float64[256, n]: int64[256, 2, n]."""
    honest = np.maximum(_HONEST, 2.0**-40)
    decided, tied = np.log1p(-rarer) - np.log1p(-honest), np.log(np.maximum(rarer, 2.0**-42)) - np.log(honest)
    return to_log_units(np.stack([decided, tied], axis=1))


def _target_tie_ratios() -> Int64:
    kept = np.array(TIES_KEPT)
    decided = np.log1p(-kept * _HONEST) - np.log1p(-_HONEST)
    return to_log_units(np.stack([decided, np.broadcast_to(np.log(kept), decided.shape)], axis=1))


TARGET_TIE_RATIOS = _target_tie_ratios()
"""Ratios of the alternatives about one model: int64[256, 2, 3] in units of 2⁻²⁰ nats.

The axes are the honest probability of a tie (`Reference.tie_level`), the outcome (0: decided, 1: tie), and the δ in
DELTAS."""

_ONE_SIDED = np.minimum(_HONEST, ONE_SIDED_TIES)
GENERIC_TIE_RATIOS = _ratios(np.concatenate([_ONE_SIDED, _ONE_SIDED, (_ONE_SIDED + _HONEST) / 2], axis=1))
"""Ratios of always left, always right and against the rating: int64[256, 2, 3], with axes as in TARGET_TIE_RATIOS.

By "against the rating", the probability of a tie is the mean of two: of a voter who always presses one side, and of an
honest voter. If the honest voter's probability is below ONE_SIDED_TIES, each alternative ties as often as this
voter."""

MAX_TIE_RATIO = np.maximum(np.concatenate([TARGET_TIE_RATIOS, GENERIC_TIE_RATIOS], axis=2).max(axis=2), 0)
"""For each tie level and outcome, the largest ratio over all these alternatives, at least 0: int64[256, 2]."""
