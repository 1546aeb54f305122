"""E-detectors: evidence that something changed, at a time that nobody named.

With L_t the likelihood ratio of step t, an e-value given the past:

    Shiryaev-Roberts   M_t = (M_{t−1} + 1) · L_t       the sum over all starts of the e-process from there
    CUSUM              M_t = max(M_{t−1}, 1) · L_t     the largest of them, so never above it

Law: an alarm at M ≥ A comes, while nothing changes, after A steps on average or later (ARL ≥ A). Alarms at
A = H/c are therefore at most c in H steps. Every rounding goes down, and so does the cap: both keep the law.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors: a nonparametric framework for sequential change detection"
(New England Journal of Statistics in Data Science 2(2)), theorem 2.4; Roberts 1966 (Technometrics 8(3)).

State: one integer a key and alternative, ln M in units of 2⁻²⁰ nats.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pipeline.evidence.fixed import LOG_UNIT, log_units
from pipeline.vocabulary.arrays import Int64

NOTHING = -(1 << 40)
"""ln 0: M before the first step. e^NOTHING is 0 in every floating-point number."""

CAP = int(math.log(1e18) / LOG_UNIT)
"""The highest ln M. Beyond it more evidence tells nobody anything, and M must come down again when it is over."""


def shiryaev_roberts(log_m: Int64, log_ratio: Int64) -> Int64:
    """One step of the Shiryaev-Roberts e-detector; any shape, elementwise."""
    return _step(log_units(np.log1p(np.exp(log_m * LOG_UNIT))), log_ratio)


def cusum(log_m: Int64, log_ratio: Int64) -> Int64:
    """One step of the CUSUM e-detector; any shape, elementwise."""
    return _step(np.maximum(log_m, 0), log_ratio)


def _step(before: Int64, log_ratio: Int64) -> Int64:
    return np.asarray(np.clip(before + log_ratio, NOTHING, CAP))


def log_mixture(log_m: Int64, weights: npt.ArrayLike) -> Int64:
    """The logarithm of Σ_k w_k M_k over the last axis, rounded down.

    Args:
        log_m: int64[..., k].
        weights: of the alternatives, float[k], positive, sum at most 1.
    """
    logs = log_m * LOG_UNIT + np.log(np.asarray(weights, dtype=np.float64))
    top = logs.max(axis=-1)
    mixed = top + np.log(np.exp(logs - top[..., None]).sum(axis=-1))
    return np.maximum(log_units(mixed), NOTHING)


def to_value(log_m: int) -> float:
    """M of an ln M."""
    return math.exp(int(log_m) * LOG_UNIT)
