"""What an honest voter would do, and how much each alternative explains better.

The probabilities come from the snapshot in force before the vote, never from data that holds the
vote. Three outcomes: P(a) = (1 − t) σ(θ_a − θ_b), P(b) likewise, P(tie) = t, with θ fitted on
decisive votes and t the share of ties. With the Bradley-Terry probability and ties as "no win" the
alternatives lose power (8 to 9 of 12 planted voters found instead of 12).

Honest taste differs: every ratio is taken against the worst honest voter whose logit is within
η + 2 SE(θ_a − θ_b) of the board's. It is an e-value for every such voter. For one side η = 0.5; against the rating √2
times as much, as a pair's logit differs by two tastes. For alternatives about one model η is wider the more votes the
voter has cast on it (BANDS): a few votes tell nothing about a taste, and hundreds tell a taste from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from pipeline.evidence.fixed import log_units

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

DELTAS = (0.7, 1.5, 3.0)
"""Sizes of a bias, in logits: half strength, strong, nearly always."""

TASTE = 0.5
"""η, the band of honest taste in logits (one standard deviation of the simulated honest voters)."""

BANDS = (0.4, 0.6, 1.0)
"""η about one model: for the first 30 votes on it, up to the 80th, and beyond.

Measured on voters with tastes of sd .5 for every model. One band of .5 finds no more attackers, and alarms on 2.5% of
honest voters with 200 votes on each of four models, where one taste is seen so often; these alarm on 1.0%.
"""

_BAND_ENDS = np.array([30, 80])

EXPECTED_UNIT = 2.0**-10
"""Unit of an expected win where it is summed over a window: rounding up by up to a thousandth costs a little power
and no validity, and the sums compress to a few bytes."""

# A voter who always presses one side, with room for a slip: (that side, the other, tie).
_ONE_SIDED = (0.96, 0.02, 0.02)
# Of "against the rating" the share that is as one-sided; the rest is honest with win and loss swapped.
_PLAIN = 0.5
# Keeps logarithms finite where two models are 25 logits apart.
_TINY = 1e-12


@dataclass(frozen=True)
class Reference:
    """Honest behaviour as of a snapshot, with the likelihood ratios of every alternative.

    Attributes:
        sequence: number of the snapshot in force.
        model_no: int64[K], the store's number of each model.
        theta: float64[K], logits, fitted on decisive votes.
        covariance: float64[K, K] of theta.
        tie_share: t, the share of ties (both kinds) among votes.
        tie_prior: (α, β) of the beta distribution of the voters' own tie shares.
    """

    sequence: int
    model_no: Int64
    theta: Float64
    covariance: Float64
    tie_share: float
    tie_prior: tuple[float, float]

    def index_of(self, numbers: Int64) -> Int64:
        """Position of each model number in `theta`, −1 where the snapshot lacks it."""
        known = (numbers >= 0) & (numbers < len(self._positions))
        return np.where(known, self._positions[np.where(known, numbers, 0)], -1)

    @cached_property
    def _positions(self) -> Int64:
        positions = np.full(int(self.model_no.max(initial=0)) + 1, -1, dtype=np.int64)
        positions[self.model_no] = np.arange(len(self.model_no))
        return positions

    @cached_property
    def _difference(self) -> tuple[Float64, Float64]:
        """θ_i − θ_j and what its estimation adds to a band, two standard errors; both [K, K]."""
        variance = np.diag(self.covariance)
        spread = variance[:, None] + variance[None, :] - 2 * self.covariance
        return self.theta[:, None] - self.theta[None, :], 2 * np.sqrt(np.maximum(spread, 0))

    @cached_property
    def wins(self) -> Int64:
        """int64[K, K]: P(i wins against j), ties being no win, in units of 2⁻¹⁰, rounded up."""
        difference, _ = self._difference
        units: Int64 = np.ceil((1 - self.tie_share) * expit(difference) / EXPECTED_UNIT).astype(np.int64)
        return units

    @cached_property
    def targets(self) -> Int64:
        """int64[3, K, K, 2, 3]: log-ratio of "i is promoted by δ" when i met j and (0) did not win, (1) won.

        The first axis is the band (`band_of`). "j is demoted by δ" is the same with "j loses": read [i, j] for it too.
        """
        difference, error = self._difference
        p = np.clip((1 - self.tie_share) * expit(difference), _TINY, 1 - _TINY)
        worst = expit(logit(p) + error + np.array(BANDS)[:, None, None])[..., None]
        odds = np.exp(np.array(DELTAS))
        biased = odds * worst / (odds * worst + 1 - worst)
        ratios = np.stack([np.log1p(-biased) - np.log1p(-worst), np.log(biased) - np.log(worst)], axis=3)
        return log_units(ratios)

    @cached_property
    def generic(self) -> Int64:
        """int64[K, K, 3, 4]: log-ratio of left, right, against the rating and uniform for outcome a, b, tie.

        Against the rating: half the time for the weaker model as such, half the time as an honest voter would with
        win and loss swapped. The first three are banded. Uniform is not (a band would take all its power): it looks at
        decisive votes only, and its error rate is measured, not proved.
        """
        difference, error = self._difference
        band = TASTE + error
        t = np.clip(self.tie_share, _TINY, 1 - _TINY)
        worst_a = (1 - t) * expit(difference + band)
        worst_b = (1 - t) * expit(band - difference)
        same, other, tie = _ONE_SIDED
        ratios = np.zeros((*difference.shape, 3, 4))
        for column, (on_a, on_b) in enumerate(((same, other), (other, same))):
            ratios[..., 0, column] = np.log(on_a / worst_a)
            ratios[..., 1, column] = np.log(on_b / worst_b)
            ratios[..., 2, column] = np.log(tie / t)
        for outcome, sign in enumerate((-1, 1)):
            worst = (1 - t) * expit(error + TASTE * 2**0.5 - sign * difference)
            plain = np.where(sign * difference > 0, same, other)
            swapped = (1 - t) * expit(sign * difference)
            ratios[..., outcome, 2] = np.log((_PLAIN * plain + (1 - _PLAIN) * swapped) / worst)
        ratios[..., 2, 2] = np.log((_PLAIN * tie + (1 - _PLAIN) * t) / t)
        ratios[..., 0, 3] = np.log(0.5) - np.log(expit(difference))
        ratios[..., 1, 3] = np.log(0.5) - np.log(expit(-difference))
        return log_units(ratios)

    @cached_property
    def largest(self) -> npt.NDArray[np.int32]:
        """int32[K, K, 3]: the largest banded log-ratio of any alternative for outcome a, b, tie; at least 0.

        0 stands for the alternatives about models that are not in the vote.
        """
        best = np.maximum(self.generic[..., :3].max(axis=3), 0)
        target = self.targets.max(axis=(0, 4))
        for outcome in range(3):
            about_a, about_b = target[..., int(outcome == 0)], target[..., int(outcome == 1)].T
            np.maximum(best[..., outcome], np.maximum(about_a, about_b), out=best[..., outcome])
        small: npt.NDArray[np.int32] = best.astype(np.int32)
        return small

    @staticmethod
    def band_of(votes: Int64) -> Int64:
        """The band (first axis of `targets`) of a vote on a model, from the voter's votes on it before."""
        return np.searchsorted(_BAND_ENDS, votes, side="right")

    def tie_ratio(self, tied: npt.NDArray[np.bool_], ties_before: Int64, votes_before: Int64) -> Int64:
        """Log-ratio of "ties at random" (half of the time) against the voters' own tie shares.

        The honest side is the beta-binomial prediction from the voter's earlier votes.

        Args:
            tied, ties_before, votes_before: arrays of length n.
        """
        alpha, beta = self.tie_prior
        honest = (alpha + ties_before) / (alpha + beta + votes_before)
        return log_units(np.log(0.5) - np.log(np.where(tied, honest, 1 - honest)))
