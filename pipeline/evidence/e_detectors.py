"""Computes e-detectors: evidence of a change at an unknown time.

The Shiryaev-Roberts e-detector is

    M_t = (M_{t−1} + 1) · L_t

where L_t is the likelihood ratio of step t, an e-value given all earlier steps. M_t is a sum of e-processes, one for
each possible start time of the change. The e-detector with the maximum instead of the sum is the CUSUM (`cusums`).

While nothing changes, M reaches A after A steps or more on average (average run length). So with A = H/c, at most c
false alarms come in H steps on average. The bound also applies after rounding and capping M, which only lower M.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors: a nonparametric framework for sequential change detection" (New
England Journal of Statistics in Data Science 2(2)), theorem 2.4; Roberts 1966 (Technometrics 8(3)).

The state of a key is one integer for each alternative: ln M in units of 2⁻²⁰ nats.
"""

import math

import numpy as np
import numpy.typing as npt

from pipeline.evidence.fixed_point import LOG_UNIT, to_log_units
from pipeline.vocabulary.arrays import Int64

LOG_ZERO = -(1 << 40)
"""The value of ln M before the first step, when M is 0. e^LOG_ZERO is 0 in floating point."""

MAX_LOG_M = int(math.log(1e18) / LOG_UNIT)
"""The highest value of ln M, in units of 2⁻²⁰ nats. M is capped so that it falls again soon after a change ends."""


def shiryaev_roberts(log_m: Int64, log_ratio: Int64) -> Int64:
    """Return ln M after one step of the Shiryaev-Roberts e-detector: M after = (M before + 1) · L, elementwise.

    The result is in units of 2⁻²⁰ nats, rounded down, and kept between LOG_ZERO and MAX_LOG_M.

    Args:
        log_m: ln M before the step, in units of 2⁻²⁰ nats, any shape.
        log_ratio: ln L of the step, in the same unit.
    """
    before = to_log_units(np.log1p(np.exp(log_m * LOG_UNIT)))
    return np.asarray(np.clip(before + log_ratio, LOG_ZERO, MAX_LOG_M))


def log_mixture(log_m: Int64, weights: npt.ArrayLike) -> Int64:
    """Return the logarithm of the mixture Σ_k w_k M_k over the last axis, in units of 2⁻²⁰ nats, rounded down.

    Args:
        log_m: int64[..., k], ln M_k of each alternative, in the same unit.
        weights: float[k], the weight w_k of each alternative, positive, with a sum of at most 1.
    """
    logs = log_m * LOG_UNIT + np.log(np.asarray(weights, dtype=np.float64))
    top = logs.max(axis=-1)
    mixed = top + np.log(np.exp(logs - top[..., None]).sum(axis=-1))
    return np.maximum(to_log_units(mixed), LOG_ZERO)
