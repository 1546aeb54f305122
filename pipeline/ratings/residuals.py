"""Votes as codes, one by one: what is common to everything that cannot be read off pair counts."""

from __future__ import annotations

import numpy as np

from ..vocabulary.arrays import Float64, Int32

# y of each outcome, for model a.
OUTCOME_SCORES = np.array([1.0, 0.0, 0.5, 0.5])


def residuals(theta: Float64, a: Int32, b: Int32, outcome: Int32) -> Float64:
    """Return float64[N], y − p for model a."""
    # 700 is where exp ends; p is 0 to all digits long before.
    p = 1.0 / (1.0 + np.exp(np.minimum(theta[b] - theta[a], 700.0)))
    result: Float64 = OUTCOME_SCORES[outcome] - p
    return result
