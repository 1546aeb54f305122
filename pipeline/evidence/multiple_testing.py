"""Tests many keys, with a limit on the expected share of false discoveries.

    e-BH     for m keys that are tested together: the k keys with the largest e-values are rejected if the k-th largest
             is at least m/(αk). The false discovery rate is at most α, however the e-values depend on each other (Wang
             & Ramdas 2022, J. Royal Statistical Society B 84(3)).
    e-LOND   for hypotheses that arrive one after another and are tested once each: after R discoveries, hypothesis t is
             tested at level α_t = α γ_t (R + 1) and rejected if e ≥ 1/α_t (Xu & Ramdas 2024, "Online multiple testing
             with e-values", AISTATS). The weights γ_t sum to at most 1 (`lond_weight`).

e-BH must be given *current* e-values. With running maxima it does not control the false discovery rate. e-LOND suits
the findings of audits, which run once a day. e-LOND does not suit keys that are tested in every window, since α_t is
practically 0 after 500,000 hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.evidence.fixed_point import LOG_UNIT
from pipeline.vocabulary.arrays import Bool, Float64, Int64

# 1/Σ 1/(t ln²(t+1)), the sum being 3.3877. The series falls more slowly than 1/t²: after a year of three hundred
# hypotheses a day (t = 10⁵) a level is 360 times that of 1/t².
_GAMMA = 0.2951


def e_bh(log_e: Int64, alpha: float) -> Bool:
    """Test m hypotheses together with e-BH at level α.

    Args:
        log_e: int64[m], logarithms of the current e-values in units of 2⁻²⁰ nats.
        alpha: α, the tolerated false discovery rate, below 1.

    Returns:
        bool[m], true for each hypothesis that is rejected.
    """
    m = len(log_e)
    if not m:
        return np.zeros(0, dtype=np.bool_)
    if log_e.max() < np.log(m / (alpha * m)) / LOG_UNIT:  # below the smallest bar, that of k = m
        return np.zeros(m, dtype=np.bool_)
    falling = np.sort(log_e)[::-1]
    needed = np.log(m / (alpha * np.arange(1, m + 1))) / LOG_UNIT
    reached = np.flatnonzero(falling >= needed)
    if not len(reached):
        return np.zeros(m, dtype=np.bool_)
    return np.asarray(log_e >= falling[reached[-1]])


def lond_weight(t: int) -> float:
    """Return the weight γ_t of hypothesis t ≥ 1, in proportion to 1/(t ln²(t + 1)). The weights sum to at most 1."""
    return float(_GAMMA / (t * np.log(t + 1) ** 2))


@dataclass(frozen=True, slots=True)
class ELond:
    """Tests hypotheses that arrive one after another, by e-LOND. An object is the state after some hypotheses.

    Attributes:
        alpha: the tolerated false discovery rate over all hypotheses, past and future.
        submitted: number of hypotheses (or families) so far.
        rejected: number of discoveries so far.
    """

    alpha: float
    submitted: int = 0
    rejected: int = 0

    @property
    def level(self) -> float:
        """Return α_t, the level at which the next hypothesis will be tested."""
        return self.alpha * lond_weight(self.submitted + 1) * (self.rejected + 1)

    def submit_family(self, e_values: Float64) -> tuple[ELond, Bool]:
        """Test a family of m hypotheses together. The family counts as one hypothesis of the sequence.

        Each hypothesis of the family is tested at level α_t/m, so it is rejected if e ≥ m/α_t. The false discovery rate
        is at most α, however the e-values of the family depend on each other. Proof: 1{e_i ≥ m/α_t} ≤ α_t e_i/m, and
        the sum of the right side over i has an expectation of at most α_t.

        Args:
            e_values: float64[m], the e-values of the family. An empty family does not change the state.

        Returns:
            Two values: the state after the family; and bool[m], true for each hypothesis that is rejected.
        """
        m = len(e_values)
        if not m:
            return self, np.zeros(0, dtype=np.bool_)
        found = np.asarray(e_values / m >= 1 / self.level)
        return ELond(self.alpha, self.submitted + 1, self.rejected + int(found.sum())), found
