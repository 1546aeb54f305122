"""For every vote of a call: the running sums of `voter_bias`, and a bound on its e-value.

Cost: a few vector operations per vote. The exact e-value is computed by `exact_evidence`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.detectors.voter.voter_bias.state_codec import MAX_MODEL_NUMBER, StateHeads
from pipeline.evidence import E_UNIT, LOG_UNIT, Reference, group_starts, running_sums
from pipeline.evidence.honest_reference import MAX_TIE_RATIO
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import LEVELS
from pipeline.vocabulary.arrays import Bool, Int8, Int64

LEVEL_UNITS = np.array([level / E_UNIT for level in LEVELS])
NO_NEXT_LEVEL = 2**30
NEXT_LEVEL_BOUNDS = np.array([*(int(np.floor(np.log(level) / LOG_UNIT)) for level in LEVELS), NO_NEXT_LEVEL])
"""Emitted level → the bound at which the next level may be reached; unreachable after the last level."""


@dataclass(frozen=True)
class RunningEvidence:
    """The votes of a call whose two models are in the snapshot, arrays of length n.

    Attributes:
        voter: position of the voter in the call.
        rows: position of each vote among all votes of the call.
        model_a, model_b: the store's numbers.
        outcome: int8[n]: 0 (a wins), 1 (b wins), or 2 for both kinds of tie.
        large: bool[n], whether a model number does not fit a pending entry.
        factor: the largest log-ratio of the vote over the alternatives.
        votes_so_far, ties_so_far: the voter's votes and ties, this vote included.
        uniform, tie, bound: as in `StateHeads`, after this vote.
        new: int64[v], number of these votes of each voter of the call.
    """

    voter: Int64
    rows: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    large: Bool
    factor: Int64
    votes_so_far: Int64
    ties_so_far: Int64
    uniform: Int64
    tie: Int64
    bound: Int64
    new: Int64

    @classmethod
    def compute(cls, votes: VoterVotes, heads: StateHeads, reference: Reference) -> RunningEvidence:
        """Return the running sums after each new vote, starting from `heads`."""
        a, b = reference.index_of(votes.model_a), reference.index_of(votes.model_b)
        rows = np.flatnonzero((a >= 0) & (b >= 0))
        a, b, voter = a[rows], b[rows], votes.voter[rows]
        outcome = np.minimum(votes.outcome[rows], 2).astype(np.int8)
        tied = (outcome == 2).astype(np.int64)
        count = running_sums(np.ones_like(tied), voter, heads.votes)
        ties = running_sums(tied, voter, heads.ties)
        own = reference.expected_tie_share(ties - tied, count - 1)
        decided = MAX_TIE_RATIO[reference.tie_level(a, b, own)] * (1 - tied)
        factor = reference.largest_ratios[a, b, outcome] + decided
        steps = [reference.generic_ratios[a, b, outcome, 3], reference.random_tie_ratio(tied == 1, own), factor]
        prior = np.column_stack([heads.uniform, heads.tie, heads.bound])
        uniform, tie, bound = running_sums(np.column_stack(steps), voter, prior).T
        model_a, model_b = votes.model_a[rows], votes.model_b[rows]
        large = np.maximum(model_a, model_b) > MAX_MODEL_NUMBER
        new = np.bincount(voter, minlength=len(votes.names))
        return cls(
            voter, rows, model_a, model_b, outcome, large, factor, count, ties, uniform, tie, bound, new
        )  # fmt: skip

    def update(self, heads: StateHeads, pending: Int64, snapshot: int) -> None:
        """Set the heads to their values after the last vote, as if no vote had been folded."""
        last = np.append(group_starts(self.voter)[1:], True)[: len(self.voter)]
        who = self.voter[last]
        heads.votes[who], heads.ties[who] = self.votes_so_far[last], self.ties_so_far[last]
        heads.uniform[who], heads.tie[who] = self.uniform[last], self.tie[last]
        heads.bound[who] = np.minimum(self.bound[last], NO_NEXT_LEVEL)
        heads.snapshot[who] = snapshot
        heads.pending = pending
