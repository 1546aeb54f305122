"""Simulates votes of voters with different tastes, to measure the coverage of intervals.

A voter has a normally distributed taste for each model, and a personal share of ties. The number of votes of a voter
follows a power law: it is at least n with probability n^−1.5, and at most 300. All votes of a voter are cast within a
few days. `true_strengths` are the strengths that infinitely many such voters would show. These strengths differ from
the simulated strengths, because tastes move the average choice towards a half.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.vocabulary.arrays import Float64, Int64

_EXPONENT, _MOST_VOTES = 1.5, 300
_TIES, _TIE_SPREAD = 0.33, 0.9
# Half the range of the strengths, in logits.
_RANGE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class TasteVotes:
    """n simulated votes in the order in which they were cast. All arrays are int64[n].

    Attributes:
        voter: number of the voter, from 0.
        a: number of the first model, from 0.
        b: number of the second model, from 0.
        outcome: 0 if a wins, 1 if b wins, 2 for a tie.
    """

    voter: Int64
    a: Int64
    b: Int64
    outcome: Int64


def draw_votes(rng: np.random.Generator, models: int, votes: int, taste: float) -> TasteVotes:
    """Draw the votes of a board, in the order in which they are cast.

    Args:
        rng: source of random numbers.
        models: number of models; each pair is equally likely.
        votes: number of votes.
        taste: standard deviation of a voter's taste for each model, in logits.
    """
    sizes = np.minimum((1 - rng.random(votes)) ** (-1 / _EXPONENT), _MOST_VOTES).astype(np.int64)
    voters = int(np.searchsorted(np.cumsum(sizes), votes)) + 1
    voter = np.repeat(np.arange(voters), sizes[:voters])[:votes]
    begin, length = rng.random(voters), rng.exponential(0.2, voters)
    voter = voter[np.argsort(begin[voter] + rng.random(votes) * length[voter])]
    a = rng.integers(0, models, votes)
    b = (a + rng.integers(1, models, votes)) % models
    strength = np.linspace(-_RANGE, _RANGE, models)
    own = taste * rng.standard_normal((voters, models))
    habit = np.log(_TIES / (1 - _TIES)) + _TIE_SPREAD * rng.standard_normal(voters)
    p = 1 / (1 + np.exp(strength[b] - strength[a] + own[voter, b] - own[voter, a]))
    tie = 2 / (1 + np.exp(-habit[voter])) * np.minimum(p, 1 - p)
    drawn = rng.random(votes)
    outcome = np.where(drawn < p - tie / 2, 0, np.where(drawn < p + tie / 2, 2, 1))
    return TasteVotes(voter, a, b, outcome)


def true_strengths(models: int, taste: float) -> Float64:
    """Return the strengths that infinitely many simulated voters would show.

    Args:
        models: number of models.
        taste: standard deviation of a voter's taste for each model, in logits.

    Returns:
        float64[models], in logits, with mean zero.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    strength = np.linspace(-_RANGE, _RANGE, models)
    gap = (strength[:, None] - strength)[..., None] + taste * np.sqrt(2) * nodes
    mean = (1 / (1 + np.exp(-gap))) @ (weights / weights.sum())
    theta = strength.copy()
    for _ in range(30):
        p = 1 / (1 + np.exp(theta - theta[:, None]))
        slope = p * (1 - p)
        np.fill_diagonal(slope, 0.0)
        theta = theta + np.linalg.solve(np.diag(slope.sum(axis=1)) - slope + 1.0, (mean - p).sum(axis=1))
    return np.asarray(theta - theta.mean())
