"""How an honest voter would vote, and how much better each alternative explains a vote.

The probabilities come from a snapshot published before the vote, never from data that includes the vote. Three
outcomes: P(tie) = t, P(a) = (1 − t) σ(θ_a − θ_b), P(b) = (1 − t) σ(θ_b − θ_a), with strengths θ fitted on decisive
votes, t the share of ties and σ the logistic function.

Honest tastes differ. Every ratio is taken against the least favourable honest voter whose logit is within η + 2 SE(θ_a
− θ_b) of the board's, so the ratio is an e-value for every such voter. η is 0.5 for the alternative "always one side",
and √2 times that for "against the rating", since a pair's logit differs by two tastes. For alternatives about one model
η grows with the voter's votes on that model (BANDS): a few votes do not show a taste, hundreds do.

Honest shares of ties differ even more, and a voter who favours a model ties on that model more rarely than on others.
So the alternatives about one model compare a voter with the voter's own ties: on a decided battle, who won; on every
battle, whether it was a tie. The honest probability of a tie is the beta-binomial prediction from the voter's earlier
votes on any model, times a factor below 1 for models of different strength (Davidson 1970), whose ties are rarer than
the board's share. On the real board equal models have 5% more ties than the board's share, and nine of ten models have
at least 90% of the predicted ties. The alternatives are further away (TIES_KEPT).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from pipeline.evidence.fixed_point import to_log_units
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64

DELTAS = (0.7, 1.5, 3.0)
"""Sizes of a bias, in logits: half strength, strong, nearly always."""

TASTE = 0.5
"""η, the band of honest taste in logits: one standard deviation of the simulated honest voters."""

BANDS = ((0.25, 0.3, 0.9, 1.5), (0.5, 0.8, 1.2, 1.5))
"""η about one model, for the first 30 votes on it, up to the 90th, up to the 140th, and beyond: first for the voter's
first ranked model, then for every other.

An attacker's target is its first ranked model. A busy honest voter has a taste for every model; a narrow band for each
of ten would give ten times as many false alarms, so only one model has it. Measured on voters with tastes of sd .5 for
every model: of 450 with 100 votes on each of twenty models .7% alarm. One band for all models (.3, .4, .8) alarms on
1.8% of such voters and finds fewer attackers at half strength.
"""

FEWEST_MODELS = 20
"""With fewer models all bands are wide, because a taste shows against few others, repeatedly. Of 2,400 voters with 120
votes on each of ten models 1.3% alarm with a narrow band, .6% without."""

TIES_KEPT = (0.65, 0.4, 0.15)
"""The share of honest ties on its model that a biased voter still casts, for each of DELTAS."""

TIE_LEVELS = 256
"""Expected shares of ties are rounded down to 256ths. A smaller share means an honest voter who ties more rarely, so
rounding costs a little power and no validity."""

_BAND_ENDS = np.array([30, 90, 140])

UNIFORM_BAND = 0.015
"""η of random clicks. The band of honest taste would leave no power; this small one allows for tastes and estimated
ratings. Without it 1.3% of 3,000 honest voters alarmed at α = 1%, with it 1.0%, and random clicks are found after 79
votes instead of 70."""

EXPECTED_UNIT = 2.0**-10
"""Unit of the expected wins that are summed over a window. Rounding up by at most a thousandth costs a little power and
no validity, and the sums compress to a few bytes."""

# Probabilities of a voter who always presses one side, with a few slips: (that side, the other, tie).
_ONE_SIDED = (0.96, 0.02, 0.02)
# "Against the rating" is a mixture: this share always votes for the weaker model, the rest swaps win and loss.
_ONE_SIDED_SHARE = 0.5
# Keeps logarithms finite where two models are 25 logits apart.
_TINY = 1e-12


@dataclass(frozen=True)
class Reference:
    """Honest behaviour according to a snapshot, and the likelihood ratios of every alternative.

    Attributes:
        sequence: number of the snapshot.
        model_no: int64[K], the store's number of each model.
        theta: float64[K], strengths in logits, fitted on decisive votes.
        covariance: float64[K, K], covariance of `theta`.
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
        """Return the position of each model number in `theta`, −1 if the snapshot lacks the model."""
        known = (numbers >= 0) & (numbers < len(self._positions))
        return np.where(known, self._positions[np.where(known, numbers, 0)], -1)

    def has_both(self, model_a: Int64, model_b: Int64) -> Bool:
        """Return bool[n], true where the snapshot has both models of a vote."""
        return (self.index_of(model_a) >= 0) & (self.index_of(model_b) >= 0)

    @cached_property
    def _positions(self) -> Int64:
        positions = np.full(int(self.model_no.max(initial=0)) + 1, -1, dtype=np.int64)
        positions[self.model_no] = np.arange(len(self.model_no))
        return positions

    @cached_property
    def _difference(self) -> tuple[Float64, Float64]:
        """θ_i − θ_j, and two standard errors of that difference, by which a band is widened; float64[K, K] each."""
        variance = np.diag(self.covariance)
        spread = variance[:, None] + variance[None, :] - 2 * self.covariance
        return self.theta[:, None] - self.theta[None, :], 2 * np.sqrt(np.maximum(spread, 0))

    @cached_property
    def expected_wins(self) -> Int64:
        """P(i wins against j), where a tie is no win: int64[K, K] in units of 2⁻¹⁰, rounded up."""
        difference, _ = self._difference
        units: Int64 = np.ceil((1 - self.tie_share) * expit(difference) / EXPECTED_UNIT).astype(np.int64)
        return units

    @cached_property
    def target_ratios(self) -> Int64:
        """Log-ratios of "i is promoted by δ" against an honest voter, for decided battles of i and j.

        int64[8, K, K, 2, 3]; the axes: the band (`taste_band`), i, j, the winner (0: j, 1: i), and δ of DELTAS. "j is
        demoted by δ" means the same for this pair, so [i, j] holds its ratio too. Add the log-ratio of the battle being
        decided or tied: see `TARGET_TIE_RATIOS`.
        """
        difference, error = self._difference
        p = np.clip(expit(difference), _TINY, 1 - _TINY)
        narrow, wide = BANDS
        bands = np.array([*(wide if len(self.theta) < FEWEST_MODELS else narrow), *wide])
        # A taste for one model is measured against the tastes for the others.
        bands *= np.sqrt(len(self.theta) / max(len(self.theta) - 1, 1))
        honest = expit(logit(p) + error + bands[:, None, None])[..., None]
        odds = np.exp(np.array(DELTAS))
        biased = odds * honest / (odds * honest + 1 - honest)
        ratios = np.stack([np.log1p(-biased) - np.log1p(-honest), np.log(biased) - np.log(honest)], axis=3)
        return to_log_units(ratios)

    @cached_property
    def _least_ties(self) -> Float64:
        """The probability of a tie between i and j divided by that between equal models: float64[K, K]."""
        t = np.clip(self.tie_share, _TINY, 1 - _TINY)
        even = 2 * t / (1 - t)  # Davidson's ν, with t the share between equal models
        return np.asarray(even / (even + 2 * np.cosh(self._difference[0] / 2)) / t)

    def expected_tie_share(self, ties_before: Int64, votes_before: Int64) -> Float64:
        """Return each voter's expected share of ties, given its earlier votes: the mean of the beta-binomial.

        Args:
            ties_before, votes_before: arrays of length n, the voter's ties and votes before each vote.
        """
        alpha, beta = self.tie_prior
        return np.asarray((alpha + ties_before) / (alpha + beta + votes_before))

    def tie_level(self, a: Int64, b: Int64, own: Float64) -> Int64:
        """Return int64[n], the least honest probability of a tie on each battle, as a row of `TARGET_TIE_RATIOS`.

        Args:
            a, b: positions of the models in `theta`.
            own: the voter's tie share, from `expected_tie_share`.
        """
        level = (own * self._least_ties[a, b] * TIE_LEVELS).astype(np.int64)
        return np.minimum(level, TIE_LEVELS - 1)  # reached where every vote is a tie

    @cached_property
    def generic_ratios(self) -> Int64:
        """Log-ratios of four alternatives against an honest voter: int64[K, K, 3, 4].

        The axes: model a, model b, the outcome (a, b, tie), and the alternative (left, right, against the rating,
        uniform). "Against the rating" is a mixture: half of the votes go to the weaker model, half swap win and loss of
        an honest voter. The first three alternatives allow the band of honest taste. "Uniform" allows a small band
        (UNIFORM_BAND) and uses decisive votes only; its error rate is measured, not proved.
        """
        difference, error = self._difference
        band = TASTE + error
        t = np.clip(self.tie_share, _TINY, 1 - _TINY)
        honest_a = (1 - t) * expit(difference + band)
        honest_b = (1 - t) * expit(band - difference)
        same, other, tie = _ONE_SIDED
        ratios = np.zeros((*difference.shape, 3, 4))
        for column, (on_a, on_b) in enumerate(((same, other), (other, same))):
            ratios[..., 0, column] = np.log(on_a / honest_a)
            ratios[..., 1, column] = np.log(on_b / honest_b)
            ratios[..., 2, column] = np.log(tie / t)
        for outcome, sign in enumerate((-1, 1)):
            honest = (1 - t) * expit(error + TASTE * 2**0.5 - sign * difference)
            one_sided = np.where(sign * difference > 0, same, other)
            swapped = (1 - t) * expit(sign * difference)
            ratios[..., outcome, 2] = np.log((_ONE_SIDED_SHARE * one_sided + (1 - _ONE_SIDED_SHARE) * swapped) / honest)
        ratios[..., 2, 2] = np.log((_ONE_SIDED_SHARE * tie + (1 - _ONE_SIDED_SHARE) * t) / t)
        ratios[..., 0, 3] = np.log(0.5) - np.log(expit(difference + UNIFORM_BAND))
        ratios[..., 1, 3] = np.log(0.5) - np.log(expit(UNIFORM_BAND - difference))
        return to_log_units(ratios)

    @cached_property
    def largest_ratios(self) -> Int32:
        """The largest log-ratio over the alternatives that allow a band of taste, at least 0: int32[K, K, 3].

        The axes: model a, model b, the outcome (a, b, tie). 0 is the log-ratio of alternatives about other models. On a
        decided battle `MAX_TIE_RATIO` must be added; a tie is evidence against every alternative about a model.
        """
        best = np.maximum(self.generic_ratios[..., :3].max(axis=3), 0)
        target = self.target_ratios.max(axis=(0, 4))
        for outcome in range(2):
            about_a, about_b = target[..., int(outcome == 0)], target[..., int(outcome == 1)].T
            np.maximum(best[..., outcome], np.maximum(about_a, about_b), out=best[..., outcome])
        small: Int32 = best.astype(np.int32)
        return small

    @staticmethod
    def taste_band(votes: Int64, first: Bool) -> Int64:
        """Return the band (first axis of `target_ratios`) of each vote on a model.

        Args:
            votes: the voter's earlier votes on the model.
            first: whether the model is the voter's first ranked model.
        """
        return np.searchsorted(_BAND_ENDS, votes, side="right") + np.where(first, 0, len(BANDS[0]))

    @staticmethod
    def random_tie_ratio(tied: Bool, own: Float64) -> Int64:
        """Return the log-ratio of "half of all votes are ties, at random" against the voter's own tie share.

        Args:
            tied: bool[n], whether the vote is a tie.
            own: float64[n], the voter's tie share, from `expected_tie_share`.
        """
        return to_log_units(np.log(0.5) - np.log(np.where(tied, own, 1 - own)))


def _target_tie_ratios() -> Int64:
    least = np.arange(TIE_LEVELS)[:, None] / TIE_LEVELS
    kept = np.array(TIES_KEPT)
    decided = np.log1p(-kept * least) - np.log1p(-least)
    return to_log_units(np.stack([decided, np.broadcast_to(np.log(kept), decided.shape)], axis=1))


TARGET_TIE_RATIOS = _target_tie_ratios()
"""int64[256, 2, 3]: log-ratio of a biased voter, for each `Reference.tie_level`, for a battle that (0) was decided, (1)
was a tie, and for each of DELTAS."""

MAX_TIE_RATIO = TARGET_TIE_RATIOS[:, 0].max(axis=1)
"""int64[256]: the largest of TARGET_TIE_RATIOS on a decided battle; on a tie none is positive."""
