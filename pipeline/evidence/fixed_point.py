"""Represents evidence as integers. Integer sums are exact in any order, so the split into batches changes no alert.

Every conversion to integers rounds down, so a rounded e-value is still an e-value.

A log-likelihood ratio is an integer in units of 2⁻²⁰ nats; an e-value is an integer in units of 2⁻²⁴. A likelihood
ratio is capped at 2³² before it is weighted. The weights of a mixture sum to at most 1, so the mixture is at most 2⁵⁶
units and fits into an int64. Because of the cap, evidence above 4·10⁹ is reported as 4·10⁹.
"""

import math

import numpy as np

from pipeline.vocabulary.arrays import Float64, Int64

LOG_UNIT = 2.0**-20
E_UNIT = 2.0**-24
_MAX_LOG = 32 * np.log(2.0)


def to_log_units(log_ratio: Float64) -> Int64:
    """Convert natural logarithms (any shape) to integers in units of 2⁻²⁰ nats, rounded down."""
    units: Int64 = np.floor(log_ratio / LOG_UNIT).astype(np.int64)
    return units


def from_log_units(units: int) -> float:
    """Return e^x for a logarithm x in units of 2⁻²⁰ nats."""
    return math.exp(int(units) * LOG_UNIT)


def to_e_units(weight: Float64 | float, log_sum: Int64) -> Int64:
    """Return weight · e^log_sum in units of 2⁻²⁴, rounded down; e^log_sum is capped at 2³².

    Args:
        weight: the mixture weights, broadcast against `log_sum`.
        log_sum: sums of log-likelihood ratios in units of 2⁻²⁰ nats, of any shape.
    """
    ratio = np.exp(np.minimum(log_sum * LOG_UNIT, _MAX_LOG))
    units: Int64 = np.floor(weight * ratio / E_UNIT).astype(np.int64)
    return units


def from_e_units(units: int) -> float:
    """Convert an e-value from an integer in units of 2⁻²⁴ to a float."""
    return float(units) * E_UNIT
