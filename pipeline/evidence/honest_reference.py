"""Computes probabilities of an honest voter's votes, and likelihood ratios of each alternative against them.

The probabilities come from a snapshot that was published before the vote, never from data that includes the vote. A
vote has three outcomes: P(tie) = t, P(a) = (1 − t) σ(θ_a − θ_b) and P(b) = (1 − t) σ(θ_b − θ_a). The strengths θ are
fitted on decisive votes, t is the share of ties, and σ is the logistic function.

Honest voters have different tastes. A voter counts as honest if the voter's logit of each win is within
η + 2 SE(θ_a − θ_b) of the board's logit; η is called the band. Each likelihood ratio is computed against the least
favourable honest voter, who makes the ratio smallest. The ratio is then an e-value for every such voter. η is 0.5 for
the alternative "always one side". It is √2 times 0.5 for "against the rating", since the tastes for both models enter
the logit of a pair. For alternatives about one model, η is twice the taste that was estimated for the board plus the
standard error of that estimate (`Taste.band`). This η grows with the voter's number of votes on that model
(BAND_GROWTH), since a taste shows only in many votes.

Honest voters' shares of ties differ even more than their tastes. A voter who favours a model casts fewer ties on that
model than on others. So every alternative has two ratios: one for who won, if the battle was decided, and one for
whether it was a tie (`tie_ratios`). The honest probability of a tie is predicted from the voter's own earlier votes
(beta-binomial). Models of different strength tie more rarely, so the probability is multiplied by a factor below 1 for
them (Davidson 1970). On the real board equal models have 5% more ties than the board's share, and nine of ten models
have at least 90% of the predicted ties. The alternatives assume far fewer ties (TIES_KEPT).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from pipeline.evidence.fixed_point import to_log_units
from pipeline.evidence.taste import ASSUMED_TASTE, Taste
from pipeline.evidence.tie_ratios import GENERIC_TIE_RATIOS, TIE_LEVELS
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64

DELTAS = (0.7, 1.5, 3.0)
"""The tested sizes δ of a bias for or against a model, in logits. With δ = 3, nearly all votes follow the bias."""

TASTE = 0.5
"""The band η: largest difference between an honest voter's logit of a win and the board's logit, in logits.

η is one standard deviation of the taste of the simulated honest voters.
"""

BAND_GROWTH = (1.0, 1.2, 2.0, 3.0)
"""Multiples of the band η for the voter's votes 1 to 30 on a model, 31 to 90, 91 to 140, and all later votes."""

_BAND_ENDS = np.array([30, 90, 140])

UNIFORM_BAND = 0.015
"""The band η for the alternative "clicks at random", in logits.

This band must be small: with a band as wide as TASTE, random clicks would never be found. Of 3,000 honest voters, 1.0%
raise an alert at α = 1% with this band and 1.3% without a band. Random clicks are found after 79 votes with the band
and after 70 votes without it.
"""

EXPECTED_UNIT = 2.0**-10
"""The unit of the expected wins that are summed over a window. Each summand is rounded up to this unit.

Rounding up makes the evidence slightly weaker, but never invalid. In whole units, the sums compress to a few bytes.
"""

CHANCE_UNIT = 2.0**-16
"""The unit of the chances that are summed over a voter's votes on a model (`cells`)."""

# Probabilities in decided battles of a voter who always presses one side, with a few slips: that side, the other.
_ONE_SIDED = (0.98, 0.02)
# "Against the rating" is a mixture: this share always votes for the weaker model, the rest swaps win and loss.
_ONE_SIDED_SHARE = 0.5
# Keeps logarithms finite where two models are 25 logits apart.
_TINY = 1e-12


@dataclass(frozen=True)
class Reference:
    """The honest behaviour that one snapshot predicts, and the likelihood ratios of every alternative against it.

    Attributes:
        sequence: sequence number of the snapshot.
        model_no: int64[K], model number (model_no) of each of the K models.
        theta: float64[K], strengths of the models in logits, fitted on decisive votes.
        covariance: float64[K, K], covariance of `theta`.
        tie_share: t, the share of votes with the outcome `tie` or `both_bad`.
        tie_prior: α and β of the beta distribution of the share of ties over voters.
        taste: how much the voters differ in taste.
        providers: int64[K], a number for the provider of each model, −1 if unknown; None if no provider is known.
        left_out: bits of the flags by which the snapshot's method leaves a vote out; such a vote is no evidence.
    """

    sequence: int
    model_no: Int64
    theta: Float64
    covariance: Float64
    tie_share: float
    tie_prior: tuple[float, float]
    taste: Taste = ASSUMED_TASTE
    providers: Int64 | None = None
    left_out: int = 0

    @cached_property
    def provider(self) -> Int64:
        """int64[K], for each model an integer that identifies its provider, −1 if unknown."""
        return np.full(len(self.theta), -1, dtype=np.int64) if self.providers is None else self.providers

    def index_of(self, numbers: Int64) -> Int64:
        """Return int64[n], the position in `theta` of each model, −1 for a model that the snapshot lacks.

        Args:
            numbers: int64[n], model numbers (model_no).
        """
        known = (numbers >= 0) & (numbers < len(self._positions))
        return np.where(known, self._positions[np.where(known, numbers, 0)], -1)

    def has_both(self, model_a: Int64, model_b: Int64) -> Bool:
        """Return bool[n], true for each vote whose two models are both in the snapshot.

        Args:
            model_a, model_b: int64[n], model numbers (model_no).
        """
        return (self.index_of(model_a) >= 0) & (self.index_of(model_b) >= 0)

    @cached_property
    def _positions(self) -> Int64:
        positions = np.full(int(self.model_no.max(initial=0)) + 1, -1, dtype=np.int64)
        positions[self.model_no] = np.arange(len(self.model_no))
        return positions

    @cached_property
    def _difference(self) -> tuple[Float64, Float64]:
        """Two arrays float64[K, K]: θ_i − θ_j, and twice its standard error, by which a band is widened."""
        variance = np.diag(self.covariance)
        spread = variance[:, None] + variance[None, :] - 2 * self.covariance
        return self.theta[:, None] - self.theta[None, :], 2 * np.sqrt(np.maximum(spread, 0))

    @cached_property
    def expected_wins(self) -> Int64:
        """The probability that model i wins a vote against model j: int64[K, K], in units of 2⁻¹⁰, rounded up."""
        difference, _ = self._difference
        units: Int64 = np.ceil((1 - self.tie_share) * expit(difference) / EXPECTED_UNIT).astype(np.int64)
        return units

    @cached_property
    def high_chances(self) -> Int64:
        """The largest chance, within two standard errors, that model i wins a decided battle against model j.

        The array is int64[K, K] in units of CHANCE_UNIT, rounded up. The smallest chance that i wins is 1 minus the
        entry (j, i).
        """
        difference, error = self._difference
        units: Int64 = np.ceil(expit(difference + error) / CHANCE_UNIT).astype(np.int64)
        return units

    @cached_property
    def tie_factors(self) -> Int64:
        """The chance that i and j tie, divided by the chance that two equal models tie: int64[K, K], rounded down.

        The unit is CHANCE_UNIT.
        """
        units: Int64 = np.floor(self._least_ties / CHANCE_UNIT).astype(np.int64)
        return units

    @cached_property
    def target_ratios(self) -> Int64:
        """Log-likelihood ratios, in decided battles of i and j, of the alternative that the logit of i is raised by δ.

        The null hypothesis is the honest voter in the band who makes the ratio smallest. The array is int64[4, K, K, 2,
        3] in units of 2⁻²⁰ nats. Its axes are the band (`taste_band`), i, j, the winner (0: j, 1: i), and the δ in
        DELTAS. The alternative that j is demoted by δ has the same ratio, since it changes the logit of this pair
        equally. The total ratio of a battle also includes the tie ratio in `TARGET_TIE_RATIOS`.
        """
        difference, error = self._difference
        p = np.clip(expit(difference), _TINY, 1 - _TINY)
        # A taste for one model is measured against the tastes for the others.
        bands = self.taste.band * np.array(BAND_GROWTH) * np.sqrt(len(self.theta) / max(len(self.theta) - 1, 1))
        honest = expit(logit(p) + error + bands[:, None, None])[..., None]
        odds = np.exp(np.array(DELTAS))
        biased = odds * honest / (odds * honest + 1 - honest)
        ratios = np.stack([np.log1p(-biased) - np.log1p(-honest), np.log(biased) - np.log(honest)], axis=3)
        return to_log_units(ratios)

    @cached_property
    def _least_ties(self) -> Float64:
        """Probability of a tie between i and j, divided by that between equal models: float64[K, K], at most 1."""
        t = np.clip(self.tie_share, _TINY, 1 - _TINY)
        even = 2 * t / (1 - t)  # Davidson's ν, with t the share between equal models
        return np.asarray(even / (even + 2 * np.cosh(self._difference[0] / 2)) / t)

    def expected_tie_share(self, ties_before: Int64, votes_before: Int64) -> Float64:
        """Return float64[n], the share of ties expected of each vote's voter, given the voter's earlier votes.

        The share is the posterior mean (α + ties) / (α + β + votes) with `tie_prior` = (α, β).

        Args:
            ties_before: int64[n], number of the voter's ties before each vote.
            votes_before: int64[n], number of the voter's votes before each vote.
        """
        alpha, beta = self.tie_prior
        return np.asarray((alpha + ties_before) / (alpha + beta + votes_before))

    def tie_level(self, a: Int64, b: Int64, own: Float64) -> Int64:
        """Return int64[n], the honest probability of a tie in each battle, as a row number of `TARGET_TIE_RATIOS`.

        The honest probability is `own` times the factor by which unequal models tie more rarely, rounded down.

        Args:
            a, b: int64[n], positions of the two models in `theta`.
            own: float64[n], the voter's expected share of ties, from `expected_tie_share`.
        """
        level = (own * self._least_ties[a, b] * TIE_LEVELS).astype(np.int64)
        return np.minimum(level, TIE_LEVELS - 1)  # reached where every vote is a tie

    @cached_property
    def generic_ratios(self) -> Int64:
        """Log-likelihood ratios, in decided battles, of the four alternatives that are not about one model.

        The array is int64[K, K, 2, 4] in units of 2⁻²⁰ nats. Its axes are model a, model b, the winner (a, b), and the
        alternative: always left, always right, against the rating, clicks at random. "Against the rating" mixes two
        behaviours in equal parts: votes for the weaker model, and an honest voter's votes with win and loss swapped.
        The first three alternatives use the band TASTE, and their total ratio also includes the ratio in
        `GENERIC_TIE_RATIOS`. "Clicks at random" uses the smaller UNIFORM_BAND, widened by one standard error of the
        pair; its error rate is measured, not proved.
        """
        difference, error = self._difference
        same, other = _ONE_SIDED
        ratios = np.zeros((*difference.shape, 2, 4))
        for outcome, sign in enumerate((-1, 1)):
            one_side = np.log(expit(TASTE + error - sign * difference))
            ratios[..., outcome, 0] = np.log((same, other)[outcome]) - one_side
            ratios[..., outcome, 1] = np.log((other, same)[outcome]) - one_side
            honest = expit(error + TASTE * 2**0.5 - sign * difference)
            one_sided = np.where(sign * difference > 0, same, other)
            swapped = expit(sign * difference)
            ratios[..., outcome, 2] = np.log((_ONE_SIDED_SHARE * one_sided + (1 - _ONE_SIDED_SHARE) * swapped) / honest)
            ratios[..., outcome, 3] = np.log(0.5) - np.log(expit(UNIFORM_BAND + error / 2 - sign * difference))
        return to_log_units(ratios)

    def generic_steps(self, a: Int64, b: Int64, outcome: Int64, level: Int64) -> Int64:
        """Return each vote's log-likelihood ratios for three alternatives: always left, always right, against ratings.

        The null hypothesis is the honest voter in the band who makes the ratio smallest. The ratio also covers whether
        the outcome was a tie.

        Args:
            a, b: int64[n], positions of the two models in `theta`.
            outcome: int64[n], 0 (a wins), 1 (b wins), or 2 (tie).
            level: int64[n], the honest probability of a tie, as a row number from `tie_level`.

        Returns:
            int64[n, 3] in units of 2⁻²⁰ nats.
        """
        tied = outcome == 2
        decided = self.generic_ratios[a, b, np.where(tied, 0, outcome), :3]
        return np.asarray(np.where(tied[:, None], 0, decided) + GENERIC_TIE_RATIOS[level, tied.astype(np.int64)])

    @cached_property
    def largest_ratios(self) -> Int32:
        """The largest log-likelihood ratio of a vote over all alternatives except "clicks at random", at least 0.

        The array is int32[K, K, 3] in units of 2⁻²⁰ nats. Its axes are model a, model b and the outcome (a, b, tie). No
        entry is negative, since alternatives about other models have the log-ratio 0 in this vote. The ratios for
        whether the battle was a tie are not included: to bound the total ratio of a vote, add `MAX_TIE_RATIO`.
        """
        best = np.zeros((*self.generic_ratios.shape[:2], 3), dtype=np.int64)
        np.maximum(self.generic_ratios[..., :3].max(axis=3), 0, out=best[..., :2])
        target = self.target_ratios.max(axis=(0, 4))
        for outcome in range(2):
            about_a, about_b = target[..., int(outcome == 0)], target[..., int(outcome == 1)].T
            np.maximum(best[..., outcome], np.maximum(about_a, about_b), out=best[..., outcome])
        small: Int32 = best.astype(np.int32)
        return small

    @staticmethod
    def taste_band(votes: Int64) -> Int64:
        """Return int64[n], the band for each vote on a model, as a position on the first axis of `target_ratios`.

        The band grows with the voter's number of votes on the model (BAND_GROWTH).

        Args:
            votes: int64[n], number of the voter's earlier votes on the model.
        """
        return np.searchsorted(_BAND_ENDS, votes, side="right")

    @staticmethod
    def random_tie_ratio(tied: Bool, own: Float64) -> Int64:
        """Return the log-likelihood ratio of the alternative "each vote is a tie with probability ½".

        The result is int64[n] in units of 2⁻²⁰ nats. The null hypothesis is the voter's own share of ties.

        Args:
            tied: bool[n], whether the vote is a tie.
            own: float64[n], the voter's expected share of ties, from `expected_tie_share`.
        """
        return to_log_units(np.log(0.5) - np.log(np.where(tied, own, 1 - own)))
