"""Keeps the models that each voter has voted on (targets), in the order of the voter's first vote on them.

A target gets a rank when the voter has voted on it RANKED_AFTER times. The ranks of a voter's targets are 1, 2, 3 and
so on, in the order in which the targets reach this number.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evidence import running_sums
from pipeline.evidence.grouped_sums import count_before, place_within
from pipeline.vocabulary.arrays import Int8, Int64

RANKED_AFTER = 4
"""Number of a voter's votes on a model after which the model gets a rank. An attacker's target usually gets rank 1."""


@dataclass(frozen=True)
class EvaluatedVotes:
    """n votes of m voters, each with the snapshot whose reference evaluates it: arrays of length n, sorted by voter.

    Attributes:
        voter: position of the voter among the m voters.
        model_a, model_b: model numbers (model_no); both models are in the vote's snapshot.
        outcome: int8[n]: 0 (a wins), 1 (b wins), or 2 for both kinds of tie.
        snapshot: sequence number of the vote's snapshot.
        votes: number of the voter's votes before this vote.
        ties: number of ties among these earlier votes.
    """

    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    snapshot: Int64
    votes: Int64
    ties: Int64

    def take(self, rows: npt.NDArray[Any]) -> EvaluatedVotes:
        """Return the votes at `rows`, which is a mask or positions."""
        return EvaluatedVotes(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass
class FoldedSums:
    """The sums that replace the older votes of m voters.

    The state of a voter keeps only the latest votes one by one. Older votes are added to these sums and then dropped
    (`state_codec`). Such votes are called folded.

    Attributes:
        met: int64[m], number of models on which the voter has a folded vote.
        generic: int64[m, 3], sums of log-likelihood ratios of the alternatives always left, always right and against
            the rating, in units of 2⁻²⁰ nats.
        total: int64[m], the part of the e-value that comes from alternatives about models, in units of 2⁻²⁴.
    """

    met: Int64
    generic: Int64
    total: Int64


@dataclass
class TargetModels:
    """The models that m voters have met: t entries, one for each voter and model, sorted by voter, then by first vote.

    Attributes:
        voter: int64[t], position of the voter among the m voters.
        model: int64[t], model number (model_no).
        rank: int64[t], 1 for the first model with RANKED_AFTER votes of the voter, 2 for the second, and so on; 0 for a
            model with fewer votes.
        votes: int64[t], number of the voter's votes on the model, at most 65,535.
        sums: int64[t, 6], sums of log-likelihood ratios in units of 2⁻²⁰ nats: for "promotes" with each δ, then for
            "demotes" with each δ.
        cells: int64[t, 8], counts of the voter's votes on the model (`cell_counts`). Only the votes that `FoldedSums`
            contains are counted.
    """

    voter: Int64
    model: Int64
    rank: Int64
    votes: Int64
    sums: Int64
    cells: Int64

    def take(self, order: Int64) -> TargetModels:
        """Return the entries at the positions in `order`, in this order."""
        return TargetModels(*(getattr(self, column.name)[order] for column in fields(self)))


@dataclass(frozen=True)
class JoinedVotes:
    """n votes joined with their models. Arrays with 2n rows have two rows for each vote: model a, then model b.

    Attributes:
        targets: all models that the voters have met, as of the end of the n votes.
        rows: int64[2n], the position in `targets` of the row's model.
        before: int64[2n], number of the voter's votes on the row's model before this vote.
        met: int64[n], number of models that the voter has met after this vote.
        ranked: int64[n], number of these models that have a rank.
    """

    targets: TargetModels
    rows: Int64
    before: Int64
    met: Int64
    ranked: Int64


def join_targets(voter: Int64, model_a: Int64, model_b: Int64, targets: TargetModels, met: Int64) -> JoinedVotes:
    """Join votes with the models that their voters have met, and update these models.

    A model that a voter meets for the first time is added. A model with RANKED_AFTER votes of the voter gets a rank. If
    both models of a vote are new or get a rank, model a comes before model b.

    Args:
        voter: int64[n], the voter of each vote, ascending.
        model_a, model_b: int64[n], model numbers (model_no) of the vote's models.
        targets: the models that the voters met before these votes; not changed.
        met: int64[m], number of models that each voter met before these votes.

    Returns:
        The joined votes; the attribute `targets` has the updated models.
    """
    who = np.repeat(voter, 2)
    model = np.stack([model_a, model_b], axis=1).ravel()
    width = int(max(model.max(initial=0), targets.model.max(initial=0))) + 1
    code, known = who * width + model, targets.voter * width + targets.model
    fresh, first = np.unique(code, return_index=True)
    unmet = ~np.isin(fresh, known, assume_unique=True)
    first = np.sort(first[unmet])  # rows are in the order of voter and vote
    zeros = np.zeros(len(first), dtype=np.int64)
    joined = TargetModels(
        np.concatenate([targets.voter, who[first]]),
        np.concatenate([targets.model, model[first]]),
        np.concatenate([targets.rank, zeros]),
        np.concatenate([targets.votes, zeros]),
        np.concatenate([targets.sums, np.zeros((len(first), 6), dtype=np.int64)]),
        np.concatenate([targets.cells, np.zeros((len(first), 8), dtype=np.int64)]),
    )
    joined = joined.take(np.argsort(joined.voter, kind="stable"))
    codes = joined.voter * width + joined.model
    by_code = np.argsort(codes)
    rows = by_code[np.searchsorted(codes, code, sorter=by_code)]
    before = count_before(rows) + joined.votes[rows]
    reach = np.flatnonzero(before == RANKED_AFTER - 1)
    had = np.bincount(joined.voter, weights=joined.rank > 0, minlength=len(met)).astype(np.int64)
    rank = joined.rank.copy()
    rank[rows[reach]] = place_within(who[reach]) + had[who[reach]]
    votes = joined.votes + np.bincount(rows, minlength=len(joined.votes))
    return JoinedVotes(
        TargetModels(joined.voter, joined.model, rank, votes, joined.sums, joined.cells),
        rows,
        before,
        running_sums(np.bincount(first // 2, minlength=len(voter)), voter, met),
        running_sums(np.bincount(reach // 2, minlength=len(voter)), voter, had),
    )
