"""Fixed-point evidence: integer sums are exact in any order, so batches cannot change an alert.

Law: every rounding goes down, so a rounded e-value is still an e-value.

A log-likelihood ratio is an integer of 2⁻²⁰ nats. An e-value is an integer of 2⁻²⁴. A likelihood
ratio is capped at 2³² before it is weighted: the weights of a mixture sum to at most 1, so a sum
stays below 2⁵⁶ and fits an int64 however many components it has. What the cap leaves out: evidence
above 4·10⁹ is shown as that.
"""

from __future__ import annotations

import numpy as np

from pipeline.vocabulary.arrays import Float64, Int64

LOG_UNIT = 2.0**-20
E_UNIT = 2.0**-24
_MAX_LOG = 32 * np.log(2.0)


def log_units(log_ratio: Float64) -> Int64:
    """Natural logarithms → integers of 2⁻²⁰ nats, rounded down. Any shape."""
    units: Int64 = np.floor(log_ratio / LOG_UNIT).astype(np.int64)
    return units


def e_units(weight: Float64 | float, log_sum: Int64) -> Int64:
    """Weighted likelihood ratios → integers of 2⁻²⁴, rounded down.

    Args:
        weight: the mixture weights, broadcast against `log_sum`.
        log_sum: sums of log-likelihood ratios in units of 2⁻²⁰ nats.
    """
    ratio = np.exp(np.minimum(log_sum * LOG_UNIT, _MAX_LOG))
    units: Int64 = np.floor(weight * ratio / E_UNIT).astype(np.int64)
    return units


def to_e_value(units: int) -> float:
    """An integer of 2⁻²⁴ as a number."""
    return float(units) * E_UNIT
