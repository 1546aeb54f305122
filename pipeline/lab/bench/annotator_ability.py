"""Estimates the ability of each voter by the published method am-ELO, for comparison only.

The chance that model i wins against model j with voter k is σ(θ_k (R_i − R_j)). Ratings R and abilities θ are estimated
together by maximum likelihood; a tie counts as half a win of each model. Abilities are scaled to a mean of 1. A voter
with an ability of at most 0 votes at random or against the rating.

Source: Liu et al. 2025, "am-ELO: A Stable Framework for Arena-based LLM Evaluation", ICML 2025.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.lab.bench.real_boards import RealVotes
from pipeline.vocabulary.arrays import Float64

# Abilities of voters who always agree, or never, have no maximum; this one is far beyond all others.
_MOST, _ROUNDS = 20.0, 60


def estimate_abilities(votes: RealVotes) -> Float64:
    """Estimate the ability of each of v voters. Returns float64[v], in the order of the voters' numbers."""
    names, voter = np.unique(votes.voter, return_inverse=True)
    voter, people, models = voter.ravel(), len(names), votes.models
    a, b = votes.model_a, votes.model_b
    won = np.array([1.0, 0.0, 0.5])[np.minimum(votes.outcome, 2)]

    def loss(x: Float64) -> tuple[float, Float64]:
        rating, ability = x[:models], x[models:]
        difference = rating[a] - rating[b]
        z = ability[voter] * difference
        error = expit(z) - won
        by_rating = error * ability[voter]
        slope = np.bincount(a, by_rating, models) - np.bincount(b, by_rating, models)
        value = (np.logaddexp(0, z) - won * z).sum()
        # The ratings have no origin: a small pull to zero keeps them in place.
        value += 1e-3 * (rating**2).sum()
        return float(value), np.concatenate([slope + 2e-3 * rating, np.bincount(voter, error * difference, people)])

    start = np.concatenate([np.zeros(models), np.ones(people)])
    start[:models] = np.bincount(a, won - 0.5, models) - np.bincount(b, won - 0.5, models)
    start[:models] /= np.maximum(np.bincount(np.concatenate([a, b]), minlength=models) / 4, 1)
    bounds = [(-10.0, 10.0)] * models + [(-_MOST, _MOST)] * people
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ROUNDS})
    ability = found.x[models:]
    return np.asarray(ability / max(ability.mean(), 1e-9))
