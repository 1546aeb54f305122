"""Evidence that holds whenever somebody looks: e-values in exact integers. Pure numpy.

    fixed.py      log-likelihood ratios as integers of 2⁻²⁰ nats; e-values as integers of 2⁻²⁴
    segments.py   running sums within groups of a sorted array
    outcomes.py   what an honest voter would do: probabilities from a snapshot, and the
                  likelihood ratios of each alternative against them
    counts.py     likelihood ratios of counts: binomial share, Poisson, negative binomial, a shift of chances
    changes.py    e-detectors, Shiryaev-Roberts and CUSUM: a change at a time that nobody named
    bayes.py      Bayes factors of declared shares: Dirichlet-multinomial, beta-binomial
    many.py       many keys at once: e-BH, e-LOND
    telling.py    when to open, escalate and clear an alert
    keyed.py      state a key as named arrays, and their bytes

An e-value is a non-negative number whose expectation is at most 1 when nothing is wrong, so
P(it ever reaches 1/α) ≤ α (Ville 1939). Alternatives are averaged with weights that sum to at most
1, which keeps that property (Ramdas et al. 2023, "Game-theoretic statistics and safe anytime-valid
inference", section 3).
"""

from pipeline.evidence.fixed import E_UNIT, LOG_UNIT, e_units, log_units, to_e_value
from pipeline.evidence.outcomes import BANDS, DELTAS, EXPECTED_UNIT, Reference
from pipeline.evidence.segments import running_sums, starts

__all__ = [
    "BANDS",
    "DELTAS",
    "EXPECTED_UNIT",
    "E_UNIT",
    "LOG_UNIT",
    "Reference",
    "e_units",
    "log_units",
    "running_sums",
    "starts",
    "to_e_value",
]
