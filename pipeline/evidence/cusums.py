"""Computes CUSUM statistics of many voters together, in exact integers.

    W_k = max(W_{k−1}, 0) + l_k

W_k is the statistic after step k, and l_k the log-likelihood ratio of step k. e^W is the CUSUM e-detector
M_t = max(M_{t−1}, 1) · L_t. Within a voter's votes W_k = T_k − min(0, T_0, …, T_{k−1}), where T_0 = W_0 and
T_k = T_{k−1} + l_k. This form needs neither a loop nor an exponential. In integers, the split of votes into batches
does not change the result.
"""

import numpy as np

from pipeline.evidence.grouped_sums import group_starts, running_sums
from pipeline.vocabulary.arrays import Int64

CUSUM_UNIT = 2.0**-10
"""The unit, in nats, of a voter's stored CUSUM statistic W. In this unit, W of a million votes fits in four bytes."""

CUSUM_LEVELS = np.array([int(np.ceil(np.log(level) / CUSUM_UNIT)) for level in (1e4, 1e6, 1e8, 1e10)])
"""The values of W, in units of CUSUM_UNIT, at which an alert is emitted: e^W = 10⁴, 10⁶, 10⁸ and 10¹⁰."""

# Offsets each voter's values below those of the voter before, so that one running minimum serves all voters.
_DROP = 1 << 42


def cusums(steps: Int64, group: Int64, prior: Int64) -> Int64:
    """Return the CUSUM W after each step, int64[n], in the unit of `steps`.

    Args:
        steps: int64[n], the log-likelihood ratio l of each step in any unit, sorted by group. Sums must be below 2⁴¹.
        group: int64[n], the group (voter) of each step, counted from 0, ascending.
        prior: int64[g], W of each group before its first step.
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
