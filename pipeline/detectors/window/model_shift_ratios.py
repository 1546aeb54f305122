"""Computes the likelihood ratios of `model_shift`, for each possible start and size of a change of a model's results.

Excess and information of votes are defined in `model_shift_sums`. Let x be a model's excess and v its information since
the possible start of a change. Let r and j be the excess and the information of all its earlier votes. d = x/v − r/j
estimates the change of the model's logit relative to the snapshots. If nothing changed, x/v is nearly normal. Its mean
is between 0, if the snapshots learn from all votes, and r/j, if the snapshots do not change. The likelihood ratio of a
change by δ is

    ln L_δ = (δ(x/v − h) − δ²/2) / (φ(1/v + v/j²))        h = 0.05 + max(0, r/j) + max(0, c)

where c is the median of d over all models, since the change of one model also changes the results of its opponents. L
is the mean of L_δ over the sizes δ.

The denominator is the variance of d, up to the factor φ. 1/v is the variance of x/v. v/j² stands for the variance of
the snapshots' error. This variance is 0 if the snapshots learn from all votes, and 1/j if they do not change. For
v ≥ j, v/j² is at least 1/j. For v < j, v/j² is smaller than 1/j, but 1/v + 1/j is at most 1.21 times 1/v + v/j².

φ is estimated from the distances between c and each model's d. The distances are larger than chance explains if votes
of one voter depend on each other, if strengths drift, or if the snapshots do not change. The estimate is a median, so
that a few models that changed do not make φ large. φ is at least 1.1. With fewer than 40 models it is at least 1.5, and
with fewer than 8 models it is 1.5, because a few distances give no precise estimate.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.vocabulary.arrays import Bool, Float64

BAND = 0.05
"""How far the logit of an unchanged model may drift, in logits."""

SIZES = np.array([0.25, 0.5])
"""The sizes δ of a change, in logits."""

_LEAST_SPREAD, _UNKNOWN_SPREAD = 1.1, 1.5
_FEWEST, _FEWEST_FOR_SPREAD, _FEWEST_FOR_CERTAIN_SPREAD = 3, 8, 40
# Information with which a sum of votes is nearly normal.
_LEAST_INFORMATION = 10.0
_MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class ShiftRatios:
    """The likelihood ratios of m models for a change that began in one of s slots.

    Attributes:
        logs: float64[m, 2, s], ln of the ratio, averaged over the sizes of the change. The second axis is the
            directions "better" and "worse", the third the slot in which the change may have begun. An entry with too
            few votes is −∞.
        spread: float64[s], for each slot the factor φ, by which the variance of a model's results is larger than for
            independent votes.
    """

    logs: Float64
    spread: Float64

    def log_sum(self) -> Float64:
        """Return float64[m, 2], ln of the sum of the ratios over all slots, for each model and direction."""
        return np.asarray(np.logaddexp.reduce(self.logs, axis=2))


def shift_ratios(
    excess: Float64, information: Float64, begun: Bool, earlier_excess: Float64, earlier: Float64
) -> ShiftRatios:
    """Compute the likelihood ratios of m models for a change at the start of each of s slots.

    Args:
        excess, information: float64[m, s], excess and information of each model in each slot (`model_shift_sums`).
        begun: bool[s], false for slots that are not used yet, whose sums are 0.
        earlier_excess: float64[m], excess of all votes before the first slot.
        earlier: float64[m], information of these votes.
    """
    since, about = (np.cumsum(sums[:, ::-1], axis=1)[:, ::-1] for sums in (excess, information))
    learned = earlier_excess[:, None] + np.cumsum(excess, axis=1) - excess
    known = earlier[:, None] + np.cumsum(information, axis=1) - information
    enough = begun & (about >= _LEAST_INFORMATION) & (known >= _LEAST_INFORMATION)
    enough &= enough.sum(axis=0) >= _FEWEST
    shift = np.divide(since, about, out=np.zeros_like(since), where=enough)
    usual = np.divide(learned, known, out=np.zeros_like(since), where=enough)
    v, j = np.where(enough, about, 1.0), np.where(enough, known, 1.0)
    error = 1 / v + v / j**2
    common = _medians(shift - usual, enough)
    spread = _spreads((shift - usual - common) / np.sqrt(error), enough)
    variance = spread * error
    logs = np.empty((len(shift), 2, shift.shape[1]))
    for i, sign in enumerate((1.0, -1.0)):
        limit = BAND + np.maximum(sign * usual, 0) + np.maximum(sign * common, 0)
        sizes = SIZES[:, None, None]
        each = (sizes * (sign * shift - limit) - sizes**2 / 2) / variance
        logs[:, i] = np.where(enough, np.logaddexp.reduce(each, axis=0) - math.log(len(SIZES)), -np.inf)
    return ShiftRatios(logs, spread)


def _medians(values: Float64, known: Bool) -> Float64:
    """Return, for each column, the median of its known values over the models; 0 for a column without such values."""
    columns = [values[rows, i] for i, rows in enumerate(known.T)]
    return np.array([float(np.median(column)) if len(column) else 0.0 for column in columns])


def _spreads(scores: Float64, known: Bool) -> Float64:
    """Return φ for each slot, estimated from the spread of the scores. The slot's variances are multiplied by φ.

    Args:
        scores: float64[m, slots], standard scores of the models.
        known: bool[m, slots], false where a model has too few votes for a score.
    """
    count = known.sum(axis=0)
    estimated = (_MAD_TO_SD * _medians(np.abs(scores), known)) ** 2
    least = np.where(count < _FEWEST_FOR_CERTAIN_SPREAD, _UNKNOWN_SPREAD, _LEAST_SPREAD)
    return np.where(count < _FEWEST_FOR_SPREAD, _UNKNOWN_SPREAD, np.maximum(estimated, least))
