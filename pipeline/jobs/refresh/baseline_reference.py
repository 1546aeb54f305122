"""Estimates the reference of a snapshot: how honest voters vote, from votes of voters without an unresolved alert."""

from typing import Any

import numpy as np

from pipeline.errors import RatingError
from pipeline.evidence import Reference
from pipeline.jobs.refresh.rating_input import RatingInput
from pipeline.ratings import fit, select_rated_models
from pipeline.store.boards.reference_codec import pack_reference

# The prior of a voter's tie share, as a number of votes, while nothing is known about the voters.
_TIE_CONCENTRATION = 10.0


def pack_baseline_reference(given: RatingInput) -> bytes:
    """Estimate the reference from `given.baseline` and pack it as bytes; empty if these votes cannot be rated."""
    try:
        counts, _ = select_rated_models(given.baseline.decisive(), least_share=0.0)
        estimate = fit(counts)
    except RatingError:
        return b""  # new votes get no evidence; the board is rated all the same
    share = float(np.clip(given.baseline.tie_share(), 1e-6, 1 - 1e-6))
    concentration = _tie_concentration(given.tie_moments)
    return pack_reference(
        Reference(
            0,
            np.array([given.model_no[m] for m in counts.models], dtype=np.int64),
            estimate.theta,
            estimate.covariance,
            share,
            (concentration * share, concentration * (1 - share)),
        ),
        (counts.a, counts.b),
    )


def _tie_concentration(moments: Any) -> float:
    """Return α + β of the beta distribution of the voters' tie shares, from the moments of `SealedCounts.ties`.

    For a tie share p, and k ties among a voter's n votes: E[p] = Σk/Σn and E[p²] = Σk(k−1)/Σn(n−1). For a beta
    distribution α + β = E[p](1 − E[p])/Var[p] − 1.
    """
    n, k, n_pairs, k_pairs = (float(m) for m in moments)
    if not n_pairs or not 0 < k < n:
        return _TIE_CONCENTRATION
    mean, spread = k / n, k_pairs / n_pairs - (k / n) ** 2
    if spread <= 0:
        return 1000.0
    return float(np.clip(mean * (1 - mean) / spread - 1, 1.0, 1000.0))
