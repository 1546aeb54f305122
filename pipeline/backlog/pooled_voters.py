"""Pools the evidence of many voters with few votes each, to test whether together they promote or demote a model.

For a model m, let E_v be the e-value of voter v's first votes on m for one alternative. An unknown share ε of the
voters is biased. For one alternative, the evidence is the mean over ε in SHARES of Π_v (1 − ε + ε E_v). E_m is the
average of this evidence over the alternatives. Half of the weight is for the product over all voters. The other half is
for products over STRATA strata of voters by the time of their first vote. The reference is fitted on other voters.
Given the reference, the votes of different voters are independent, so E_m is an e-value.

A small error of the reference adds up over many voters: on an honest board, with all votes counted, E_m was e¹⁸. So
only the first MOST_VOTES votes of a cell count, and the honest chances are raised by RAISED logits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.backlog.backlog_votes import BacklogVotes
from pipeline.backlog.cell_sums import count_rows
from pipeline.backlog.voter_values import VoterEvaluator, log_cells
from pipeline.evidence import Reference
from pipeline.evidence.cells import WEIGHTS
from pipeline.vocabulary.arrays import Bool, Float64, Int64
from pipeline.vocabulary.large_arrays import keep, pieces

SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""The shares ε of biased voters, among the voters on a model, that the alternatives assume."""

STRATA = 13
LEAST_VOTES, MOST_VOTES = 3, 12
"""A cell counts from LEAST_VOTES votes on, with its first MOST_VOTES votes."""

RAISED = 0.1
"""Logits that are added to an honest voter's chance of a win, so that small errors of the reference raise no alert."""

SIDES = ("promotes", "demotes")
_ALTERNATIVES = WEIGHTS.size // len(SIDES)
_UNLIMITED = 1 << 30
# ln of the largest ratio of one cell, so that the products stay finite.
_MAX_LOG = 30.0
# ln of the smallest ratio from which members are estimated, so that it stays above 0.
_LEAST_LOG = -300.0


@dataclass(frozen=True)
class PooledCells:
    """The likelihood ratios of c cells, from which the evidence of groups of voters is computed.

    A cell has the votes of one voter on one model.

    Attributes:
        voter, model: int64[c], positions of the voter and of the model in the backlog.
        log_e: float64[c, 18], ln of the ratio of each alternative, in the order of `WEIGHTS`.
    """

    voter: Int64
    model: Int64
    log_e: Float64

    @classmethod
    def of(
        cls, evaluator: VoterEvaluator, reference: Reference, who: Bool, most: int = MOST_VOTES, raised: float = RAISED
    ) -> PooledCells:
        """Evaluate some voters' cells that have at least LEAST_VOTES votes.

        Args:
            evaluator: has the votes and their cells.
            reference: a reference that was fitted without these voters.
            who: bool[v], the voters.
            most: number of votes of a cell that count.
            raised: number of logits by which the honest chances are raised.

        Returns:
            The likelihood ratios of these cells. A cell is left out if fewer than LEAST_VOTES of the counted votes are
                on two models of the reference.
        """
        cells = evaluator.cells
        large = (cells.votes >= LEAST_VOTES) & who[cells.voter]
        some = (piece.start + np.flatnonzero(large[cells.cell[piece]] & (cells.place[piece] < most))
                for piece in pieces(len(cells.cell)))  # fmt: skip
        rows = keep(np.concatenate(list(some)))
        found, counts = count_rows(evaluator.votes, cells, rows, reference, raised)
        enough = counts.votes >= LEAST_VOTES
        found = found[enough]
        logs = np.minimum(log_cells(counts.take(enough), reference, reference.taste.sd, pooled=True), _MAX_LOG)
        return cls(cells.voter[found].astype(np.int64), cells.model[found].astype(np.int64), logs)

    @classmethod
    def unlimited(cls, evaluator: VoterEvaluator, reference: Reference, who: Bool, model: int) -> PooledCells:
        """Evaluate all votes of the cells of one model, to find the members of a group that was found.

        The result serves to estimate who the members are, and not for a test: the chances come from the reference,
        without its standard errors.

        Args:
            evaluator: has the votes and their cells.
            reference: a reference that was fitted without these voters.
            who: bool[v], the voters.
            model: number of the model.

        Returns:
            The e-values of the cells with at least LEAST_VOTES votes.
        """
        cells, reference = evaluator.cells, replace(reference, covariance=np.zeros_like(reference.covariance))
        large = (cells.votes >= LEAST_VOTES) & (cells.model == model) & who[cells.voter]
        found, counts = count_rows(evaluator.votes, cells, np.flatnonzero(large[cells.cell]), reference)
        logs = np.minimum(log_cells(counts, reference, reference.taste.sd, pooled=True), _MAX_LOG)
        return cls(cells.voter[found].astype(np.int64), cells.model[found].astype(np.int64), logs)

    @staticmethod
    def join(parts: list[PooledCells]) -> PooledCells:
        """Return the cells of all items of `parts`, at least one, as one object in the same order."""
        return PooledCells(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("voter", "model", "log_e")))


def strata_of(votes: BacklogVotes) -> Int64:
    """Split the voters by the time of their first vote into STRATA parts of equal size, called strata.

    Returns:
        int64[v], the stratum of each voter, from 0 to STRATA − 1.
    """
    first = votes.at[votes.starts[:-1]]
    stratum = np.empty(len(first), dtype=np.int64)
    stratum[np.argsort(first, kind="stable")] = np.arange(len(first)) * STRATA // max(len(first), 1)
    return stratum


def log_products(log_e: Float64, group: Int64, groups: int, shares: tuple[float, ...] = SHARES) -> Float64:
    """Return float64[groups, 18], ln of the evidence that some voters of a group are biased, for each alternative.

    The evidence is the mean over the shares ε of Π_v (1 − ε + ε E_v), where E_v is the likelihood ratio of the cell of
    voter v. The null hypothesis is that all voters of the group are honest.

    Args:
        log_e: float64[c, 18], ln of each cell's ratios, one column for each alternative of `evidence.cells.WEIGHTS`.
        group: int64[c], the group of each cell.
        groups: number of groups.
        shares: the shares ε of biased voters.
    """
    found = np.zeros((groups, log_e.shape[1]))
    for column, logs in enumerate(log_e.T):
        gain = np.expm1(logs)
        by_share = np.stack([np.bincount(group, np.log1p(share * gain), groups) for share in shares])
        found[:, column] = np.logaddexp.reduce(by_share, axis=0) - np.log(len(shares))
    return found


def pool_models(pooled: PooledCells, stratum: Int64, models: int) -> Float64:
    """Return the logarithm of the evidence about each model, by side, float64[M, 2].

    The sides are "promotes" and "demotes" (SIDES). The e-value of a model is the sum of the evidence over both sides.

    The null hypothesis is that all voters on the model are honest.

    Args:
        pooled: cells that were evaluated by references without their voters.
        stratum: int64[v], the part of the voters that each voter belongs to, by the time of the first vote
            (`strata_of`).
        models: M, the number of models.
    """
    whole = log_products(pooled.log_e, pooled.model, models)
    place = pooled.model * STRATA + stratum[pooled.voter]
    parts = log_products(pooled.log_e, place, models * STRATA).reshape(models, STRATA, -1)
    average = np.logaddexp.reduce(parts, axis=1) - np.log(STRATA)
    both = np.logaddexp(whole, average) - np.log(2)
    return np.asarray(np.logaddexp.reduce((both + np.log(WEIGHTS.ravel())).reshape(models, len(SIDES), -1), axis=2))


def find_members(pooled: PooledCells, side: int, stratum: Int64, most_share: float = 0.999) -> Float64:
    """Estimate which voters promote a model, or which demote it.

    A cell has the votes of one voter on the model. A stratum is a part of the voters, such as those who came at about
    the same time (`strata_of`). Expectation maximisation estimates the share of biased voters in each stratum. It also
    estimates the weights of the alternatives, which are different strengths of the bias.

    Args:
        pooled: c cells, all of the same model.
        side: 0 to find voters who promote the model, 1 to find voters who demote it (SIDES).
        stratum: int64[v], the stratum of each voter, as a number from 0 to STRATA − 1.
        most_share: the largest share of biased voters that is assumed. At one half, the probability is 0.9 only for a
            voter whose own ratio is 9, so nobody is named for the other voters' votes alone.

    Returns:
        float64[c], the probability that the voter of each cell is biased.
    """
    where = stratum[pooled.voter]
    # Ratios of a voter with very many votes would all be 0, and nobody would have a share in them.
    e = np.exp(np.maximum(pooled.log_e[:, side * _ALTERNATIVES : (side + 1) * _ALTERNATIVES], _LEAST_LOG))
    weights = WEIGHTS[side].ravel() / WEIGHTS[side].sum()
    mix, size = weights, np.bincount(where, minlength=STRATA)
    share, posterior = np.full(STRATA, _SHARE), np.zeros(len(where))
    for _ in range(_STEPS):
        biased = share[where] * (e @ mix)
        before, posterior = posterior, biased / (1 - share[where] + biased)
        if np.abs(posterior - before).max(initial=0) < _PRECISION:
            break
        sums = np.bincount(where, posterior, STRATA)
        overall = (sums.sum() + _PRIOR * _SHARE) / (len(where) + _PRIOR)
        share = np.clip((sums + _PRIOR * overall) / (size + _PRIOR), 1e-6, most_share)
        parts = e * mix
        taken = ((parts / parts.sum(axis=1, keepdims=True)) * posterior[:, None]).sum(axis=0)
        mix = (taken + _MIX_PRIOR * weights) / (posterior.sum() + _MIX_PRIOR)
    return posterior


_STEPS, _PRECISION = 300, 1e-6
# The share of biased voters that is assumed before the votes are seen. The share of all strata is drawn towards it, the
# share of a stratum towards that of all strata, each as by _PRIOR voters; and the weights of the alternatives are drawn
# towards `WEIGHTS` as by _MIX_PRIOR voters.
_SHARE, _PRIOR, _MIX_PRIOR = 0.1, 20.0, 5.0
