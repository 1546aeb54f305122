"""Computes the residual of each vote, for estimates that need more than pair counts."""

import numpy as np

from ..vocabulary.arrays import Float64, Int8, Int32
from ..vocabulary.large_arrays import new_large, pieces

OUTCOME_SCORES = np.array([1.0, 0.0, 0.5, 0.5])
"""Score of model a for each outcome, in the order of `OUTCOMES`: 1 for a win, 0 for a loss, ½ otherwise."""


def residuals(theta: Float64, a: Int32, b: Int32, outcome: Int8 | Int32) -> Float64:
    """Return the residual y − p of each vote, float64[N].

    y is the score of model a in the vote (1, ½ or 0), and p the probability that a beats b.

    Args:
        theta: float64[K], strengths of the models in logits.
        a, b: int32[N], codes of the two models of each vote.
        outcome: int8[N] or int32[N], codes of the outcomes.
    """
    result: Float64 = new_large((len(a),), np.float64)
    for piece in pieces(len(a)):
        # exp overflows above 709; p is 0 in float64 long before.
        p = theta[b[piece]]
        p -= theta[a[piece]]
        np.exp(np.minimum(p, 700.0, out=p), out=p)
        p += 1.0
        np.divide(1.0, p, out=p)
        result[piece] = OUTCOME_SCORES[outcome[piece]]
        result[piece] -= p
    return result
