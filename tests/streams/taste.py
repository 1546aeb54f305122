"""Boards of voters with a taste of their own and power-law numbers of votes; numpy only, nothing of `pipeline`.

The truth is what a board of infinitely many such voters shows: the maximum of the expected likelihood. It is not the
strengths, because tastes draw the average choice of all voters towards a half.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TasteBoard:
    """Votes as columns of length n, in the order in which they were cast.

    Attributes:
        voter: number of the voter from 0.
        a, b: numbers of the models.
        outcome: 0 for a win of a, 1 for a win of b, 2 for a tie.
        truth: float64[K], strengths that infinitely many voters would show, in logits with mean zero.
    """

    voter: Array
    a: Array
    b: Array
    outcome: Array
    truth: Array


def taste_board(
    rng: np.random.Generator,
    models: int,
    votes: int,
    *,
    taste: float,
    exponent: float = 1.5,
    most: int = 300,
    ties: float = 0.33,
    spread: float = 0.8,
) -> TasteBoard:
    """Draw a board.

    Args:
        rng: source of random numbers.
        models: number of models, with strengths evenly spaced between −spread and spread.
        votes: number of votes.
        taste: sd of a voter's taste for each model, in logits.
        exponent: a voter has n votes or more with probability n^−exponent.
        most: largest number of votes of a voter.
        ties: tie share of the median voter on equal models.
        spread: half the range of the strengths, in logits.
    """
    sizes = np.minimum(np.floor((1 - rng.random(votes)) ** (-1 / exponent)), most).astype(np.int64)
    people = int(np.searchsorted(np.cumsum(sizes), votes)) + 1
    voter = np.repeat(np.arange(people), sizes[:people])[:votes]
    # A voter's votes lie within some days of the whole time.
    begin, length = rng.random(people), rng.exponential(0.2, people)
    voter = voter[np.argsort(begin[voter] + rng.random(votes) * length[voter])]
    a = rng.integers(0, models, votes)
    b = (a + rng.integers(1, models, votes)) % models
    strength = np.linspace(-spread, spread, models)
    own = taste * rng.standard_normal((people, models))
    habit = np.log(ties / (1 - ties)) + 0.9 * rng.standard_normal(people)
    p = 1 / (1 + np.exp(strength[b] - strength[a] + own[voter, b] - own[voter, a]))
    tie = 2 / (1 + np.exp(-habit[voter])) * np.minimum(p, 1 - p)
    drawn = rng.random(votes)
    outcome = np.where(drawn < p - tie / 2, 0, np.where(drawn < p + tie / 2, 2, 1))
    return TasteBoard(voter, a, b, outcome, pseudo_truth(models, taste, spread))


@lru_cache(maxsize=32)
def pseudo_truth(models: int, taste: float, spread: float) -> Array:
    """Return the strengths that infinitely many voters would show, float64[K] with mean zero."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    strength = np.linspace(-spread, spread, models)
    gap = strength[:, None] - strength
    shifted = gap[..., None] + taste * np.sqrt(2) * nodes
    mean = (1 / (1 + np.exp(-shifted))) @ (weights / weights.sum())
    theta = strength.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(theta - theta[:, None]))
        gradient = (mean - p).sum(axis=1)
        slope = p * (1 - p)
        np.fill_diagonal(slope, 0.0)
        information = np.diag(slope.sum(axis=1)) - slope + 1.0
        theta = theta + np.linalg.solve(information, gradient)
    return np.asarray(theta - theta.mean())
