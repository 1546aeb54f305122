"""Computes evidence that a voter swaps win and loss ("votes against the rating"), from counts per voter and model.

Let d be the rating's logit of a win of model a in a decided battle, and y = 1 if a won, −1 if not. A voter who swaps
the outcomes of an honest voter wins with the logit −d. The likelihood ratio of this voter against an honest one is

    e^T,  T = −Σ y d = −Σ_m θ_m (W_m − L_m)

with the strengths θ, wins W and losses L of each model m in the voter's votes. So T needs no single votes.

An honest voter has tastes, and the ratings have errors: the honest logit is d + x, where x is the difference of two
models' deviations u. These are normal with the covariance S = s² I + Σ, where s is the board's taste and Σ the
covariance of the ratings. Two numbers say what they do to T:

    D = Σ d tanh(d/2) = −θᵀG      −T of an honest voter without taste, on average
    Q = GᵀSG                      variance that the deviations add to T
    G_m = Σ ∓ tanh(d/2)           the honest voter's mean number of losses minus wins of model m

The evidence is e^(λT) with λ = D/(D + Q/2), at most 1. The power λ makes T count less where tastes and errors of the
ratings can explain it. Without them λ is 1, and the evidence is the likelihood ratio.

Expectation for honest voters: given u, each battle multiplies the expectation of e^(λT) by M(x) = σ(d + x) e^(−λd) +
σ(−d − x) e^(λd). Two facts about M are used. First, ln M(0) ≤ −λ(1 − λ) d tanh(d/2). Second, the slope of ln M at 0 is
−λ tanh(d/2) for λ = ½ and λ = 1, and close to it between them. So to first order in x, the expectation of e^(λT) is at
most exp(−λ(1 − λ)D + λ²Q/2), and λ is the number that makes this bound 1. Terms of higher order are left out, so the
expectation is measured, not proved. The logarithm is therefore limited to MOST_SWAPPED.

Source: tempered likelihood ratios (Grünwald 2012, "The safe Bayesian"); own construction for taste.
"""

from __future__ import annotations

import numpy as np

from pipeline.evidence.cell_counts import CellCounts
from pipeline.evidence.cells import honest_chances
from pipeline.evidence.honest_reference import Reference
from pipeline.vocabulary.arrays import Float64, Int64

MOST_SWAPPED = 9.0
"""ln of the limit on the evidence. With it a voter is warned of, and other evidence decides about an exclusion."""


def swapped_bounds(group: Int64, place: Int64, counts: CellCounts, reference: Reference, groups: int) -> Float64:
    """Return float64[groups], an upper bound of `swapped_log_ratio` of each group of cells, at least 0.

    The bound is T, or 0 if T is negative, since the power λ is at most 1.

    Args:
        group: int64[c], the group of each cell: one voter's cells, after one of the voter's votes.
        place: int64[c], position of the cell's model in `reference`, −1 for a model that it lacks.
        counts: the counts of the c cells.
        reference: the reference of the snapshot in force.
        groups: number of groups.
    """
    theta = np.where(place >= 0, _centred(reference)[place], 0.0)
    above = np.bincount(group, weights=theta * (counts.losses - counts.wins), minlength=groups)
    return np.clip(above, 0.0, MOST_SWAPPED)


def swapped_log_ratio(place: Int64, counts: CellCounts, reference: Reference) -> float:
    """Return ln of the evidence that one voter swaps win and loss, at most MOST_SWAPPED.

    The result is −∞ if the voter has votes on a model that the reference lacks, or if the models are equally strong.

    Args:
        place: int64[c], position in `reference` of the model of each of the voter's c cells, −1 if it is missing.
        counts: the counts of these cells.
        reference: the reference of the snapshot in force.
    """
    if not len(place) or place.min() < 0:
        return -np.inf
    decided = (counts.wins + counts.losses).astype(np.float64)
    chance, _ = honest_chances(counts.high, counts.against, decided, 0.0)
    losses = decided * (1 - 2 * chance)
    theta = _centred(reference)[place]
    usual = -float((theta * losses).sum())
    if usual <= 0:
        return -np.inf
    swapped = float((theta * (counts.losses - counts.wins)).sum())
    by_taste = reference.taste.upper**2 * (losses**2).sum()
    by_error = (losses[:, None] * reference.covariance[np.ix_(place, place)] * losses).sum()
    power = usual / (usual + max(float(by_taste + by_error), 0.0) / 2)
    return min(power * swapped, MOST_SWAPPED)


def _centred(reference: Reference) -> Float64:
    """Return float64[K], the strengths minus their mean. T and D (module docstring) do not depend on the origin."""
    return np.asarray(reference.theta - reference.theta.mean())
