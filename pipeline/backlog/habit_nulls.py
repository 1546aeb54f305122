"""Computes likelihood ratios for habits: does a voter do something, such as prefer longer answers, too often?

An honest voter shows the habit in vote i with the chance σ(x_i + b). Here x_i is the logit that other voters' votes
give, and b is how far the voter's own logit lies from x_i. b has a normal distribution with the standard deviation s,
which is estimated from other voters (`habit_spread`) and is at least LEAST_SPREAD. For the share WIDE_SHARE of the
honest voters, the standard deviation is taken as WIDE times s, since real habits have longer tails.

Let H of a voter's n votes show the habit, and let p be the mean of the chances that these votes have for b = 0. With
L(b) = σ(logit p + c + b)ᴴ (1 − σ(logit p + c + b))ⁿ⁻ᴴ, the likelihood ratio is

    mean of L(b) for b in BIASED / mean of L(b) over honest voters

The constant c makes the mean chance over honest voters equal to p. The expectation of the ratio is 1 if all x_i are
equal. If they differ, H varies less (Hoeffding 1956, "On the distribution of the number of successes in independent
trials"). It is assumed, not proved, that real honest voters differ no more than the distribution of b says.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, logsumexp, xlogy

from pipeline.vocabulary.arrays import Float64, Int32, Int64
from pipeline.vocabulary.large_arrays import new_large, pieces

LEAST_SPREAD = 0.4
"""The smallest value that is assumed for s, the standard deviation of a habit over honest voters, in logits."""

WIDE_SHARE, WIDE = 0.1, 1.5
"""For the share WIDE_SHARE of honest voters, the assumed standard deviation of b (module docstring) is WIDE · s."""

BIASED = (1.5, 6.0)
"""The range of b for voters with a habit. b is how far the logit of a voter's chance lies above other voters' logit."""

_MOST_SPREAD = 2.5
_READINESS = np.arange(-9.0, 9.01, 0.1)
_LEAST = 1e-9
# (1 + 0.346 s²)⁻¹ᐟ² is how much a mean over normal logits is nearer to ½.
_SHRINK = 0.346
_GRID = np.arange(0.0, _MOST_SPREAD + 0.01, 0.05)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_GROUPS = 10


def pair_chances(logits: Float64, i: Int32, j: Int32, rows: Int64) -> Float64:
    """Return float64[r], the chance of each of some votes, from the logit of its pair of models.

    Args:
        logits: float64[K, K], by the positions of the two models.
        i, j: int32[n], the positions of the two models of each vote.
        rows: int64[r], the votes.
    """
    chance = new_large((len(rows),), np.float64)
    for piece in pieces(len(rows)):
        some = rows[piece]
        chance[piece] = expit(logits[i[some], j[some]])
    return chance


def habit_spread(voter: Int64, hit: Float64, chance: Float64) -> float:
    """Estimate how much voters differ in a habit, by the method of moments.

    A residual is `hit` − `chance`. The mean product of the residuals of two votes of one voter estimates the variance
    between voters of the chance to show the habit.

    Args:
        voter: int64[n], the voter of each vote, ascending.
        hit: float64[n], 1 for a vote that shows the habit, else 0.
        chance: float64[n], the chance of each vote to show the habit if the voter were like all others.

    Returns:
        The standard deviation over voters, in logits, estimated from the variance plus its standard error; at least
            LEAST_SPREAD.
    """
    size = int(voter[-1]) + 1 if len(voter) else 0
    sums = np.zeros((2, 2, size))  # of the residual and of the weight, and of their squares
    for piece in pieces(len(voter)):
        p = chance[piece]
        for (first, second), x in zip(sums, (hit[piece] - p, p * (1 - p)), strict=True):
            np.add.at(first, voter[piece], x)
            np.add.at(second, voter[piece], x**2)
    top, bottom = sums[:, 0] ** 2 - sums[:, 1]
    if not bottom.sum() > 0:
        return LEAST_SPREAD
    group = (np.arange(size) * 0x9E3779B1 >> 7) % _GROUPS
    tops, bottoms = (np.bincount(group, x, _GROUPS) for x in (top, bottom))
    square = tops.sum() / bottoms.sum()
    without = (tops.sum() - tops) / np.maximum(bottoms.sum() - bottoms, 1e-9)
    error = np.sqrt((_GROUPS - 1) / _GROUPS * ((without - without.mean()) ** 2).sum())
    return max(_invert(float(square + error), float(chance.mean())), LEAST_SPREAD)


def log_ratios(hits: Int64, votes: Int64, chance: Float64, spread: float) -> Float64:
    """Return ln of the likelihood ratio of each voter, float64[v].

    The ratio compares two explanations of the voter's votes: the voter has a habit, or the voter is honest. A habit is
    something that a voter does too often, such as preferring longer answers. The logarithm is −∞ unless more votes than
    expected show the habit.

    Args:
        hits: int64[v], H: how many of the voter's votes show the habit.
        votes: int64[v], n: how many of the voter's votes could show it.
        chance: float64[v], p: the mean chance of these votes to show the habit, if the voter were like all others.
        spread: s, the standard deviation over honest voters of the logit of showing the habit.
    """
    variance = spread**2 * (1 + (WIDE**2 - 1) * WIDE_SHARE)
    middle = logit(np.clip(chance, _LEAST, 1 - _LEAST)) * np.sqrt(1 + _SHRINK * variance)
    x = middle[:, None] + _READINESS
    likelihood = hits[:, None] * x - votes[:, None] * np.logaddexp(0, x)
    honest = (1 - WIDE_SHARE) * _density(spread) + WIDE_SHARE * _density(WIDE * spread)
    first, end = np.searchsorted(_READINESS, BIASED).tolist()
    above = logsumexp(likelihood[:, first:end], axis=1) - np.log(end - first)
    below = logsumexp(likelihood + np.log(honest), axis=1)
    return np.where(hits > votes * chance, above - below, -np.inf)


def upper_logs(hits: Int64, votes: Int64, chance: Float64) -> Float64:
    """Return an upper bound of ln of each voter's ratio (`log_ratios`), float64[v].

    The bound is n KL(H/n, p), or 0 if H/n is below p.

    Args:
        hits: int64[v], H: how many of the voter's votes show the habit.
        votes: int64[v], n: how many of the voter's votes could show it.
        chance: float64[v], p: the mean chance of these votes to show the habit, if the voter were like all others.
    """
    share, p = hits / np.maximum(votes, 1), np.clip(chance, 1e-9, 1 - 1e-9)
    found = xlogy(hits, share / p) + xlogy(votes - hits, (1 - share) / (1 - p))
    return np.where(share > p, found, 0.0)


def _invert(square: float, p: float) -> float:
    """Return the spread s for which the variance of σ(x + s z), divided by (p(1 − p))², is `square`.

    σ is the logistic function and z a standard normal variable. x is chosen so that the mean of σ(x + s z) is p.
    """
    shift = logit(np.clip(p, 1e-3, 1 - 1e-3)) * np.sqrt(1 + _SHRINK * _GRID**2)
    chances = expit(shift[:, None] + _GRID[:, None] * _NODES)
    mean = chances @ _WEIGHTS
    variance = (chances**2) @ _WEIGHTS - mean**2
    return float(np.interp(square, np.maximum.accumulate(variance / (mean * (1 - mean)) ** 2), _GRID))


def _density(spread: float) -> Float64:
    """Return the probabilities of the logits in `_READINESS`, normal with mean 0 and standard deviation `spread`."""
    density = np.exp(-((_READINESS / spread) ** 2) / 2)
    return np.asarray(np.maximum(density / density.sum(), 1e-300))
