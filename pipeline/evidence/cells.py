"""Computes evidence from counts per voter and model ("cells"), with the taste of voters integrated out.

A cell has a voter's votes on one model, or on the models of one provider. An honest voter likes some models more than
the board does, and this shows more clearly the more votes a cell has. Evidence vote by vote (`honest_reference`)
therefore needs a wide band of logits that count as honest. Evidence from cells needs no band: the null hypothesis is
that the voter is honest and that the voter's tastes are drawn from a normal distribution. The standard deviation of
this distribution was estimated for the board (`taste`). The errors of the ratings are as unknown as the tastes. So
errors and tastes are integrated out together: the two variances are added (`honest_chances`). `taste_nulls` has the
ratios, and the proof that the expectation of each ratio is at most 1.

The alternatives for a cell are that the voter promotes the model (weight ⅔) or demotes it (⅓). Each has three sizes δ
of the bias and three kinds. The first kind of bias shows in decided battles and in rarer ties (weight 0.4), the second
in decided battles alone (0.3), the third in losses that are too rare (0.3). The third kind finds a voter who votes
"tie" instead of a loss. Half of its weight is for losses that are rarer than any taste makes them, and half for losses
that became ties. The ratio of losses that became ties is limited: alone it can raise a warning, but not exclude a
voter. The same alternatives are tested for all models of one provider together. This test counts the votes in which one
of the two models is the provider's and the other is not.

A voter's e-value is .9 Σ_m w_m E_m + .1 Σ_p w_p E_p over models m and providers p. The weights do not depend on
outcomes: w is ½ · 1/(r(r + 1)) for the voter's r-th largest cell, plus ½ · votes of the cell / votes of all the voter's
cells.

Error rate: P(E ≥ 1/α) ≤ α after a number of votes that is fixed in advance. The voter's taste, the voter's ties and the
errors of the ratings are then drawn from the estimated distributions. If a growing history is read again and again, the
error rate is measured, not proved.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logit, xlogy

from pipeline.evidence.cell_counts import CellCounts, count_cells
from pipeline.evidence.grouped_sums import place_within
from pipeline.evidence.honest_reference import CHANCE_UNIT, DELTAS, Reference
from pipeline.evidence.taste_nulls import (
    EVEN_TIES,
    MOST_TOLD,
    chances_by_taste,
    loss_ratios,
    tie_ratios,
    tie_shares,
    told_logs,
    told_ratios,
    win_ratios,
)
from pipeline.vocabulary.arrays import Float64, Int8, Int64

VERBS = ("promotes", "demotes")
KINDS = ("wins and rarer ties", "decided battles", "rare losses")
PROVIDER_WEIGHT = 0.1
"""Total weight of the alternatives about providers."""

_VERB_WEIGHTS, _KIND_WEIGHTS, _SIZE_WEIGHTS = (2 / 3, 1 / 3), (0.4, 0.3, 0.3), (0.6, 0.2, 0.2)
WEIGHTS = np.einsum("v,k,d->vkd", _VERB_WEIGHTS, _KIND_WEIGHTS, _SIZE_WEIGHTS)
"""Weights of the alternatives about one cell: float64[2, 3, 3] with the axes verb (VERBS), kind and δ. The sum is 1."""

_CHUNK = 512
_LEAST_VOTES = 3
_TINY = 1e-9


def log_ratios(counts: CellCounts, reference: Reference, taste: float, *, pooled: bool = False) -> Float64:
    """Return the log-likelihood ratio, in nats, of every alternative about each cell: float64[c, 2, 3, 3].

    The axes are the cell, promotes or demotes (VERBS), the kind (KINDS), and δ (DELTAS). The null hypothesis is an
    honest voter whose taste has the standard deviation `taste`.

    Args:
        counts: the counts of the c cells.
        reference: the reference that the chances in `counts` come from. Only its distribution of tie shares is used.
        taste: the standard deviation of tastes, in logits.
        pooled: whether ratios of different voters will be multiplied. If true, the honest chance of a win is taken two
            standard errors above the rated chance, because all voters share the errors of the ratings.
    """
    shares = tie_shares(counts.other_ties.astype(float), counts.other_votes.astype(float), reference.tie_prior)
    found = np.empty((len(counts.votes), *WEIGHTS.shape))
    for verb, side in enumerate((counts, counts.turned())):
        votes, wins, losses = (x.astype(float) for x in (side.votes, side.wins, side.losses))
        decided, ties = wins + losses, votes - wins - losses
        chance, sd = honest_chances(side.high, side.against, decided, taste, pooled=pooled)
        won = win_ratios(wins, decided, chances_by_taste(chance, sd))
        rarer = tie_ratios(ties, votes, side.even * CHANCE_UNIT / np.maximum(votes, 1), shares)
        found[:, verb, 0], found[:, verb, 1] = won + rarer, won
        over_all = side.high + side.tied_high, side.against + side.tied_against
        chances = chances_by_taste(*honest_chances(*over_all, votes, taste, pooled=pooled))
        rare = loss_ratios(losses, votes, chances, shares)
        found[:, verb, 2] = np.logaddexp(rare, told_ratios(ties, losses, votes, chances, shares)) - np.log(2)
    return found


def honest_chances(
    high: Int64, against: Int64, votes: Float64, taste: float, *, pooled: bool = False
) -> tuple[Float64, Float64]:
    """Return an honest voter's mean chance of a win in each cell, and how much this chance varies between voters.

    The logit of the mean chance is halfway between the logits of the largest and of the smallest honest chance. These
    two logits are four standard errors apart. The standard error is that of the difference of the two models' ratings,
    which is larger than that of a rating against the average opponent. The square of the standard error is added to the
    variance of the taste, because the errors of the ratings are as unknown as the taste.

    Args:
        high, against: int64[c], sums of the largest honest chances that the model wins, and that its opponents win.
        votes: float64[c], number of votes in these sums.
        taste: the standard deviation of tastes, in logits.
        pooled: True returns the largest honest chance instead of the mean, and `taste` as the standard deviation.

    Returns:
        Two arrays float64[c]: the chance, from 0 to 1; and the standard deviation of the logit of the chance.
    """
    many = np.maximum(votes, 1)
    largest = high * CHANCE_UNIT / many
    if pooled:
        return largest, np.full(len(largest), taste)
    smallest = np.clip(1 - against * CHANCE_UNIT / many, _TINY, 1 - _TINY)
    top, bottom = logit(np.clip(largest, smallest, 1 - _TINY)), logit(smallest)
    return expit((top + bottom) / 2), np.sqrt(taste**2 + ((top - bottom) / 4) ** 2)


def cell_e_values(counts: CellCounts, reference: Reference, taste: float) -> Float64:
    """Return float64[c], the e-value of each cell against the null hypothesis of an honest voter (`log_ratios`).

    The e-value is the weighted average of the likelihood ratios of all alternatives about the cell, with the weights
    WEIGHTS.

    Args:
        counts: the counts of the c cells.
        reference: the reference that the chances in `counts` come from.
        taste: the standard deviation of tastes, in logits.
    """
    parts = [np.zeros(0)]
    for start in range(0, len(counts.votes), _CHUNK):
        ratios = log_ratios(counts.take(slice(start, start + _CHUNK)), reference, taste)
        parts.append(average_ratios(ratios))
    return np.concatenate(parts)


def average_ratios(ratios: Float64) -> Float64:
    """Return float64[c], the average of e^x over the alternatives about each cell, with the weights WEIGHTS.

    x are the log-likelihood ratios from `log_ratios`, float64[c, 2, 3, 3]; each is capped at 600.
    """
    flat = np.exp(np.minimum(ratios, 600.0)).reshape(len(ratios), WEIGHTS.size)
    # A matrix product might round differently for another number of cells.
    return np.asarray((flat * WEIGHTS.ravel()).sum(axis=1))


def log_bounds(counts: CellCounts, reference: Reference) -> Float64:
    """Return float64[c], an upper bound of the logarithm of each cell's e-value (`cell_e_values`), for any taste.

    The bound takes a fifth of the time that the e-value takes. The denominator of a ratio is the mean of (1 + p(e^δ −
    1))ᵈ over tastes. This mean is at least (1 + p̄(e^δ − 1))ᵈ, where p̄ is the mean of p. So the ratio of W wins in d
    decided battles is at most e^(d KL(W/d, p̄)), for every δ. A bound of the same form applies to losses. `counts` are
    the counts of c cells. The chances in `counts` come from `reference`.
    """
    shares = tie_shares(counts.other_ties.astype(float), counts.other_votes.astype(float), reference.tie_prior)
    tied_share = (np.exp(shares[1]) * np.minimum(shares[0] * EVEN_TIES, 1)).sum(axis=1)
    best = np.zeros(len(counts.votes))
    for side in (counts, counts.turned()):
        votes, wins, losses = (x.astype(float) for x in (side.votes, side.wins, side.losses))
        decided = wins + losses
        even = side.even * CHANCE_UNIT / np.maximum(votes, 1)
        rarer = tie_ratios(votes - decided, votes, even, shares).max(axis=1)
        won = _divergence(wins, decided, honest_chances(side.high, side.against, decided, 0.0)[0])
        over_all = side.high + side.tied_high, side.against + side.tied_against
        lost = 1 - honest_chances(*over_all, votes, 0.0)[0]
        # Too few losses are too many of the rest.
        rare = _divergence(votes - losses, votes, 1 - (1 - tied_share) * lost)
        mean = tied_share - (1 - tied_share) * lost
        below = np.log1p(-np.outer(mean, np.expm1(-np.array(DELTAS)))) * votes[:, None]
        told = np.minimum((told_logs(votes - decided, losses) - below).max(axis=1), MOST_TOLD)
        best = np.maximum(best, np.maximum(won + np.maximum(rarer, 0), np.maximum(rare, told)))
    return best


def _divergence(wins: Float64, votes: Float64, p: Float64) -> Float64:
    """Return ln of the likelihood ratio of W wins in n votes for the bias that fits best, elementwise.

    It is n KL(W/n, p) if W/n is above the honest chance p of a win, else 0.
    """
    share, p = wins / np.maximum(votes, 1), np.clip(p, 1e-9, 1 - 1e-9)
    found = xlogy(wins, share / p) + xlogy(votes - wins, (1 - share) / (1 - p))
    return np.where(share > p, found, 0.0)


def cell_weights(voter: Int64, votes: Int64) -> Float64:
    """Return float64[c], the weight of each cell in its voter's e-value.

    The weight is ½ · 1/(r(r + 1)) + ½ · s. r is the rank of the cell among its voter's cells, where 1 is the cell with
    the most votes; equal cells keep their order. s is the cell's number of votes divided by the sum over its voter's
    cells. The weights of one voter sum to at most 1.

    Args:
        voter: int64[c], the voter of each cell, ascending.
        votes: int64[c], number of votes of each cell.
    """
    order = np.lexsort((-votes, voter))
    rank = np.empty(len(voter), dtype=np.int64)
    rank[order] = place_within(voter[order])
    number = np.unique(voter, return_inverse=True)[1].ravel()
    total = np.bincount(number, weights=votes)[number] if len(voter) else np.zeros(0)
    return np.asarray(0.5 / (rank * (rank + 1)) + 0.5 * votes / np.maximum(total, 1))


def voter_e_values(
    voter: Int64, a: Int64, b: Int64, outcome: Int8, reference: Reference, taste: float | None = None
) -> tuple[Int64, Float64]:
    """Compute the e-value of each voter from all of the voter's votes, counted by model and by provider.

    The null hypothesis is that the voter is honest, with tastes of the given standard deviation. A model or provider
    with fewer than three votes of the voter adds nothing.

    Args:
        voter: int64[n], the voter of each vote.
        a, b: int64[n], positions of the models in `reference`; none may be missing.
        outcome: int8[n], 0 (a wins), 1 (b wins), or 2 and more for ties.
        reference: the reference of a snapshot that does not count these votes.
        taste: the standard deviation of tastes, in logits; None for the upper estimate of the reference
            (`Taste.upper`).

    Returns:
        Two arrays: int64[v], the voters, ascending; and float64[v], the e-value of each voter.
    """
    sd = reference.taste.upper if taste is None else taste
    names = np.unique(voter)
    total = np.zeros(len(names))
    parts: Mapping[float, Int64 | None] = {1 - PROVIDER_WEIGHT: None, PROVIDER_WEIGHT: reference.provider}
    for weight, key in parts.items():
        cells = count_cells(voter, a, b, outcome, reference, key)
        rows = np.flatnonzero(cells.counts.votes >= _LEAST_VOTES)
        share = cell_weights(cells.voter, cells.counts.votes)[rows]
        e = cell_e_values(cells.counts.take(rows), reference, sd) * share
        total += weight * np.bincount(np.searchsorted(names, cells.voter[rows]), weights=e, minlength=len(names))
    return names, total
