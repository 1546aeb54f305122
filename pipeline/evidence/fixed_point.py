"""Fixed-point evidence: integer sums are exact in any order, so the split into batches cannot change an alert.

Law: every rounding goes down, so a rounded e-value is still an e-value.

A log-likelihood ratio is an integer of 2⁻²⁰ nats, an e-value an integer of 2⁻²⁴. A likelihood ratio is capped at 2³²
before it is weighted: the weights of a mixture sum to at most 1, so a sum stays below 2⁵⁶ and fits an int64 for any
number of components. The cost of the cap: evidence above 4·10⁹ is reported as 4·10⁹.
"""

import math

import numpy as np

from pipeline.vocabulary.arrays import Float64, Int64

LOG_UNIT = 2.0**-20
E_UNIT = 2.0**-24
_MAX_LOG = 32 * np.log(2.0)


def to_log_units(log_ratio: Float64) -> Int64:
    """Convert natural logarithms of any shape to integers of 2⁻²⁰ nats, rounded down."""
    units: Int64 = np.floor(log_ratio / LOG_UNIT).astype(np.int64)
    return units


def from_log_units(units: int) -> float:
    """Return e^x, where x is given in units of 2⁻²⁰ nats."""
    return math.exp(int(units) * LOG_UNIT)


def to_e_units(weight: Float64 | float, log_sum: Int64) -> Int64:
    """Convert weighted likelihood ratios to integers of 2⁻²⁴, rounded down.

    Args:
        weight: the mixture weights, broadcast against `log_sum`.
        log_sum: sums of log-likelihood ratios in units of 2⁻²⁰ nats.
    """
    ratio = np.exp(np.minimum(log_sum * LOG_UNIT, _MAX_LOG))
    units: Int64 = np.floor(weight * ratio / E_UNIT).astype(np.int64)
    return units


def from_e_units(units: int) -> float:
    """Return the e-value that is given as an integer of 2⁻²⁴."""
    return float(units) * E_UNIT
