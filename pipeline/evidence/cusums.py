"""CUSUMs of many voters at once, in exact integers.

    W_k = max(W_{k−1}, 0) + l_k

is the logarithm of the CUSUM e-detector (`changes`). Within a voter's votes it is T_k − min(0, T_0, …, T_{k−1}), with
T the plain running sum from T_0 = W_0: no loop, no exponential, and whatever the batches the same to the bit.
"""

from __future__ import annotations

import numpy as np

from pipeline.evidence.segments import running_sums, starts
from pipeline.vocabulary.arrays import Int64

# Each voter's stretch lies so far below the one before it that one running minimum serves all of them.
_DROP = 1 << 42


def cusums(steps: Int64, group: Int64, prior: Int64) -> Int64:
    """W after each step.

    Args:
        steps: int64[n], l in any unit, sorted by group; sums below 2⁴¹.
        group: int64[n], ascending.
        prior: int64[g], W before the first step of each group.
    """
    if not len(steps):
        return steps.copy()
    total = running_sums(steps, group, prior)
    before = total - steps  # T_{k−1}
    first = np.flatnonzero(starts(group))
    drop = np.cumsum(starts(group)) * _DROP
    lowest = np.minimum.accumulate(np.minimum(before, 0) - drop) + drop
    lowest[first] = np.minimum(before[first], 0)
    return np.asarray(total - lowest)
