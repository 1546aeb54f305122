"""Many keys at once: which of them to tell of, so that false ones stay a stated share.

    e-BH     for keys that are looked at together: reject the k largest with e_(k) ≥ m/(αk). The false discovery
             rate is at most α under any dependence (Wang & Ramdas 2022, J. Royal Statistical Society B 84(3)).
    e-LOND   for hypotheses that come one after another, each once: α_t = α γ_t (R + 1), reject at e ≥ 1/α_t
             (Xu & Ramdas 2024, "Online multiple testing with e-values", AISTATS).

Trap: e-BH takes *current* e-values. Fed the running maxima it does not control the rate. e-LOND over keys that
run for ever is no use either: over 500,000 of them its α_t is 0. It is for the daily sweep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.evidence.fixed import LOG_UNIT
from pipeline.vocabulary.arrays import Bool, Float64, Int64

# Σ 1/(t ln²(t+1)) = 3.3877. It falls more slowly than 1/t² and still has a sum: after a year of three hundred
# hypotheses a day (t = 10⁵) a level is 360 times what 1/t² would leave of it.
_GAMMA = 0.2951


def e_bh(log_e: Int64, alpha: float) -> Bool:
    """Which of m simultaneous hypotheses e-BH rejects at level α.

    Args:
        log_e: int64[m], logarithms of current e-values in units of 2⁻²⁰ nats.
        alpha: the false discovery rate, below 1.

    Returns:
        bool[m].
    """
    m = len(log_e)
    if not m:
        return np.zeros(0, dtype=np.bool_)
    falling = np.sort(log_e)[::-1]
    needed = np.log(m / (alpha * np.arange(1, m + 1))) / LOG_UNIT
    reached = np.flatnonzero(falling >= needed)
    if not len(reached):
        return np.zeros(m, dtype=np.bool_)
    return np.asarray(log_e >= falling[reached[-1]])


def gamma(t: int) -> float:
    """γ_t = c/(t ln²(t + 1)), t from 1; positive and falling, and all of them sum to at most 1."""
    return float(_GAMMA / (t * np.log(t + 1) ** 2))


@dataclass(frozen=True, slots=True)
class ELond:
    """e-LOND's state.

    Attributes:
        alpha: the false discovery rate over all hypotheses ever.
        submitted: how many there were.
        rejected: how many of them were discoveries.
    """

    alpha: float
    submitted: int = 0
    rejected: int = 0

    @property
    def level(self) -> float:
        """α_t of the next hypothesis."""
        return self.alpha * gamma(self.submitted + 1) * (self.rejected + 1)

    def submit(self, e_value: float) -> tuple[ELond, bool]:
        """Take in the next hypothesis: the state after it, and whether it is a discovery."""
        found = bool(e_value >= 1 / self.level)
        return ELond(self.alpha, self.submitted + 1, self.rejected + found), found

    def submit_family(self, e_values: Float64) -> tuple[ELond, Bool]:
        """Take in m hypotheses that are looked at together, as one of the stream: each has 1/m of its level.

        Every one of them is held against m/α_t. The rate stays below α under any dependence within the family:
        1{e_i ≥ m/α_t} ≤ α_t e_i/m, and the sum of that over i has an expectation of at most α_t.

        Args:
            e_values: float64[m]; m = 0 is no hypothesis, and takes nothing of the stream.

        Returns:
            The state after it, and bool[m] of what is a discovery.
        """
        m = len(e_values)
        if not m:
            return self, np.zeros(0, dtype=np.bool_)
        found = np.asarray(e_values / m >= 1 / self.level)
        return ELond(self.alpha, self.submitted + 1, self.rejected + int(found.sum())), found
