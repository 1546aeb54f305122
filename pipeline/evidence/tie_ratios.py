"""Tabulates the log-likelihood ratios of a tie and of a decisive vote, for each honest probability of a tie.

A ratio compares an alternative, such as a voter who favours one model, with an honest voter. The honest probability of
a tie is the caller's prediction for the voter, rounded down to one of TIE_LEVELS levels. Under every alternative, the
probability of a tie is at most the honest probability. So ties never raise a ratio.
"""

import numpy as np

from pipeline.evidence.fixed_point import to_log_units
from pipeline.vocabulary.arrays import Float64, Int64

TIES_KEPT = (0.65, 0.4, 0.15)
"""For each bias δ in DELTAS: a biased voter's probability of a tie on the favoured or harmed model, divided by an
honest voter's probability."""

TIE_LEVELS = 256
"""Number of levels to which an expected share of ties is rounded down. Rounding down assumes an honest voter with fewer
ties, so evidence becomes slightly weaker and stays valid."""

ONE_SIDED_TIES = 0.02
"""The probability that a voter who always presses one side votes for a tie."""

_HONEST = np.arange(TIE_LEVELS)[:, None] / TIE_LEVELS


def _ratios(rarer: Float64) -> Int64:
    """Return int64[256, 2, n], log-likelihood ratios of n alternatives in units of 2⁻²⁰ nats.

    The first axis is the honest probability of a tie, the second the outcome (0: decided, 1: tie).

    Args:
        rarer: float64[256, n], the probability of a tie under each alternative, for each honest probability of a tie.
    """
    honest = np.maximum(_HONEST, 2.0**-40)
    decided, tied = np.log1p(-rarer) - np.log1p(-honest), np.log(np.maximum(rarer, 2.0**-42)) - np.log(honest)
    return to_log_units(np.stack([decided, tied], axis=1))


def _target_tie_ratios() -> Int64:
    kept = np.array(TIES_KEPT)
    decided = np.log1p(-kept * _HONEST) - np.log1p(-_HONEST)
    return to_log_units(np.stack([decided, np.broadcast_to(np.log(kept), decided.shape)], axis=1))


TARGET_TIE_RATIOS = _target_tie_ratios()
"""Log-likelihood ratios of "tie or not" for a voter who promotes or demotes a model: int64[256, 2, 3], 2⁻²⁰ nats.

The axes are the honest probability of a tie (`Reference.tie_level`), the outcome (0: decided, 1: tie), and the δ in
DELTAS."""

_ONE_SIDED = np.minimum(_HONEST, ONE_SIDED_TIES)
GENERIC_TIE_RATIOS = _ratios(np.concatenate([_ONE_SIDED, _ONE_SIDED, (_ONE_SIDED + _HONEST) / 2], axis=1))
"""Ratios of three alternatives: always left, always right, and against the rating. int64[256, 2, 3], with axes as in
TARGET_TIE_RATIOS.

A voter of "always left" or "always right" votes for a tie with probability ONE_SIDED_TIES, or with the honest
probability if that is smaller. For "against the rating", the probability is the mean of that value and the honest
probability."""

MAX_TIE_RATIO = np.maximum(np.concatenate([TARGET_TIE_RATIOS, GENERIC_TIE_RATIOS], axis=2).max(axis=2), 0)
"""For each tie level and outcome, the largest ratio in TARGET_TIE_RATIOS and GENERIC_TIE_RATIOS, but at least 0:
int64[256, 2]."""
