"""Computes evidence that may be read at any time: e-values and e-detectors, in exact integers with numpy.

fixed_point         represents log-likelihood ratios as integers of 2⁻²⁰ nats, e-values as integers of 2⁻²⁴
grouped_sums        computes running sums within groups of a sorted array
cusums              computes CUSUM statistics of many voters together
taste               estimates how much voters differ in taste, sharpness and share of ties
taste_pairs         computes sums over pairs of a voter's votes, for these estimates
honest_reference    computes probabilities of an honest voter's votes, and the likelihood ratios of each alternative
taste_nulls         computes likelihood ratios of counts against voters of unknown taste and unknown share of ties
cell_counts         counts votes by voter and model, or by voter and provider
cells               computes evidence from counts per voter and model, against honest voters of the estimated taste
swapped_outcomes    computes evidence that a voter swaps win and loss
tie_ratios          tabulates likelihood ratios for whether a battle was a tie
count_likelihoods   computes likelihood ratios of counts: binomial share, negative binomial, shifted win chances
bayes_factors       computes Bayes factors of declared shares: Dirichlet-multinomial, beta-binomial
e_detectors         computes evidence of a change at an unknown time: Shiryaev-Roberts
multiple_testing    tests many keys together: e-BH, e-LOND
alert_policy        decides when an alert opens, escalates and is cleared
keyed_state         holds named arrays with one row per key

A key is what evidence is kept about: a voter, a model, a provider, a network, a prompt, or the whole board. An
e-value is a non-negative random number whose expectation is at most 1 when nothing is wrong. Evidence that is an
e-value after every step reaches 1/α with probability at most α (Ville 1939). A weighted average of e-values is an
e-value too if the weights sum to at most 1 (Ramdas et al. 2023, "Game-theoretic statistics and safe anytime-valid
inference", section 3).
"""

from typing import TYPE_CHECKING

from pipeline.vocabulary.lazy_names import lazy_names

if TYPE_CHECKING:
    from pipeline.evidence.fixed_point import E_UNIT, LOG_UNIT, from_e_units, to_e_units, to_log_units
    from pipeline.evidence.grouped_sums import group_starts, running_sums
    from pipeline.evidence.honest_reference import BAND_GROWTH, DELTAS, EXPECTED_UNIT, Reference
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "fixed_point": "E_UNIT LOG_UNIT from_e_units to_e_units to_log_units",
            "grouped_sums": "group_starts running_sums",
            "honest_reference": "BAND_GROWTH DELTAS EXPECTED_UNIT Reference",
        },
    )

__all__ = [
    "BAND_GROWTH",
    "DELTAS",
    "EXPECTED_UNIT",
    "E_UNIT",
    "LOG_UNIT",
    "Reference",
    "from_e_units",
    "group_starts",
    "running_sums",
    "to_e_units",
    "to_log_units",
]
