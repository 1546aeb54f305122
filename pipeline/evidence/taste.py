"""Estimates how much voters differ: in taste, in sharpness, and in their shares of ties.

Taste: a voter's logit of a win of model m differs from the board's by a number. The number is the same in all votes of
the voter. The standard deviation of this number over voters is the taste s. Taste shows as a covariance between a
voter's votes on m. Let r be the residual (win of m minus the board's win probability p) of a decided vote, and w = p(1
− p). A *cell* has the first four votes of one voter on one model, or more votes on a board of few voters
(`jobs.refresh.baseline_reference`). Then for each model

    s² = Σ q [(Σ r)² − Σ r²] / Σ q [(Σ w)² − Σ w²]

with inner sums over the votes of a cell, outer sums over the cells of the model, and the cell's weight q = 1/(1 + Σ w).
The estimate of a board is the median over its models. Only a few votes of each cell count, so that a voter with many
votes on few models does not dominate the estimate. The median is robust against attacks on single models.

The formula is linear in s² and gives too small values for a large s, since a logit changes a probability less near 0
and 1. The last step corrects this: it finds the s for which σ(s z), with z standard normal, has the estimated variance.

Sharpness: a voter's logits are a multiple of the board's. The standard deviation of this multiple is estimated like
taste, but with r Δ instead of r and w Δ² instead of w, where Δ is the board's logit. Pairs of votes that share a model
are left out, since such pairs covary because of taste too.

Shares of ties: the shares of the voters have a beta distribution. The moments of this distribution are estimated with
the weight n − 1 for the share of a voter with n votes.

Source: moment estimators of variance components (Searle, Casella & McCulloch 1992, "Variance Components", chapter 5);
the error is a jackknife over ten groups of voters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, log_ndtr, ndtri_exp, polygamma

from pipeline.evidence.grouped_sums import group_starts
from pipeline.evidence.taste_pairs import CAP, Cells, Codes, decided_votes, pair_sums
from pipeline.vocabulary.arrays import Float64, Int8, Int64

_GROUPS = 10
# A model with less information than this many independent pairs at p = ½ has no estimate of its own.
_LEAST_PAIRS = 25.0
_MAX_SD = 2.0
USUAL_SQUARE = 0.1
"""The value of s² that is assumed for a board without votes; s is the taste, in logits.

Measured: s was 0.04 to 0.25 on boards of expert judges, and 0.48 in a crowd of paid workers. A few thousand votes of a
board say little about its s."""

_TAIL, _LEAST_ERROR = 0.16, 1e-6

_NODES = np.linspace(-5, 5, 201)
_NORMAL = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()
_GRID = np.linspace(0, _MAX_SD, 201)
_LINEAR = 16 * (((expit(_GRID[:, None] * _NODES) - 0.5) ** 2) @ _NORMAL)


@dataclass(frozen=True)
class Taste:
    """Estimates of how much the voters of a board differ from each other.

    Attributes:
        sd: standard deviation over voters of their taste for one model, in logits.
        error: standard error of `sd`, in logits.
        sharpness: standard deviation over voters of the factor by which a voter's logits differ from the board's.
        models: number of models with enough votes for an estimate; 0 if `sd` and `error` are assumed and not estimated.
    """

    sd: float
    error: float
    sharpness: float
    models: int

    @cached_property
    def upper(self) -> float:
        """The standard deviation of tastes in the null hypothesis of `cells`, in logits.

        Let s be the standard deviation of tastes. The result is the 84% quantile of the posterior of s. The prior of s²
        is an exponential distribution with the mean `USUAL_SQUARE`; if `error` is small, this prior hardly matters and
        the result is about `sd` + `error`. A taste that was assumed and not estimated gives exactly `sd` + `error`.
        """
        highest = min(self.sd + self.error, _MAX_SD)
        square, above = np.interp([self.sd, highest], _GRID, _LINEAR)
        error = float(above - square)
        if not self.models or error < _LEAST_ERROR:
            return highest
        mean = float(square) - error**2 / USUAL_SQUARE
        # The posterior is a normal distribution above 0.
        quantile = mean - error * float(ndtri_exp(np.log(_TAIL) + log_ndtr(mean / error)))
        return min(_invert(max(quantile, 0.0)), highest)

    @property
    def band(self) -> float:
        """The half-width η of the band of honest logits: 2 sd + error, at least 0.1 and at most 0.6."""
        return float(np.clip(2 * self.sd + self.error, 0.1, 0.6))


ASSUMED_TASTE = Taste(0.5, 0.1, 0.4, 0)
"""The taste of a board with too few votes for an estimate. It is the widest measured taste: a crowd of paid workers."""


def estimate_taste(
    voter: Int64,
    model_a: Codes,
    model_b: Codes,
    outcome: Int8,
    difference: Float64,
    cells: Cells | None = None,
    cap: int = CAP,
) -> Taste:
    """Estimate the taste and the sharpness of the voters of a board.

    Args:
        voter: int64[n], the voter of each vote.
        model_a, model_b: int[n], positions of the models of each vote.
        outcome: int8[n], 0 (a wins), 1 (b wins), or 2 and more for ties, which are ignored.
        difference: float64[n], the board's logit of a win of model a, from a fit on decisive votes.
        cells: the cells of these votes (`taste_pairs.shared_cells`), if the caller has them.
        cap: number of decisive votes of a voter on a model that count, the first ones.

    Returns:
        The estimate; `ASSUMED_TASTE` if fewer than two models have enough pairs of votes by one voter.
    """
    votes = decided_votes(voter, model_a, model_b, outcome, difference, cells, cap)
    if not len(votes.cell):
        return ASSUMED_TASTE
    above, below = pair_sums(votes.cell, votes.sign * votes.residual[votes.vote], votes.weight[votes.vote])
    models = int(votes.model.max()) + 1
    first = np.flatnonzero(group_starts(votes.cell))
    owner = voter[outcome < 2][votes.vote[first]]
    place = votes.model[first] * _GROUPS + _hash_group(owner)
    top, bottom = (
        np.bincount(place, weights=sums, minlength=models * _GROUPS).reshape(models, _GROUPS) for sums in (above, below)
    )
    enough = bottom.sum(axis=1) >= _LEAST_PAIRS / 16
    if enough.sum() < 2:
        return ASSUMED_TASTE
    top, bottom = top[enough], bottom[enough]
    squares = top.sum(axis=1) / bottom.sum(axis=1)
    square = float(np.median(squares))
    without = np.array(
        [np.median((top.sum(axis=1) - top[:, g]) / np.maximum(bottom.sum(axis=1) - bottom[:, g], 1e-9))
         for g in range(_GROUPS)]
    )  # fmt: skip
    sampling = np.sqrt((_GROUPS - 1) / _GROUPS * ((without - without.mean()) ** 2).sum())
    spread = 1.2533 * 1.4826 * np.median(np.abs(squares - square)) / np.sqrt(len(squares))
    error = max(float(sampling), float(spread))
    sd, upper = _invert(square), _invert(max(square, 0.0) + error)
    return Taste(sd, upper - sd, votes.sharpness(), int(enough.sum()))


def _invert(square: float) -> float:
    """Return the standard deviation s for which 16 Var σ(s z) is `square`, where z is standard normal.

    For a small s, the result is √`square`, because σ has the slope ¼ at 0.
    """
    return float(np.interp(square, _LINEAR, _GRID))


def _hash_group(voter: Int64) -> Int64:
    """Return a group from 0 to 9 for each voter, by a hash of the voter's number alone."""
    mixed = voter.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(40)).astype(np.int64) % _GROUPS


@dataclass(frozen=True)
class TieHabits:
    """The distribution of the share of ties over voters: a beta distribution with the parameters α and β.

    Attributes:
        mean: the mean share of ties over voters, α/(α + β), from 0 to 1.
        concentration: α + β, as a number of votes. A larger value means that voters differ less.
    """

    mean: float
    concentration: float

    @property
    def logit_sd(self) -> float:
        """The standard deviation over voters of the logit of their share of ties."""
        alpha = self.concentration * self.mean
        return float(np.sqrt(polygamma(1, alpha) + polygamma(1, self.concentration - alpha)))


ASSUMED_CONCENTRATION = 10.0
"""α + β of the beta distribution of the voters' shares of ties, while nothing is known about the voters."""


def estimate_tie_habits(votes: Int64, ties: Int64) -> TieHabits | None:
    """Estimate the distribution of voters' shares of ties by moments.

    The mean is Σ k(n − 1) / Σ n(n − 1) and the second moment Σ k(k − 1) / Σ n(n − 1), for k ties among a voter's n
    votes. In both moments, a voter has the weight n(n − 1). If the weights differed, the distribution would be too wide
    when voters with many votes tie more often than others, and too narrow when they tie less often.

    Args:
        votes, ties: int64[v], number of votes and ties of each voter over the whole history.

    Returns:
        The fitted beta distribution, with a concentration from 1 to 1000. None if no voter has two votes, or if the
            mean share is 0 or 1.
    """
    n, k = votes.astype(np.float64), ties.astype(np.float64)
    pairs = float((n * (n - 1)).sum())
    if pairs <= 0:
        return None
    mean, second = float((k * (n - 1)).sum()) / pairs, float((k * (k - 1)).sum()) / pairs
    if not 0 < mean < 1:
        return None
    spread = second - mean**2
    concentration = mean * (1 - mean) / spread - 1 if spread > 0 else 1000.0
    return TieHabits(mean, float(np.clip(concentration, 1.0, 1000.0)))
