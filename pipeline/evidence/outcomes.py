"""What an honest voter would do, and how much each alternative explains better.

The probabilities come from the snapshot in force before the vote, never from data that holds the
vote. Three outcomes: P(a) = (1 − t) σ(θ_a − θ_b), P(b) likewise, P(tie) = t, with θ fitted on
decisive votes and t the share of ties.

Honest taste differs: every ratio is taken against the worst honest voter whose logit is within
η + 2 SE(θ_a − θ_b) of the board's. It is an e-value for every such voter. For one side η = 0.5; against the rating √2
times as much, as a pair's logit differs by two tastes. For alternatives about one model η is wider the more votes the
voter has cast on it (BANDS): a few votes tell nothing about a taste, and hundreds tell a taste from nothing.

Honest readiness to tie differs even more, and whoever votes for a model ties on it more rarely than on others. So the
alternatives about one model hold a voter against its own ties: on a decided battle, who won; on every battle, whether
it was a tie. The honest side is the beta-binomial prediction from the voter's earlier votes on any model, times how
much rarer ties are between models that far apart (Davidson 1970) than between equals, which have the board's share. On
the real board equals have 5% more, and of ten models nine have at least 90% of what this lets expect; one that is a
little below costs nothing, as the alternatives are further away (TIES_KEPT).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from pipeline.evidence.fixed import log_units
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64

DELTAS = (0.7, 1.5, 3.0)
"""Sizes of a bias, in logits: half strength, strong, nearly always."""

TASTE = 0.5
"""η, the band of honest taste in logits (one standard deviation of the simulated honest voters)."""

BANDS = ((0.25, 0.3, 0.9, 1.5), (0.5, 0.8, 1.2, 1.5))
"""η about one model, for the first 30 votes on it, up to the 90th, up to the 140th, and beyond: of the model that a
voter gets to first, and of every other.

An attacker's target is the one it gets to first. A busy honest voter has a taste for every model, and that each of ten
may lie outside a narrow band is ten times as many false alarms; so only one model has the narrow one. Measured on
voters with tastes of sd .5 for every model: of 450 with 100 votes on each of twenty models .7% alarm. One band for all
(.3, .4, .8) alarms on 1.8% of such voters, and finds fewer of those at half strength.
"""

FEWEST_MODELS = 20
"""On a board of fewer all bands are wide: a taste is seen against few others, again and again. Of 2,400 voters with 120
votes on each of ten models 1.3% alarm with a narrow band, .6% without."""

TIES_KEPT = (0.65, 0.4, 0.15)
"""Of the honest ties on its model, what a biased voter of each of DELTAS still casts."""

TIE_LEVELS = 256
"""Expected shares of ties are rounded down to 256ths: a smaller one is an honest voter who ties more rarely, so
rounding costs a little power and no validity."""

_BAND_ENDS = np.array([30, 90, 140])

UNIFORM_BAND = 0.015
"""η of clicks at random. A band of honest taste would take all the power; this little one pays for tastes and estimated
ratings. Without it 1.3% of 3,000 honest voters alarmed at α = 1%, with it 1.0%, and clicks are found after 79 votes
instead of 70."""

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
        """int64[8, K, K, 2, 3]: log-ratio of "i is promoted by δ" when i met j and (0) j won, (1) i won.

        The first axis is the band (`band_of`). "j is demoted by δ" is the same with "j loses": read [i, j] for it too.
        What the battle's being decided says, or its being a tie, comes on top: see `TARGET_TIES`.
        """
        difference, error = self._difference
        p = np.clip(expit(difference), _TINY, 1 - _TINY)
        narrow, wide = BANDS
        bands = np.array([*(wide if len(self.theta) < FEWEST_MODELS else narrow), *wide])
        # A taste for one model is seen against those for the others.
        bands *= np.sqrt(len(self.theta) / max(len(self.theta) - 1, 1))
        worst = expit(logit(p) + error + bands[:, None, None])[..., None]
        odds = np.exp(np.array(DELTAS))
        biased = odds * worst / (odds * worst + 1 - worst)
        ratios = np.stack([np.log1p(-biased) - np.log1p(-worst), np.log(biased) - np.log(worst)], axis=3)
        return log_units(ratios)

    @cached_property
    def _least_ties(self) -> Float64:
        """Of a voter's share of ties what is left between i and j at least, float64[K, K]."""
        t = np.clip(self.tie_share, _TINY, 1 - _TINY)
        even = 2 * t / (1 - t)  # Davidson's ν, if t is the share between equals
        return np.asarray(even / (even + 2 * np.cosh(self._difference[0] / 2)) / t)

    def own_ties(self, ties_before: Int64, votes_before: Int64) -> Float64:
        """The share of ties to expect of a voter after its earlier votes: the mean of the beta-binomial.

        Args:
            ties_before, votes_before: arrays of length n.
        """
        alpha, beta = self.tie_prior
        return np.asarray((alpha + ties_before) / (alpha + beta + votes_before))

    def tie_level(self, a: Int64, b: Int64, own: Float64) -> Int64:
        """How seldom an honest voter may tie on a battle, int64[n]: a row of `TARGET_TIES`.

        Args:
            a, b: positions of the models.
            own: as of `own_ties`.
        """
        level = (own * self._least_ties[a, b] * TIE_LEVELS).astype(np.int64)
        return np.minimum(level, TIE_LEVELS - 1)  # of a board of nothing but ties

    @cached_property
    def generic(self) -> Int64:
        """int64[K, K, 3, 4]: log-ratio of left, right, against the rating and uniform for outcome a, b, tie.

        Against the rating: half the time for the weaker model as such, half the time as an honest voter would with
        win and loss swapped. The first three are banded. Uniform is all but not (UNIFORM_BAND): it looks at decisive
        votes only, and its error rate is measured, not proved.
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
        ratios[..., 0, 3] = np.log(0.5) - np.log(expit(difference + UNIFORM_BAND))
        ratios[..., 1, 3] = np.log(0.5) - np.log(expit(UNIFORM_BAND - difference))
        return log_units(ratios)

    @cached_property
    def largest(self) -> Int32:
        """int32[K, K, 3]: the largest banded log-ratio of any alternative for outcome a, b, tie; at least 0.

        0 stands for the alternatives about models that are not in the vote. On a decided battle `MOST_BY_TIES` comes
        on top; a tie is evidence against every alternative about a model.
        """
        best = np.maximum(self.generic[..., :3].max(axis=3), 0)
        target = self.targets.max(axis=(0, 4))
        for outcome in range(2):
            about_a, about_b = target[..., int(outcome == 0)], target[..., int(outcome == 1)].T
            np.maximum(best[..., outcome], np.maximum(about_a, about_b), out=best[..., outcome])
        small: Int32 = best.astype(np.int32)
        return small

    @staticmethod
    def band_of(votes: Int64, first: Bool) -> Int64:
        """The band (first axis of `targets`) of a vote on a model.

        Args:
            votes: the voter's votes on it before.
            first: whether it is the model that the voter got to first.
        """
        return np.searchsorted(_BAND_ENDS, votes, side="right") + np.where(first, 0, len(BANDS[0]))

    @staticmethod
    def tie_ratio(tied: Bool, own: Float64) -> Int64:
        """Log-ratio of "ties at random" (half of the time) against the voters' own tie shares.

        Args:
            tied: bool[n].
            own: as of `own_ties`, float64[n].
        """
        return log_units(np.log(0.5) - np.log(np.where(tied, own, 1 - own)))


def _target_ties() -> Int64:
    least = np.arange(TIE_LEVELS)[:, None] / TIE_LEVELS
    kept = np.array(TIES_KEPT)
    decided = np.log1p(-kept * least) - np.log1p(-least)
    return log_units(np.stack([decided, np.broadcast_to(np.log(kept), decided.shape)], axis=1))


TARGET_TIES = _target_ties()
"""int64[256, 2, 3]: log-ratio of a biased voter of each of DELTAS on a battle that (0) was decided, (1) was a tie, for
each `Reference.tie_level`."""

MOST_BY_TIES = TARGET_TIES[:, 0].max(axis=1)
"""int64[256]: the largest of them on a decided battle; none is positive on a tie."""
