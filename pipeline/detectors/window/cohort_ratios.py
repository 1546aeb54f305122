"""Computes the likelihood ratios of `cohort_bias`, for the votes of a cohort on one model.

A cohort is all new accounts, the voters of one network, or the votes under one prompt. The ratios test for too many
wins among the decided votes, for too many wins among all votes, and for too few losses.
"""

import numpy as np
from scipy.special import expit, logit

from pipeline.detectors.window import cohort_baseline as baseline
from pipeline.evidence import count_likelihoods
from pipeline.vocabulary.arrays import Float64, Int64

_WINS, _LOSSES = np.array([0.4, 0.8, 1.6, 3.0]), np.array([0.7, 1.5, 3.0])
SHIFTS = 2 * len(_WINS) + len(_LOSSES)
"""Number of alternatives about a cohort and a model. Each of three tests has an alternative for each of its sizes δ."""
ALL_VOTES = np.repeat(
    [0.15 / len(_WINS), 0.5 / len(_WINS), 0.35 / len(_LOSSES)], [len(_WINS), len(_WINS), len(_LOSSES)]
)
DECIDED_VOTES = np.repeat([1 / len(_WINS), 1e-300], [len(_WINS), SHIFTS - len(_WINS)])
"""Weights of the SHIFTS alternatives for cohorts whose ties are not tested. Only the test for too many wins among the
decided votes has weight. In ALL_VOTES, all three tests have weight."""


def log_ratios(table: Float64, shift: Float64, least_ties: Float64, most_ties: Float64) -> Int64:
    """Return the log-likelihood ratio of each key for each alternative, int64[k, SHIFTS], in units of 2⁻²⁰ nats.

    A key is a cohort with a model that is promoted or demoted. The null hypothesis is the honest cohort within the
    bounds that makes the ratio smallest.

    Args:
        table: float64[k, 5], the votes of each key (`cohort_baseline`); for "demoted" with wins and losses exchanged.
        shift: float64[k], number of logits by which an honest cohort's logit of a win may be above the snapshot's.
        least_ties, most_ties: float64[k], bounds of an honest cohort's share of ties.
    """
    share, won = baseline.decided_share(table), table[:, baseline.WON, None]
    honest = expit(logit(share) + shift)
    n, decided = table[:, baseline.N], table[:, baseline.WON] + table[:, baseline.LOST]
    of_all = (1 - least_ties) * honest
    losses = (1 - most_ties) * (1 - honest)
    unshifted = np.zeros(1)
    return np.concatenate(
        [
            count_likelihoods.shifted_logit(won, decided[:, None], (decided * honest)[:, None], _WINS, unshifted),
            count_likelihoods.shifted_logit(won, n[:, None], (n * of_all)[:, None], _WINS, unshifted),
            count_likelihoods.rare_events(table[:, baseline.LOST, None], n[:, None], losses[:, None], _LOSSES),
        ],
        axis=1,
    )
