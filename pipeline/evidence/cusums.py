"""CUSUM statistics of many voters at once, in exact integers.

    W_k = max(W_{k−1}, 0) + l_k

W_k is the statistic after step k. If l_k is a log-likelihood ratio, e^W is the CUSUM e-detector M_t = max(M_{t−1}, 1) ·
L_t (see `e_detectors`). Within a voter's votes W_k = T_k − min(0, T_0, …, T_{k−1}), where T_0 = W_0 and T_k = T_{k−1} +
l_k. So neither a loop nor an exponential is needed, and the split into batches does not change a bit.
"""

import numpy as np

from pipeline.evidence.grouped_sums import group_starts, running_sums
from pipeline.vocabulary.arrays import Int64

CUSUM_UNIT = 2.0**-10
"""Nats in which a voter's W is stored: four bytes hold it for a million votes."""

CUSUM_LEVELS = np.array([int(np.ceil(np.log(level) / CUSUM_UNIT)) for level in (1e4, 1e6, 1e8, 1e10)])
"""W at which an alert opens and is emitted again: at e^W of 10⁴ and at every hundredfold."""

# Offsets each voter's values below those of the voter before, so that one running minimum serves all voters.
_DROP = 1 << 42


def cusums(steps: Int64, group: Int64, prior: Int64) -> Int64:
    """Return the CUSUM W = max(W before, 0) + l after each step.

    Args:
        steps: int64[n], l in any unit, sorted by group; sums below 2⁴¹.
        group: int64[n], ascending.
        prior: int64[g], W before the first step of each group.
    """
    if not len(steps):
        return steps.copy()
    total = running_sums(steps, group, prior)
    before = total - steps  # T_{k−1}
    first = np.flatnonzero(group_starts(group))
    drop = np.cumsum(group_starts(group)) * _DROP
    lowest = np.minimum.accumulate(np.minimum(before, 0) - drop) + drop
    lowest[first] = np.minimum(before[first], 0)
    return np.asarray(total - lowest)
