"""Computes sums over pairs of a voter's votes, from which taste and sharpness are estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.evidence.grouped_sums import count_before, number_groups
from pipeline.vocabulary.arrays import Float64, Int8, Int64

CAP = 4
"""The number of votes of a voter on a model that count."""


@dataclass(frozen=True)
class CellRows:
    """The decided votes that count, as arrays with one item for each row. A row is one vote in one cell.

    A vote is in two cells, since it has two models. A cell keeps only its first `CAP` rows, so a vote may have two
    rows, one or none.

    Attributes:
        cell: number of the row's cell, counted from 0. A cell is one voter with one model.
        voter: the row's voter.
        model: position of the row's model.
        vote: position of the vote among all votes.
        pair: a number that is equal for the votes of one voter on the same two models, on whichever side.
        residual: 1 if the row's model won, else 0, minus the board's probability p that it wins.
        weight: p(1 − p).
        logit: the board's logit of a win of the row's model.
    """

    cell: Int64
    voter: Int64
    model: Int64
    vote: Int64
    pair: Int64
    residual: Float64
    weight: Float64
    logit: Float64

    def sharpness(self) -> float:
        """Estimate the standard deviation of sharpness over voters, from pairs of a voter's votes that share no model.

        A voter's sharpness is the factor by which the voter's logits differ from those of the board. The result is 0 if
        there are no such pairs.
        """
        both = np.flatnonzero(np.bincount(self.vote)[self.vote] == 2)
        if not len(both):
            return 0.0
        one = both[np.unique(self.vote[both], return_index=True)[1]]
        who = number_groups(self.voter)
        u, w = self.residual * self.logit, self.weight * self.logit**2
        # All pairs, minus the pairs that share a model; the pairs that share both were taken away twice.
        parts = [(one, who, 1), (both, self.cell, -1), (one, self.pair, 1)]
        above = np.sum([sign * _by_voter(rows, group, u, who) for rows, group, sign in parts], axis=0)
        below = np.sum([sign * _by_voter(rows, group, w, who) for rows, group, sign in parts], axis=0)
        q = 1 / (1 + np.bincount(who[one], weights=w[one], minlength=len(above)))
        bottom = float((q * below).sum())
        return float(np.sqrt(max(float((q * above).sum()), 0.0) / bottom)) if bottom > 0 else 0.0


def _by_voter(rows: Int64, group: Int64, values: Float64, who: Int64) -> Float64:
    """Return Σ over a voter's groups of (Σx)² − Σx², for each voter; a group belongs to one voter."""
    inside = number_groups(group[rows])
    owner = np.zeros(int(inside.max()) + 1, dtype=np.int64)
    owner[inside] = who[rows]
    sums = np.bincount(inside, weights=values[rows]) ** 2 - np.bincount(inside, weights=values[rows] ** 2)
    return np.asarray(np.bincount(owner, weights=sums, minlength=int(who.max()) + 1), dtype=np.float64)


def cell_rows(voter: Int64, model_a: Int64, model_b: Int64, outcome: Int8, difference: Float64) -> CellRows:
    """Return the decided votes as rows, two for each vote. A cell keeps the rows of its first `CAP` votes.

    Args:
        voter: int64[n], the voter of each vote.
        model_a, model_b: int64[n], positions of the models of each vote.
        outcome: int8[n], 0 (a wins), 1 (b wins), or 2 and more for ties, which are left out.
        difference: float64[n], the board's logit of a win of model a.
    """
    decided = np.flatnonzero(outcome < 2)
    who = np.repeat(voter[decided], 2)
    model = np.stack([model_a[decided], model_b[decided]], axis=1).ravel().astype(np.int64)
    logit = np.stack([difference[decided], -difference[decided]], axis=1).ravel()
    won = np.stack([outcome[decided] == 0, outcome[decided] == 1], axis=1).ravel()
    number = number_groups(who)
    width = int(model.max(initial=0)) + 1
    code = number * width + model
    rows = np.flatnonzero(count_before(code) < CAP)
    p, won = expit(logit[rows]), won[rows]
    low, high = np.minimum(model_a, model_b)[decided], np.maximum(model_a, model_b)[decided]
    pair = (number * width + np.repeat(low, 2)) * width + np.repeat(high, 2)
    return CellRows(
        number_groups(code[rows]),
        who[rows],
        model[rows],
        decided[rows // 2],
        pair[rows],
        won - p,
        p * (1 - p),
        logit[rows],
    )


def pair_sums(group: Int64, residual: Float64, weight: Float64) -> tuple[Float64, Float64]:
    """Return q[(Σr)² − Σr²] and q[(Σw)² − Σw²] of each group, float64[groups] each, with q = 1/(1 + Σw).

    Args:
        group: int64[n], the group of each row, from 0.
        residual: float64[n], r of each row.
        weight: float64[n], w of each row.
    """
    r, rr, w, ww = (np.bincount(group, weights=x) for x in (residual, residual**2, weight, weight**2))
    q = 1 / (1 + w)
    return q * (r**2 - rr), q * (w**2 - ww)
