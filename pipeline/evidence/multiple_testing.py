"""Multiple testing: limits the expected share of false discoveries over many keys.

    e-BH     for m keys that are tested together: reject the k largest e-values if the k-th is at least m/(αk). The
             false discovery rate is at most α under any dependence (Wang & Ramdas 2022, J. Royal Statistical Society
             B 84(3)).
    e-LOND   for hypotheses that arrive one after another, each once: after R discoveries hypothesis t gets the level
             α_t = α γ_t (R + 1), and is rejected at e ≥ 1/α_t (Xu & Ramdas 2024, "Online multiple testing with
             e-values", AISTATS). The weights γ_t sum to at most 1 (`lond_weight`).

e-BH needs *current* e-values: with running maxima it does not control the rate. e-LOND is for the daily sweep and not
for keys that are tested for ever: after 500,000 hypotheses α_t is practically 0.
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
    """Return which of m simultaneous hypotheses e-BH rejects at level α.

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


def lond_weight(t: int) -> float:
    """Return γ_t = c/(t ln²(t + 1)) for t ≥ 1: positive, falling, with a sum of at most 1."""
    return float(_GAMMA / (t * np.log(t + 1) ** 2))


@dataclass(frozen=True, slots=True)
class ELond:
    """The state of e-LOND.

    Attributes:
        alpha: the false discovery rate over all hypotheses ever.
        submitted: number of hypotheses (or families) so far.
        rejected: number of discoveries so far.
    """

    alpha: float
    submitted: int = 0
    rejected: int = 0

    @property
    def level(self) -> float:
        """Return α_t, the level of the next hypothesis."""
        return self.alpha * lond_weight(self.submitted + 1) * (self.rejected + 1)

    def submit_family(self, e_values: Float64) -> tuple[ELond, Bool]:
        """Test m hypotheses together as one hypothesis of the stream: each gets 1/m of the level α_t.

        The threshold of each is m/α_t. The false discovery rate stays below α under any dependence within the family:
        1{e_i ≥ m/α_t} ≤ α_t e_i/m, and the sum of the right side over i has an expectation of at most α_t.

        Args:
            e_values: float64[m]; an empty family uses up no level.

        Returns:
            The state after the family, and bool[m]: the discoveries.
        """
        m = len(e_values)
        if not m:
            return self, np.zeros(0, dtype=np.bool_)
        found = np.asarray(e_values / m >= 1 / self.level)
        return ELond(self.alpha, self.submitted + 1, self.rejected + int(found.sum())), found
