"""E-detectors: evidence of a change at an unknown time.

The Shiryaev-Roberts e-detector is

    M_t = (M_{t−1} + 1) · L_t

where L_t, the likelihood ratio of step t, is an e-value given the past. M_t is the sum, over all possible start times,
of the e-process that starts there. The maximum instead of the sum is the CUSUM (`cusums`).

Law: while nothing changes, the average time to an alarm at M ≥ A is at least A steps (average run length). So alarms at
A = H/c number at most c in H steps on average. Rounding down and the cap keep the law.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors: a nonparametric framework for sequential change detection" (New
England Journal of Statistics in Data Science 2(2)), theorem 2.4; Roberts 1966 (Technometrics 8(3)).

State: one integer per key and alternative, ln M in units of 2⁻²⁰ nats.
"""

import math

import numpy as np
import numpy.typing as npt

from pipeline.evidence.fixed_point import LOG_UNIT, to_log_units
from pipeline.vocabulary.arrays import Int64

LOG_ZERO = -(1 << 40)
"""ln M before the first step, where M = 0: e^LOG_ZERO is 0 as a floating-point number."""

MAX_LOG_M = int(math.log(1e18) / LOG_UNIT)
"""The highest ln M. More evidence adds no information, and M must be able to fall again after the change ends."""


def shiryaev_roberts(log_m: Int64, log_ratio: Int64) -> Int64:
    """Return ln M after one step of the Shiryaev-Roberts e-detector M = (M before + 1) · L; any shape, elementwise.

    Args:
        log_m: ln M before the step, in units of 2⁻²⁰ nats.
        log_ratio: ln L of the step, in the same unit.
    """
    before = to_log_units(np.log1p(np.exp(log_m * LOG_UNIT)))
    return np.asarray(np.clip(before + log_ratio, LOG_ZERO, MAX_LOG_M))


def log_mixture(log_m: Int64, weights: npt.ArrayLike) -> Int64:
    """Return the logarithm of Σ_k w_k M_k over the last axis, rounded down.

    Args:
        log_m: int64[..., k], ln M_k of each alternative.
        weights: float[k], w_k of each alternative, positive, sum at most 1.
    """
    logs = log_m * LOG_UNIT + np.log(np.asarray(weights, dtype=np.float64))
    top = logs.max(axis=-1)
    mixed = top + np.log(np.exp(logs - top[..., None]).sum(axis=-1))
    return np.maximum(to_log_units(mixed), LOG_ZERO)
