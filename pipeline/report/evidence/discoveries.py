"""Limits the share of false findings among many subjects that are tested together (e-BH)."""

from __future__ import annotations

import numpy as np

from pipeline.vocabulary.arrays import Bool, Float64

FALSE_SHARE = 0.05
"""The tolerated expected share of false findings among the findings about voters."""


def discoveries(e_values: Float64, tests: int, share: float = FALSE_SHARE) -> Bool:
    """Return bool[n], true for each e-value that is a finding. The expected share of false findings is at most `share`.

    e-BH (Wang & Ramdas 2022): the k largest of m e-values are findings if the k-th largest is at least m/(αk).

    Args:
        e_values: float64[n], the largest of the e-values, in any order. The e-values that are left out must be smaller.
        tests: m, the number of all e-values.
        share: α, the tolerated expected share of false findings.
    """
    falling = np.sort(e_values)[::-1]
    reached = np.flatnonzero(falling >= tests / (share * np.arange(1, len(falling) + 1)))
    least = falling[reached[-1]] if len(reached) else np.inf
    return np.asarray(e_values >= least)
